//! The options of `davy record`.

use crate::failure::Failure;
use crate::labels;
use crate::output::OutputOptions;
use crate::server::Server;
use davy_record::{CallGraph, Recorder, Target};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Intervals at which profiles are pushed.
const INTERVALS: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_hours(1);

/// Options of `davy record`.
#[derive(Debug, clap::Args)]
pub(crate) struct RecordCommandOptions {
    /// Pid of the running process to sample
    #[arg(long, conflicts_with = "command")]
    pub(super) pid: Option<u32>,
    /// Cgroup to sample, with all processes that are in it or join it: its folder, or its path as in /proc/PID/cgroup
    #[arg(long, value_name = "PATH", conflicts_with_all = ["command", "pid"])]
    pub(super) cgroup: Option<PathBuf>,
    /// Samples per second of CPU time
    #[arg(long, default_value_t = 99)]
    hz: u32,
    /// How stacks are unwound
    #[arg(long, value_enum, default_value_t = RecordCallGraph::Auto)]
    call_graph: RecordCallGraph,
    /// Bytes of the stack that are copied with each sample, for unwinding with unwind tables
    #[arg(long, value_name = "BYTES", default_value_t = 32 << 10)]
    stack_bytes: u32,
    /// Duration [default: until the command exits or Ctrl-C; 10 with --pid and --cgroup; with --every until these end]
    #[arg(long)]
    pub(super) seconds: Option<u64>,
    /// Show the last seconds in the terminal and update them every second
    #[arg(long, requires = "pid", conflicts_with_all = ["command", "format", "output", "push", "seconds", "max_nodes"])]
    pub(super) live: bool,
    /// Push the profile to the archive
    #[arg(long)]
    pub(super) push: bool,
    /// Push a profile each time this long, 1s to 1h, until the process or the cgroup ends, or Ctrl-C
    #[arg(long, value_name = "DURATION", requires = "push", conflicts_with_all = ["command", "format", "output"], value_parser = interval)]
    pub(super) every: Option<Duration>,
    /// Label of pushed profiles; may be repeated
    #[arg(long, value_name = "NAME=VALUE", requires = "push", value_parser = labels::label)]
    label: Vec<(String, String)>,
    /// Service name for --push [default: name of the program, or of the cgroup]
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

fn interval(text: &str) -> Result<Duration, String> {
    let interval = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if INTERVALS.contains(&interval) {
        return Ok(interval);
    }
    Err("expected 1s to 1h".to_owned())
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
    /// What is sampled; `None` for a command.
    pub(super) fn running(&self) -> Option<Target> {
        let cgroup = self.cgroup.clone().map(Target::Cgroup);
        cgroup.or(self.pid.map(Target::Pid))
    }

    /// A folder that exists as long as what is recorded; `None` for a command.
    pub(super) fn folder(&self, recorder: &Recorder) -> Option<PathBuf> {
        let process = self.pid.map(|pid| PathBuf::from(format!("/proc/{pid}")));
        process.or_else(|| recorder.cgroup_folder().map(Path::to_owned))
    }

    /// The service and the labels in the form that the archive expects, such as `build{worker=w1}`.
    pub(super) fn pushed_name(&self) -> Result<String, Failure> {
        let (service, rest) =
            labels::split_service(self.service.as_deref(), &self.label).map_err(Failure::usage)?;
        let mut name = service.unwrap_or_else(|| self.service_name());
        if !rest.is_empty() {
            let rest: Vec<String> = rest.iter().map(|(k, v)| format!("{k}={v}")).collect();
            name.push_str(&format!("{{{}}}", rest.join(",")));
        }
        Ok(name)
    }

    /// The arguments that push a profile with the same service and labels.
    pub(super) fn push_arguments(&self) -> String {
        let service = self.service_name();
        let labels = self.label.iter().map(|(k, v)| format!(" --label {k}={v}"));
        format!("--service {service}{}", labels.collect::<String>())
    }

    /// The value of `--service`, or the name of the program or cgroup without characters that a service name
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
            .or_else(|| file_name(&self.cgroup.as_ref()?.to_string_lossy()))
            .or_else(|| file_name(self.command.first()?));
        found
            .unwrap_or_else(|| "recorded".to_owned())
            .trim()
            .replace(labels::RESERVED, "_")
    }
}
