//! `davy quickstart`: every member in one process, on a folder and a file.

use crate::cli::{Failure, load};
use crate::config::{Config, Flags};
use crate::http::{self, Endpoints};
use crate::metrics::Metrics;
use crate::{logs, store};
use davy_archive::Archive;
use davy_base::{Clock, Random, Timestamp, Ulid};
use davy_profiler::Profiler;
use davy_runtime::{Member, Process, Trace};
use davy_store::{ProcessRow, Store};
use prometheus::Registry;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const KIND: &str = "quickstart";
/// How long the profiler may take to deliver its last windows.
const PROFILER_DEADLINE: Duration = Duration::from_secs(20);

/// Runs until a signal.
pub(crate) fn run(flags: &Flags) -> Result<(), Failure> {
    let loaded = load(flags)?;
    let config = Config::new(&loaded)?;
    logs::start(&config)?;
    let clock = Clock::system();
    let mut random = Random::system();
    let id = Ulid::new(&clock, &mut random);
    // The profiler comes first: it sees the rest start.
    let profiler = start_profiler(&config, id)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("davy-worker")
        .on_thread_start(davy_profiler::register_thread)
        .build()
        .map_err(|error| Failure::Failed(format!("the runtime can't start: {error}")))?;
    let result = runtime.block_on(serve(config, clock, random, id, profiler));
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

fn start_profiler(config: &Config, id: Ulid) -> Result<Option<Profiler>, Failure> {
    if !config.profiler_enabled {
        return Ok(None);
    }
    let mut builder = davy_profiler::Builder::new(&config.profiler_service)
        .process(KIND)
        .instance(format!("{}:{id}", host()))
        .label("version", env!("CARGO_PKG_VERSION"))
        .hz(config.profiler_hz)
        .window(config.profiler_window);
    if !config.region.is_empty() {
        builder = builder.label("region", &config.region);
    }
    let profiler = builder.start().map_err(|error| {
        Failure::Failed(format!(
            "the profiler can't start: {error}; --profiler-enabled=false runs without it"
        ))
    })?;
    Ok(Some(profiler))
}

/// The listeners of the process, bound before anything else so that a taken port is told at once.
struct Doors {
    http: TcpListener,
    archive: TcpListener,
    debug: TcpListener,
}

impl Doors {
    async fn bind(config: &Config) -> Result<Self, Failure> {
        Ok(Self {
            http: http::bind("http.listen", config.http_listen).await?,
            archive: http::bind("archive.listen", config.archive_listen).await?,
            debug: http::bind_near("debug.listen", config.debug_listen).await?,
        })
    }
}

fn address(listener: &TcpListener) -> Result<SocketAddr, Failure> {
    listener
        .local_addr()
        .map_err(|error| Failure::Failed(format!("a listener has no address: {error}")))
}

async fn serve(
    config: Config,
    clock: Clock,
    random: Random,
    id: Ulid,
    profiler: Option<Profiler>,
) -> Result<(), Failure> {
    let doors = Doors::bind(&config).await?;
    std::fs::create_dir_all(&config.data_dir).map_err(|error| {
        Failure::Usage(format!(
            "the data folder {} can't be made: {error}; give another one with --data-dir",
            config.data_dir.display()
        ))
    })?;
    let store = Store::open(&config.database)
        .await
        .map_err(|error| Failure::Usage(error.to_string()))?;
    remember_start(&store, id, clock.now()).await?;

    let registry = Registry::new();
    let registered =
        |error: prometheus::Error| Failure::Failed(format!("a metric is there twice: {error}"));
    let mut options = davy_archive::Options::new(store::open(&config.store_url)?);
    options.clock = clock.clone();
    options.random = random;
    options.flush_interval = config.flush_interval;
    options.flush_bytes = config.flush_bytes;
    options.compact_interval = config.compact_interval;
    options.cache_bytes = config.cache_bytes;
    let archive = Archive::new(options, &registry).map_err(registered)?;
    let endpoints = Endpoints::new(clock.clone(), &registry).map_err(registered)?;
    let handle = profiler.as_ref().map(Profiler::handle);
    let metrics = Arc::new(Metrics::new(registry, handle).map_err(registered)?);

    let (http_at, archive_at, debug_at) = (
        address(&doors.http)?,
        address(&doors.archive)?,
        address(&doors.debug)?,
    );
    if let Some(profiler) = &profiler {
        profiler
            .handle()
            .push_to(&format!("http://{archive_at}"))
            .map_err(|error| Failure::Failed(format!("the profiler can't push: {error}")))?;
    }
    let drain = CancellationToken::new();
    let parts = Parts {
        doors,
        archive,
        endpoints,
        metrics,
        store: store.clone(),
        profiler,
    };
    let process = compose(clock.clone(), parts);
    watch_signals(drain.clone())?;
    announce(process.states(), http_at, archive_at, debug_at, &config);
    let trace = process.run(drain).await;
    remember_end(&store, id, clock.now(), &trace).await;
    store.close().await;
    if trace.is_clean() {
        tracing::info!("stopped; everything is written");
        return Ok(());
    }
    Err(Failure::Failed(format!("stopped because {trace}")))
}

struct Parts {
    doors: Doors,
    archive: Archive,
    endpoints: Arc<Endpoints>,
    metrics: Arc<Metrics>,
    store: Store,
    profiler: Option<Profiler>,
}

/// The members in the order of their start. The profiler is the last to start and the first to stop,
/// so that its last windows still find an archiver.
fn compose(clock: Clock, parts: Parts) -> Process {
    let Parts {
        doors,
        archive,
        endpoints,
        metrics,
        store,
        profiler,
    } = parts;
    let process = Process::new(clock);
    let states = process.states();
    let shared = http::Shared {
        endpoints: endpoints.clone(),
        states: states.clone(),
        store,
        process: KIND,
    };
    let archive_routes = || archive.ingest_router().merge(archive.query_router());
    let health = || http::health(states.clone(), metrics.clone());
    let archive_door = http::finish(archive_routes().merge(health()), &endpoints);
    let http_door = http::finish(
        http::api(shared)
            .merge(archive_routes())
            .merge(health())
            .merge(http::assets()),
        &endpoints,
    );
    let mut debug_routes = health();
    if let Some(profiler) = &profiler {
        debug_routes = debug_routes.merge(davy_profiler::debug_router(profiler.handle()));
    }
    let debug_door = http::finish(debug_routes, &endpoints);

    let (ingest, compactor, last_pushes) =
        (archive.ingest(), archive.compactor(), archive.ingest());
    let mut process = process
        .member(Member::new("archive.ingest", move |context| async move {
            let flushing = context.spawn("flush", ingest.clone().run(context.drain()));
            // A push that came before the flush loop would be told that ingestion is stopped.
            while !ingest.is_accepting() {
                tokio::task::yield_now().await;
            }
            context.ready();
            http::serve(&context, doors.archive, archive_door).await;
            Ok(flushing.await?)
        }))
        .member(Member::new(
            "archive.compactor",
            move |context| async move {
                context.ready();
                compactor.run(context.drain()).await;
                Ok(())
            },
        ))
        .member(Member::served("archive.query"))
        .member(Member::new("api", move |context| async move {
            context.ready();
            http::serve(&context, doors.http, http_door).await;
            Ok(())
        }))
        .member(Member::served("ui"))
        .member(Member::new("debug", move |context| async move {
            context.ready();
            http::serve(&context, doors.debug, debug_door).await;
            Ok(())
        }));
    if let Some(profiler) = profiler {
        process = process.member(
            Member::new("profiler", move |context| async move {
                context.ready();
                context.draining().await;
                last_pushes.hurry();
                davy_tag::spawn_blocking(move || profiler.shutdown(PROFILER_DEADLINE)).await??;
                Ok(())
            })
            .stop_deadline(PROFILER_DEADLINE + Duration::from_secs(2)),
        );
    }
    process
}

/// Says where everything is as soon as every member is ready.
fn announce(
    states: davy_runtime::States,
    http_at: SocketAddr,
    archive_at: SocketAddr,
    debug_at: SocketAddr,
    config: &Config,
) {
    tracing::info!(
        page = %format!("http://{http_at}/"),
        archive = %format!("http://{archive_at}"),
        debug = %format!("http://{debug_at}/debug/pprof/"),
        store = config.store_url,
        database = config.database,
        members = states.all().len(),
        "davy is up"
    );
    // The one line for the person who typed the command, whatever the log is set to.
    let line = format!(
        "Davy is at http://{http_at}/ (archive: http://{archive_at}, debug: http://{debug_at}/debug/pprof/)\n"
    );
    if let Err(failure) = crate::cli::print(&line) {
        tracing::warn!(%failure, "the addresses are only in the log");
    }
}

/// The first signal drains, the second ends at once.
fn watch_signals(drain: CancellationToken) -> Result<(), Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let failed =
        |error: std::io::Error| Failure::Failed(format!("signals can't be watched: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    tokio::spawn(davy_tag::tagged("api", "signals", async move {
        let mut next =
            async || tokio::select! { _ = terminate.recv() => (), _ = interrupt.recv() => () };
        next().await;
        tracing::info!("stopping; a second signal ends at once");
        drain.cancel();
        next().await;
        tracing::warn!("ended at once, by a second signal");
        std::process::exit(1);
    }));
    Ok(())
}

async fn remember_start(store: &Store, id: Ulid, now: Timestamp) -> Result<(), Failure> {
    let row = ProcessRow::new(
        id,
        KIND,
        &host(),
        std::process::id(),
        env!("CARGO_PKG_VERSION"),
        now,
    );
    match store.process_started(&row).await {
        Ok(None) => Ok(()),
        Ok(Some(before)) => {
            tracing::warn!(pid = before.pid, started = %Timestamp::from_millis(before.started_at), "the process before this one was killed");
            Ok(())
        }
        Err(error) => Err(Failure::Failed(error.to_string())),
    }
}

async fn remember_end(store: &Store, id: Ulid, now: Timestamp, trace: &Trace) {
    let ending = if trace.is_clean() {
        "drained".to_owned()
    } else {
        trace.to_string()
    };
    if let Err(error) = store.process_stopped(&id.to_string(), now, &ending).await {
        tracing::warn!(%error, "the end of this process could not be remembered");
    }
}

/// The machine's name.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() {
        "localhost".to_owned()
    } else {
        name.to_owned()
    }
}
