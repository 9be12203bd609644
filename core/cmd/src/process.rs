//! A process of Davy's: whatever its kind, it is put together, run and stopped here.

mod children;
mod compose;
mod doors;
mod signals;
mod sockets;
mod toggles;

use crate::catalogue::{Entry, MEMBERS};
use crate::cli::{Failure, load};
use crate::config::{Config, Flags, Loaded};
use crate::logs;
use crate::placement::Placement;
use davy_base::{Clock, Random};
use davy_profiler::Profiler;
use davy_runtime::Stop;
use std::path::PathBuf;
use std::time::Duration;
use tokio::runtime::Handle;
use ulid::Ulid;

/// How long the profiler may take to deliver its last windows.
const PROFILER_DEADLINE: Duration = Duration::from_secs(20);

/// What a process starts from.
pub(crate) struct Plan {
    pub(crate) flags: Flags,
    pub(crate) loaded: Loaded,
    pub(crate) config: Config,
    pub(crate) placement: Placement,
    /// Of a child: what its parent told it.
    pub(crate) parent: Option<Parent>,
    /// The runtime that members run on.
    pub(crate) workers: Handle,
}

/// What a child knows of the process that started it.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Parent {
    /// The name of the child
    #[arg(long = "child-process")]
    process: String,
    /// Its members, with commas between them
    #[arg(long = "child-members", value_delimiter = ',')]
    members: Vec<String>,
    /// The socket that its parent sends requests to
    #[arg(long = "child-socket")]
    pub(crate) socket: PathBuf,
    /// The id of its parent
    #[arg(long = "child-of")]
    pub(crate) id: String,
    /// Where its parent takes windows
    #[arg(long = "child-archive", default_value = "")]
    pub(crate) archive: String,
}

/// `davy KIND` and `davy run NAME`: runs until a signal.
pub(crate) fn run(process: &str, flags: &Flags) -> Result<(), Failure> {
    let loaded = load(flags)?;
    let placement = Placement::of_process(&loaded, process)?;
    start(flags, loaded, placement, None)
}

/// `davy quickstart --split`: every kind in a process of its own.
pub(crate) fn run_split(flags: &Flags) -> Result<(), Failure> {
    let loaded = load(flags)?;
    let placement = Placement::split(&loaded)?;
    start(flags, loaded, placement, None)
}

/// A child of one of these.
pub(crate) fn run_child(parent: Parent, flags: &Flags) -> Result<(), Failure> {
    let loaded = load(flags)?;
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
    // The profiler comes first: it sees the rest start.
    let profiler = start_profiler(&config, &placement.process, id)?;
    let failed = |error| Failure::Failed(format!("the runtime can't start: {error}"));
    // The main thread supervises, on a runtime of its own: signals, deadlines, toggles and the debug
    // port work also while every worker is busy or hangs.
    let supervisor = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .thread_name("davy-control")
        .on_thread_start(davy_profiler::register_thread)
        .build()
        .map_err(failed)?;
    let workers = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("davy-worker")
        .on_thread_start(davy_profiler::register_thread)
        .build()
        .map_err(failed)?;
    let plan = Plan {
        flags: flags.clone(),
        loaded,
        config,
        placement,
        parent,
        workers: workers.handle().clone(),
    };
    let result = supervisor.block_on(serve(plan, clock, random, id, profiler));
    workers.shutdown_timeout(Duration::from_secs(1));
    supervisor.shutdown_timeout(Duration::from_secs(1));
    result
}

fn start_profiler(config: &Config, process: &str, id: Ulid) -> Result<Option<Profiler>, Failure> {
    // Usages are exact whether profiles are taken or not.
    davy_tag::start_accounting();
    if !config.profiler_enabled {
        return Ok(None);
    }
    let mut builder = davy_profiler::Builder::new(&config.profiler_service)
        .process(process)
        .instance(format!("{}:{id}", host()))
        .label("version", env!("CARGO_PKG_VERSION"))
        .hz(config.profiler_hz)
        .window(config.profiler_window)
        .compression(config.profiler_compression)
        .spool(config.data_dir.join("spool"));
    if !config.region.is_empty() {
        builder = builder.label("region", &config.region);
    }
    if !config.profiler_token.is_empty() {
        builder = builder.token(&config.profiler_token);
    }
    if !config.profiler_ca_file.as_os_str().is_empty() {
        builder = builder.ca_file(&config.profiler_ca_file);
    }
    let profiler = builder.start().map_err(|error| {
        Failure::Failed(format!(
            "the profiler can't start: {error}; --profiler-enabled=false runs without it"
        ))
    })?;
    Ok(Some(profiler))
}

