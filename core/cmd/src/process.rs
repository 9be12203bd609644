//! Runs a process of Davy, of any kind: composes it, starts it and stops it.

mod arclamp;
mod children;
mod compose;
mod data_folder;
mod listeners;
mod member_settings;
mod members;
mod parts;
mod plan;
mod profiling;
mod routes;
mod rules;
mod scraper;
mod signals;
mod sockets;
mod storage;
mod toggles;

pub(crate) use member_settings::has_limits;
pub(crate) use plan::Parent;
pub(crate) use storage::{
    archive as open_archive_of, check_database, migrate, open_store, with_archive,
    with_old_archive, with_renderer,
};

use crate::config::{Config, Flags, Loaded};
use crate::failure::Failure;
use crate::logs;
use crate::placement::Placement;
use crate::stdout::print;
use davy_base::{Clock, Random};
use davy_profiler::Profiler;
use davy_runtime::Stop;
use listeners::Listeners;
use plan::Plan;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use ulid::Ulid;

/// `davy KIND` and `davy run NAME`: runs until a signal.
pub(crate) fn run(process: &str, flags: &Flags) -> Result<(), Failure> {
    let loaded = Loaded::from_environment(flags)?;
    let placement = Placement::of_process(&loaded, process)?;
    start(flags, loaded, placement, None)
}

/// `davy quickstart --split`: runs every part in a child process.
pub(crate) fn run_split(flags: &Flags) -> Result<(), Failure> {
    let loaded = Loaded::from_environment(flags)?;
    let placement = Placement::split(&loaded)?;
    start(flags, loaded, placement, None)
}

/// Runs a child process.
pub(crate) fn run_child(parent: Parent, flags: &Flags) -> Result<(), Failure> {
    let loaded = Loaded::from_environment(flags)?;
    let placement = Placement::of_child(&loaded, &parent.process, parent.members.clone())?;
    start(flags, loaded, placement, Some(parent))
}

fn start(
    flags: &Flags,
    loaded: Loaded,
    placement: Placement,
    parent: Option<Parent>,
) -> Result<(), Failure> {
    let config = Config::new(&loaded)?;
    check(&loaded)?;
    logs::start(&config)?;
    let clock = Clock::system();
    let mut random = Random::system();
    let id = Ulid::from_parts(clock.now().millis() as u64, random.next_u128());
    // The profiler starts first so that it samples the start of everything else.
    let profiler = profiling::start(&config, &placement.process, id)?;
    // The main thread runs the supervisor on a runtime of its own: signals, deadlines, toggles and the
    // debug port work while every worker is busy or blocked.
    let guard = davy_tag::Tag::new("control", "start").enter();
    let supervisor = runtime(Builder::new_current_thread(), "davy-control")?;
    let workers = runtime(Builder::new_multi_thread(), "davy-worker")?;
    drop(guard);
    let plan = Plan {
        flags: flags.clone(),
        loaded,
        config,
        placement,
        parent,
        workers: workers.handle().clone(),
    };
    let serve = serve(plan, clock, random, id, profiler);
    let result = supervisor.block_on(davy_tag::tagged("control", "start", serve));
    workers.shutdown_timeout(Duration::from_secs(1));
    supervisor.shutdown_timeout(Duration::from_secs(1));
    result
}

fn runtime(mut builder: Builder, thread_name: &str) -> Result<Runtime, Failure> {
    davy_tag::attribute_parking(&mut builder)
        .enable_all()
        .thread_name(thread_name)
        .on_thread_start(davy_profiler::register_thread)
        .build()
        .map_err(Failure::because("cannot start the runtime"))
}

async fn serve(
    plan: Plan,
    clock: Clock,
    random: Random,
    id: Ulid,
    profiler: Option<Profiler>,
) -> Result<(), Failure> {
    let _locks = data_folder::lock(&plan)?;
    let listeners = Listeners::bind(&plan)?;
    let announcement = listeners.announcement();
    let stop = Stop::new();
    let composed = compose::compose(&plan, listeners, clock, random, id, profiler, &stop)?;
    signals::watch(&stop, &plan, &composed)?;
    if plan.parent.is_none() {
        announce(&announcement, &plan);
    }
    let states = composed.process.states();
    tokio::spawn(davy_tag::tagged("control", "ready", async move {
        states.until(|states| states.unready().is_empty()).await;
        // A parent process or systemd waits for this.
        if let Err(error) = davy_runtime::notify_ready() {
            tracing::warn!(%error, "readiness notification failed");
        }
    }));
    let trace = composed.process.run(stop).await;
    composed.store.close().await;
    if let Some(Err(error)) = composed.cgroups.map(|cgroups| cgroups.close()) {
        // The next process of this name removes it.
        tracing::debug!(%error, "cannot remove the cgroups of child processes");
    }
    if trace.is_clean() {
        tracing::info!(process = plan.placement.process, "stopped");
        return Ok(());
    }
    Err(Failure::failed(format!("stopped because {trace}")))
}

/// Checks that every process of a configuration can be composed.
pub(crate) fn check(loaded: &Loaded) -> Result<(), Failure> {
    Placement::split(loaded)?;
    toggles::configured(loaded)?;
    member_settings::check(loaded)?;
    Ok(())
}

/// Logs and prints the addresses of the process.
fn announce(addresses: &str, plan: &Plan) {
    tracing::info!(
        process = plan.placement.process,
        addresses,
        bucket = plan.config.bucket.url,
        "davy is up"
    );
    // The person who typed the command sees this line at any log level.
    if let Err(failure) = print(&format!("Davy is at {addresses}\n")) {
        tracing::warn!(error = failure.report(), "cannot print the addresses");
    }
}
