//! `davy drill`: reproduces an incident against a real Davy and checks how long the response takes.

mod command;
mod evidence;
mod incident;
mod load;
mod placement;
mod report;
mod spec;

use crate::failure::Failure;
use clap::Subcommand;
use placement::{DrillFleet, DrillPlacement};
use spec::DrillSpec;

/// The drills.
#[derive(Debug, Subcommand)]
pub(crate) enum DrillCommand {
    /// An endpoint uses too much memory: find it, show its heap profile, disable it
    ListAllJobs(DrillOptions),
}

/// Options of a drill.
#[derive(Debug, clap::Args)]
pub(crate) struct DrillOptions {
    /// How the members are placed
    #[arg(long, value_enum, default_value_t = DrillPlacement::One)]
    placement: DrillPlacement,
    /// Database, sqlite:PATH or postgres://... [default: a temporary file]
    #[arg(long, default_value = "")]
    database: String,
    /// Number of jobs in the database [default: 36000]
    #[arg(long)]
    jobs: Option<usize>,
    /// Number of concurrent clients [default: 8]
    #[arg(long)]
    clients: Option<usize>,
    /// Print the results as JSON
    #[arg(long)]
    json: bool,
}

/// Runs a drill.
pub(crate) fn run(command: &DrillCommand) -> Result<(), Failure> {
    let DrillCommand::ListAllJobs(options) = command;
    let mut spec = DrillSpec::list_all_jobs()?;
    spec.jobs = options.jobs.unwrap_or(spec.jobs).max(1);
    spec.clients = options.clients.unwrap_or(spec.clients).max(1);
    report::progress("starting the processes");
    let fleet = DrillFleet::start(options.placement, &options.database)?;
    let checks = incident::play(&spec, &fleet)?;
    drop(fleet);
    report::print_checks(&checks, options.json)?;
    let failed: Vec<&str> = checks
        .iter()
        .filter(|check| !check.passed)
        .map(|check| check.name)
        .collect();
    if failed.is_empty() {
        return Ok(());
    }
    Err(Failure::failed(format!(
        "the drill failed: {}",
        failed.join("; ")
    )))
}
