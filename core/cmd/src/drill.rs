//! `davy drill`: plays an incident against a real Davy, and judges the answer with a stop watch.

mod evidence;
mod incident;
mod place;
mod storm;
mod table;

use crate::cli::Failure;
use clap::{Subcommand, ValueEnum};
use serde::Deserialize;

/// Which drill.
#[derive(Debug, Subcommand)]
pub(crate) enum DrillCommand {
    /// An endpoint eats the memory: it is named, its heap is shown, one command stops it
    ListAllJobs(Options),
}

/// Options of a drill.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How the members are placed
    #[arg(long, value_enum, default_value_t = Placement::One)]
    placement: Placement,
    /// Database, sqlite:PATH or postgres://... [default: a scratch file]
    #[arg(long, default_value = "")]
    database: String,
    /// Jobs in the database [default: 36000]
    #[arg(long)]
    jobs: Option<usize>,
    /// Clients that ask at the same time [default: 8]
    #[arg(long)]
    clients: Option<usize>,
    /// Print the table as JSON
    #[arg(long)]
    json: bool,
}

/// How the members are placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Placement {
    /// All in one process.
    One,
    /// Frontend, backend and archiver.
    Split,
    /// Every member in a unix process of its own.
    Isolated,
    /// Two frontends, two backends and an archiver.
    Fleet,
}

/// The drill as its file describes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    jobs: usize,
    config_bytes: usize,
    clients: usize,
    storm_seconds: u64,
    must: Must,
}

/// What must be true.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Must {
    named_seconds: f64,
    recovered_seconds: f64,
    recovered_ratio: f64,
    others_milliseconds: f64,
}

const LIST_ALL_JOBS: &str = include_str!("../../../ops/drills/list-all-jobs.toml");

/// Plays it.
pub(crate) fn run(command: &DrillCommand) -> Result<(), Failure> {
    let DrillCommand::ListAllJobs(options) = command;
    let mut spec: Spec = toml::from_str(LIST_ALL_JOBS)
        .map_err(|error| Failure::Failed(format!("the drill's own file is wrong: {error}")))?;
    spec.jobs = options.jobs.unwrap_or(spec.jobs).max(1);
    spec.clients = options.clients.unwrap_or(spec.clients).max(1);
    let place = place::Place::start(options.placement, &options.database)?;
    let lines = incident::play(&spec, &place)?;
    drop(place);
    table::print(&lines, options.json)?;
    if lines.iter().all(|line| line.holds) {
        return Ok(());
    }
    let failed: Vec<&str> = lines
        .iter()
        .filter(|line| !line.holds)
        .map(|line| line.what)
        .collect();
    Err(Failure::Failed(format!(
        "the drill failed: {}",
        failed.join("; ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drill_that_is_described_can_be_played() {
        let spec: Spec = toml::from_str(LIST_ALL_JOBS).expect("the file is right");
        assert_eq!(spec.jobs, 36_000);
        assert!(spec.must.recovered_ratio > 1.0);
    }
}
