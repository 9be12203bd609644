//! The options of `davy record`.

use crate::failure::Failure;
use crate::labels;
use crate::output::OutputOptions;
use crate::server::Server;
use davy_record::CallGraph;
use std::path::Path;

/// Options of `davy record`.
#[derive(Debug, clap::Args)]
pub(crate) struct RecordCommandOptions {
    /// Pid of the running process to sample
    #[arg(long, conflicts_with = "command")]
    pub(super) pid: Option<u32>,
    /// Samples per second of CPU time
    #[arg(long, default_value_t = 99)]
    hz: u32,
    /// How stacks are unwound
    #[arg(long, value_enum, default_value_t = RecordCallGraph::Auto)]
    call_graph: RecordCallGraph,
    /// Bytes of the stack that are copied with each sample, for unwinding with unwind tables
    #[arg(long, value_name = "BYTES", default_value_t = 32 << 10)]
    stack_bytes: u32,
    /// Duration [default: until the command exits or Ctrl-C; 10 with --pid]
    #[arg(long)]
    pub(super) seconds: Option<u64>,
    /// Show the last seconds in the terminal and update them every second
    #[arg(long, requires = "pid", conflicts_with_all = ["command", "format", "output", "push", "seconds", "max_nodes"])]
    pub(super) live: bool,
    /// Push the profile to the archive
    #[arg(long)]
    pub(super) push: bool,
    /// Service name for --push [default: name of the program]
    #[arg(long, value_name = "NAME", value_parser = labels::service)]
    service: Option<String>,
    #[command(flatten)]
    pub(super) output: OutputOptions,
    #[command(flatten)]
    pub(super) server: Server,
    /// Command to start and sample
    #[arg(last = true, value_name = "COMMAND")]
    pub(super) command: Vec<String>,
}

/// How stacks are unwound.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum RecordCallGraph {
    /// With unwind tables, then with frame pointers where tables end
    Auto,
    /// With unwind tables
    Dwarf,
    /// With frame pointers: cheapest, complete only if all code keeps them
    Fp,
}

impl From<RecordCallGraph> for CallGraph {
    fn from(call_graph: RecordCallGraph) -> Self {
        match call_graph {
            RecordCallGraph::Auto => Self::Auto,
            RecordCallGraph::Dwarf => Self::Dwarf,
            RecordCallGraph::Fp => Self::Fp,
        }
    }
}

/// The options of the recorder.
pub(super) fn recorder_options(options: &RecordCommandOptions) -> davy_record::RecordOptions {
    davy_record::RecordOptions {
        hz: options.hz,
        call_graph: options.call_graph.into(),
        stack_bytes: options.stack_bytes,
        keeps_addresses: options.push,
    }
}

/// The failure to start a recorder.
pub(super) fn start_failure(error: davy_record::Error) -> Failure {
    match error {
        davy_record::Error::Hz { .. } | davy_record::Error::StackBytes { .. } => {
            Failure::usage(error.to_string())
        }
        error => Failure::because("cannot record")(error),
    }
}

impl RecordCommandOptions {
    /// The value of `--service`, or the name of the program without characters that a service name
    /// can't contain.
    pub(super) fn service_name(&self) -> String {
        let file_name = |path: &str| {
            Path::new(path)
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
        };
        let of_pid = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/comm")).ok();
        let found = self
            .service
            .clone()
            .or_else(|| self.pid.and_then(of_pid))
            .or_else(|| file_name(self.command.first()?));
        found
            .unwrap_or_else(|| "recorded".to_owned())
            .trim()
            .replace(labels::RESERVED, "_")
    }
}
