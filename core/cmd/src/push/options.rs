//! The options of `davy push`.

use crate::labels;
use crate::server::Server;
use davy_import::Format;
use std::path::PathBuf;

/// What counts can be.
const METRICS: [&str; 12] = [
    "cpu",
    "wall",
    "inuse_space",
    "inuse_objects",
    "alloc_space",
    "alloc_objects",
    "goroutines",
    "lock_count",
    "lock_duration",
    "block_count",
    "block_duration",
    "exceptions",
];

/// Parses the name of a format.
fn format(name: &str) -> Result<Format, String> {
    Format::of_name(name).ok_or_else(|| {
        let names: Vec<&str> = Format::names().collect();
        format!("expected one of {}", names.join(", "))
    })
}

/// Options of `davy push`.
#[derive(Debug, clap::Args)]
pub(crate) struct PushOptions {
    /// Files: pprof, folded stacks, JFR, speedscope, output of perf script, .cpuprofile, .heapprofile; compressed
    /// with gzip or not
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
    /// Format of the files [default: recognized by the content]
    #[arg(long, value_name = "FORMAT", value_parser = format)]
    pub(super) format: Option<Format>,
    /// What counts are, in formats that do not state it, such as folded stacks
    #[arg(long = "type", value_name = "TYPE", default_value = "cpu", value_parser = METRICS)]
    pub(super) metric: String,
    /// Samples per second in such formats, to convert cpu and wall counts to time
    #[arg(long, value_name = "HZ", default_value_t = 100)]
    pub(super) sample_rate: u32,
    #[command(flatten)]
    pub(super) server: Server,
}
