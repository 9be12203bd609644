//! The options of `davy push`.

use crate::labels;
use crate::server::Server;
use std::path::PathBuf;

/// Metrics that folded stacks can count.
const METRICS: [&str; 6] = [
    "cpu",
    "wall",
    "inuse_space",
    "inuse_objects",
    "alloc_space",
    "alloc_objects",
];

/// Options of `davy push`.
#[derive(Debug, clap::Args)]
pub(crate) struct PushOptions {
    /// Files: pprof (compressed or not) or folded stacks
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// Label of the profiles, such as `version=1.2`; may be repeated. `service_name=NAME` is the same as
    /// --service NAME
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = labels::label)]
    pub(super) labels: Vec<(String, String)>,
    /// Service that was profiled [default: name of the file]
    #[arg(long, value_name = "NAME", value_parser = labels::service)]
    pub(super) service: Option<String>,
    /// Time of the profile if the file has none or a wrong one: now, 1h, 2026-11-28, "2026-11-28 13:00",
    /// RFC 3339 or unix time [default: the time in the file, otherwise now]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(super) at: Option<String>,
    /// What folded stacks count
    #[arg(long = "type", value_name = "TYPE", default_value = "cpu", value_parser = METRICS)]
    pub(super) metric: String,
    /// Samples per second of folded stacks, to convert cpu and wall counts to time
    #[arg(long, value_name = "HZ", default_value_t = 100)]
    pub(super) sample_rate: u32,
    #[command(flatten)]
    pub(super) server: Server,
}
