//! `davy drill`: reproduces an incident against a real Davy and checks how long the response takes.

mod central;
mod command;
mod database;
mod evidence;
mod incident;
mod load;
mod observed;
mod pace;
mod placement;
mod probe;
mod report;
mod simulated;
mod spec;
mod storm;
mod wedged;

use crate::failure::Failure;
use clap::Subcommand;
use placement::{DrillFleet, DrillPlacement};
use spec::DrillSpec;

/// The drills.
#[derive(Debug, Subcommand)]
pub(crate) enum DrillCommand {
    /// An endpoint uses too much memory: find it, show its heap profile, disable it
    ListAllJobs(DrillOptions),
    /// All containers of a fleet become garbage at once: a central collector against marking and sweeping
    GcStorm(storm::StormOptions),
    /// Four workers are wedged: hung destroys, foreign reports, lost containers, a snapshot
    WedgedWorker(wedged::WedgedOptions),
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
    match command {
        DrillCommand::ListAllJobs(options) => list_all_jobs(options),
        DrillCommand::WedgedWorker(options) => conclude(&wedged::play(options)?, options.json),
        DrillCommand::GcStorm(options) => conclude(&storm::play(options)?, options.json),
    }
}

fn list_all_jobs(options: &DrillOptions) -> Result<(), Failure> {
    let mut spec = DrillSpec::list_all_jobs()?;
    spec.jobs = options.jobs.unwrap_or(spec.jobs).max(1);
    spec.clients = options.clients.unwrap_or(spec.clients).max(1);
    report::progress("starting the processes");
    let fleet = DrillFleet::start(options.placement, &options.database)?;
    let checks = incident::play(&spec, &fleet)?;
    drop(fleet);
    conclude(&checks, options.json)
}

/// Prints the checks; fails if one has failed.
fn conclude(checks: &[report::Check], json: bool) -> Result<(), Failure> {
    report::print_checks(checks, json)?;
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