async fn serve(
    plan: Plan,
    clock: Clock,
    random: Random,
    id: Ulid,
    profiler: Option<Profiler>,
) -> Result<(), Failure> {
    let doors = doors::Doors::bind(&plan)?;
    std::fs::create_dir_all(&plan.config.data_dir).map_err(|error| {
        Failure::Usage(format!(
            "the data folder {} can't be made: {error}; give another one with --data-dir",
            plan.config.data_dir.display()
        ))
    })?;
    let announcement = doors.announcement();
    let stop = Stop::new();
    let composed = compose::compose(&plan, doors, clock, random, id, profiler, &stop)?;
    signals::watch(&stop, &plan, &composed)?;
    if plan.parent.is_none() {
        announce(&announcement, &plan);
    }
    let states = composed.process.states();
    tokio::spawn(davy_tag::tagged("control", "ready", async move {
        states.until(|states| states.unready().is_empty()).await;
        // A parent process waits for it, or systemd.
        if let Err(error) = davy_runtime::notify_ready() {
            tracing::warn!(%error, "whoever started this process can't be told that it is ready");
        }
    }));
    let trace = composed.process.run(stop).await;
    composed.store.close().await;
    if trace.is_clean() {
        tracing::info!(
            process = plan.placement.process,
            "stopped; everything is written"
        );
        return Ok(());
    }
    Err(Failure::Failed(format!("stopped because {trace}")))
}

/// Whether every process of this configuration could be put together.
pub(crate) fn check(loaded: &Loaded) -> Result<(), Failure> {
    Placement::split(loaded)?;
    toggles::configured(loaded)?;
    for entry in MEMBERS.iter().filter(|entry| !entry.interval.is_empty()) {
        interval(loaded, entry)?;
    }
    for entry in MEMBERS {
        connections(loaded, entry)?;
    }
    Ok(())
}

/// Database connections that a member may hold at a time.
fn connections(loaded: &Loaded, entry: &Entry) -> Result<u32, Failure> {
    if entry.connections == 0 {
        return Ok(0);
    }
    let key = format!("member.{}.connections", entry.name);
    Ok(loaded.parse(&key, "a whole number from 1 to 1000", |text| {
        text.parse()
            .ok()
            .filter(|count| (1..=1_000).contains(count))
    })?)
}

/// The time from one run of a periodic member to the next.
fn interval(loaded: &Loaded, entry: &Entry) -> Result<Duration, Failure> {
    let key = format!("member.{}.interval", entry.name);
    Ok(loaded.parse(&key, "a duration such as 30s", |text| {
        humantime::parse_duration(text)
            .ok()
            .filter(|span| !span.is_zero())
    })?)
}

/// `davy migrate`: brings the database's tables up to date, and says so.
pub(crate) fn migrate(flags: &Flags) -> Result<(), Failure> {
    let config = Config::new(&load(flags)?)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Failed(format!("the runtime can't start: {error}")))?;
    runtime.block_on(async {
        let store = compose::open_store(&config, 0, &Clock::system())?;
        let migrated = store.migrate().await;
        migrated.map_err(|error| Failure::Failed(error.to_string()))?;
        crate::cli::print(&format!("{} is up to date\n", store.name()))?;
        store.close().await;
        Ok(())
    })
}

/// Says where everything is.
fn announce(addresses: &str, plan: &Plan) {
    tracing::info!(
        process = plan.placement.process,
        addresses,
        bucket = plan.config.bucket_url,
        "davy is up"
    );
    // The one line for the person who typed the command, whatever the log is set to.
    if let Err(failure) = crate::cli::print(&format!("Davy is at {addresses}\n")) {
        tracing::warn!(%failure, "the addresses are only in the log");
    }
}

/// The machine's name.
pub(crate) fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() {
        "localhost".to_owned()
    } else {
        name.to_owned()
    }
}
