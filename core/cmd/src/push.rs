//! `davy push`: pushes profiles from files to the archive.

mod file;
mod upload;

use crate::client::Client;
use crate::failure::Failure;
use crate::labels;
use crate::server::Server;
use crate::stdout::print;
use davy_profile::units::count;
use file::ProfileFile;
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
    files: Vec<PathBuf>,
    /// Label of the profiles, such as `version=1.2`; may be repeated. `service_name=NAME` is the same as
    /// --service NAME
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = labels::label)]
    labels: Vec<(String, String)>,
    /// Service that was profiled [default: name of the file]
    #[arg(long, value_name = "NAME", value_parser = labels::service)]
    service: Option<String>,
    /// Time of the profile if the file has none or a wrong one: now, 1h, 2026-11-28, "2026-11-28 13:00",
    /// RFC 3339 or unix time [default: the time in the file, otherwise now]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    at: Option<String>,
    /// What folded stacks count
    #[arg(long = "type", value_name = "TYPE", default_value = "cpu", value_parser = METRICS)]
    metric: String,
    /// Samples per second of folded stacks, to convert cpu and wall counts to time
    #[arg(long, value_name = "HZ", default_value_t = 100)]
    sample_rate: u32,
    #[command(flatten)]
    server: Server,
}

/// Reads every file, then pushes them concurrently.
pub(crate) fn run(options: &PushOptions) -> Result<(), Failure> {
    let client = Client::new(&options.server)?;
    let files: Vec<ProfileFile> = options
        .files
        .iter()
        .map(|file| ProfileFile::read(file, options))
        .collect::<Result<_, _>>()?;
    let results = upload::push_all(&client, &files);
    let mut first_failure = None;
    for (file, result) in files.iter().zip(results) {
        match result {
            Ok(()) => print(&format!(
                "{}: {} pushed as {}\n",
                file.path.display(),
                count(file.samples, "sample", "samples"),
                file.service
            ))?,
            Err(failure) if first_failure.is_none() => first_failure = Some(failure),
            // The first one becomes the error of the command.
            Err(failure) => eprintln!("davy: {}", failure.report()),
        }
    }
    first_failure.map_or(Ok(()), Err)
}
