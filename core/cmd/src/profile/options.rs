//! The options of `davy profile`.

use crate::output::OutputOptions;
use crate::server::Server;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum ProfileMetric {
    /// CPU time of the next seconds
    Cpu,
    /// Wall-clock time of the next seconds, including waiting
    Wall,
    /// Memory in use on the heap
    Heap,
    /// Memory allocated since the process started
    Allocs,
    /// Tasks and where they wait
    Tasks,
}

impl ProfileMetric {
    /// Whether it is measured over a time span.
    pub(super) const fn is_timed(self) -> bool {
        matches!(self, Self::Cpu | Self::Wall)
    }

    /// The endpoint below `/debug/pprof/`.
    pub(super) const fn endpoint(self) -> &'static str {
        match self {
            Self::Cpu => "profile",
            Self::Wall => "wall",
            Self::Heap => "heap",
            Self::Allocs => "allocs",
            Self::Tasks => "tasks",
        }
    }

    /// The sample type to show.
    pub(super) const fn sample_type(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Wall => "wall",
            Self::Heap => "inuse_space",
            Self::Allocs => "alloc_space",
            Self::Tasks => "tasks",
        }
    }
}

/// Options of `davy profile`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ProfileOptions {
    /// What to measure
    #[arg(value_enum, value_name = "METRIC")]
    pub(super) metric: ProfileMetric,
    /// Process to profile, as `davy members` names it
    #[arg(long)]
    pub(super) process: Option<String>,
    /// Pid of the process to profile
    #[arg(long)]
    pub(super) pid: Option<u32>,
    /// Only samples of this member
    #[arg(long)]
    pub(super) member: Option<String>,
    /// Only samples of this operation
    #[arg(long)]
    pub(super) op: Option<String>,
    /// Duration of cpu and wall profiles
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub(super) seconds: u32,
    /// Samples per second of CPU time
    #[arg(long)]
    pub(super) hz: Option<u32>,
    /// Labels to group by, such as member,op
    #[arg(long, value_name = "LABELS", value_delimiter = ',')]
    pub(super) by: Vec<String>,
    /// Show it in the terminal and update it every second
    #[arg(long, conflicts_with_all = ["format", "output", "seconds", "max_nodes"])]
    pub(super) live: bool,
    #[command(flatten)]
    pub(super) output: OutputOptions,
    #[command(flatten)]
    pub(super) server: Server,
}
