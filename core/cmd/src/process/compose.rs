//! Puts a process together: its members, its listeners, and the routes behind them.

use super::children::{self, Placed};
use super::doors::Doors;
use super::sockets::SocketFolder;
use super::{PROFILER_DEADLINE, Plan, host, toggles};
use crate::bucket;
use crate::catalogue::{self, Door, Entry, MEMBERS};
use crate::cli::Failure;
use crate::config::Config;
use crate::http::{self, ChildClient, Listener};
use axum::Router;
use davy_archive::Archive;
use davy_base::{Clock, Random};
use davy_control::{
    Access, AccessOptions, Control, ControlOptions, DebugPort, Endpoints, Fleet, Identity,
    ListenerKind, Metrics,
};
use davy_profiler::Profiler;
use davy_runtime::{Context, Kind, Member, Process, Stop, Toggles};
use davy_store::Store;
use prometheus::Registry;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use ulid::Ulid;

/// A process, ready to run.
pub(crate) struct Composed {
    pub(crate) process: Process,
    pub(crate) control: Control,
    pub(crate) store: Store,
    /// Goes when the process does.
    _sockets: Option<SocketFolder>,
}

/// What members are made of.
struct Parts<'a> {
    plan: &'a Plan,
    store: Store,
    /// Database connections of each member that is here.
    budgets: BTreeMap<&'static str, u32>,
    control: Control,
    metrics: Arc<Metrics>,
    endpoints: Arc<Endpoints>,
    archive: Option<Archive>,
    children: Vec<Placed>,
    /// By process name.
    clients: BTreeMap<String, ChildClient>,
    access: Access,
    clock: Clock,
    stop: Stop,
}

/// Connections of a process that are on nobody's budget: `control` and what is asked of it.
const CONTROL_CONNECTIONS: u32 = 3;

/// Puts the members of a plan together.
pub(crate) fn compose(
    plan: &Plan,
    doors: Doors,
    clock: Clock,
    random: Random,
    id: Ulid,
    profiler: Option<Profiler>,
    stop: &Stop,
) -> Result<Composed, Failure> {
    let config = &plan.config;
    let here: Vec<&Entry> = plan
        .placement
        .here
        .iter()
        .filter_map(|name| catalogue::find(name))
        .collect();
    let mut budgets = BTreeMap::new();
    for entry in &here {
        budgets.insert(entry.name, super::connections(&plan.loaded, entry)?);
    }
    let connections_max = CONTROL_CONNECTIONS + budgets.values().sum::<u32>();
    let store = open_store(config, connections_max, &clock)?;
    let (children, sockets) = children::place(plan, id)?;
    let handle = profiler.as_ref().map(Profiler::handle);

    let registered =
        |error: prometheus::Error| Failure::Failed(format!("can't register the metrics: {error}"));
    let registry = davy_control::registry(&plan.placement.process).map_err(registered)?;
    let archive = open_archive(config, &here, &clock, random, &registry)?;
    let settings = Toggles::new();
    settings.set_configured(toggles::configured(&plan.loaded)?);
    let fleet = Fleet {
        store: store.member("control", CONTROL_CONNECTIONS),
        process: id,
    };
    let debug = DebugPort {
        host: host(),
        address: doors.debug_at.to_string(),
    };
    let endpoints = Endpoints::new(
        clock.clone(),
        settings.clone(),
        Some(fleet),
        debug,
        &registry,
    )
    .map_err(registered)?;
    let access = Access::new(
        AccessOptions {
            token: config.http_token.clone(),
            require_token: config.http_require_token,
            hosts: config.http_hosts.clone(),
            trusted_proxies: config.http_trusted_proxies.clone(),
        },
        &registry,
    )
    .map_err(registered)?;
    let clients: BTreeMap<String, ChildClient> = children
        .iter()
        .map(|placed| {
            let process = &placed.child.process;
            let client = ChildClient::new(process, placed.socket.clone(), clock.clone());
            (process.clone(), client)
        })
        .collect();
    let metrics = Metrics::new(
        registry,
        &plan.placement.process,
        handle.clone(),
        scrape_children(clients.values().cloned().collect()),
    );
    let control = Control::new(ControlOptions {
        identity: Identity {
            id,
            process: plan.placement.process.clone(),
            host: host(),
            parent: plan.parent.as_ref().map(|parent| parent.id.clone()),
            version: env!("CARGO_PKG_VERSION"),
            debug: doors.debug_at.to_string(),
        },
        clock: clock.clone(),
        store: store.member("control", CONTROL_CONNECTIONS),
        endpoints: endpoints.clone(),
        toggles: settings,
        profiler: handle,
        members: toggles::member_names(),
        access: access.clone(),
    });
    push_profiles(plan, &doors, profiler.as_ref())?;
    let parts = Parts {
        plan,
        store: store.clone(),
        budgets,
        control: control.clone(),
        metrics: Arc::new(metrics.map_err(registered)?),
        endpoints,
        archive,
        children,
        clients,
        access,
        clock: clock.clone(),
        stop: stop.clone(),
    };
    let process = parts.process(&clock, &here, doors, id, profiler)?;
    control.attach(process.handle());
    Ok(Composed {
        process,
        control,
        store,
        _sockets: sockets,
    })
}

pub(super) fn open_store(
    config: &Config,
    connections_max: u32,
    clock: &Clock,
) -> Result<Store, Failure> {
    let options = davy_store::Options {
        url: config.database.clone(),
        connections_max,
        clock: clock.clone(),
    };
    if let Some(folder) = config.database.strip_prefix("sqlite:").and_then(|path| {
        let path = std::path::Path::new(path.trim_start_matches("//"));
        path.parent().map(std::path::Path::to_owned)
    }) {
        // It can't be opened where its folder is not.
        let _ = std::fs::create_dir_all(folder);
    }
    Store::new(options).map_err(|error| Failure::Usage(error.to_string()))
}

fn open_archive(
    config: &Config,
    here: &[&Entry],
    clock: &Clock,
    random: Random,
    registry: &Registry,
) -> Result<Option<Archive>, Failure> {
    if !here.iter().any(|entry| entry.name.starts_with("archive.")) {
        return Ok(None);
    }
    let mut options = davy_archive::ArchiveOptions::new(bucket::open(&config.bucket_url)?);
    options.clock = clock.clone();
    options.random = random;
    options.flush_interval = config.flush_interval;
    options.flush_bytes = config.flush_bytes;
    options.compact_interval = config.compact_interval;
    options.cache_bytes = config.cache_bytes;
    let archive = Archive::new(options, registry)
        .map_err(|error| Failure::Failed(format!("can't register the metrics: {error}")))?;
    Ok(Some(archive))
}

fn scrape_children(clients: Vec<ChildClient>) -> Option<davy_control::Children> {
    if clients.is_empty() {
        return None;
    }
    Some(Box::new(move || {
        let clients = clients.clone();
        Box::pin(async move {
            let scrapes = clients.iter().map(ChildClient::metrics);
            let texts = futures_util::future::join_all(scrapes).await;
            texts.into_iter().flatten().collect()
        })
    }))
}

/// Where this process's own windows go: to itself, to its parent, or where the configuration says.
fn push_profiles(plan: &Plan, doors: &Doors, profiler: Option<&Profiler>) -> Result<(), Failure> {
    let Some(profiler) = profiler else {
        return Ok(());
    };
    let configured = &plan.config.profiler_archives;
    let own = doors.archive_at.unwrap_or(plan.config.archive_listen);
    let urls = match &plan.parent {
        _ if !configured.is_empty() => configured.clone(),
        Some(parent) if !parent.archive.is_empty() => vec![parent.archive.clone()],
        _ => vec![format!("http://{own}")],
    };
    for url in urls {
        let pushed = profiler.handle().push_to(&url);
        pushed.map_err(|error| Failure::Failed(format!("the profiler can't push: {error}")))?;
    }
    Ok(())
}

impl Parts<'_> {
    fn process(
        &self,
        clock: &Clock,
        here: &[&Entry],
        doors: Doors,
        id: Ulid,
        profiler: Option<Profiler>,
    ) -> Result<Process, Failure> {
        let optional = !here.iter().any(|entry| entry.needs_database);
        let debug = self.debug_routes(profiler.as_ref());
        let debug = self.listener("debug", doors.debug.clone(), debug);
        let mut process = Process::new(clock.clone())
            .workers(self.plan.workers.clone())
            .member(davy_control::database_member(&self.control, optional).beside_supervisor())
            .member(davy_control::control_member(&self.control).beside_supervisor())
            .member(debug.beside_supervisor());
        for entry in here {
            process = process.member(self.member(entry)?);
        }
        // A listener opens when those are ready whose requests come in by it.
        let mut listeners = Vec::new();
        let public = doors
            .public
            .iter()
            .map(|(door, listener)| (Some(*door), listener));
        let socket = doors.socket.iter().map(|listener| (None, listener));
        for (door, listener) in public.chain(socket) {
            let name = door.map_or("listener.parent", Door::member);
            let behind: Vec<&str> = here
                .iter()
                .filter(|entry| door.is_none_or(|door| entry.doors.contains(&door)))
                .filter(|entry| !entry.needs_database)
                .map(|entry| entry.name)
                .collect();
            let routes = self.door_routes(door, here);
            process = process.member(self.listener(name, listener.clone(), routes).after(behind));
            listeners.push(name.to_owned());
        }
        let children =
            children::members(self.plan, id, &self.children, doors.archive_at, &listeners)?;
        // The profiler is the last to start and the first to stop, so that its last windows still
        // find an archiver.
        let before_profiler: Vec<String> = listeners
            .into_iter()
            .chain(children.iter().map(|child| child.name().to_owned()))
            .collect();
        for child in children {
            process = process.member(child);
        }
        if let Some(profiler) = profiler {
            process = process.member(self.profiler(profiler).after(before_profiler));
        }
        process
            .build()
            .map_err(|error| Failure::Usage(error.to_string()))
    }

    /// The database, on a member's budget.
    fn store_of(&self, entry: &Entry) -> Store {
        let connections = self.budgets.get(entry.name).copied().unwrap_or_default();
        self.store.member(entry.name, connections)
    }

    fn member(&self, entry: &Entry) -> Result<Member, Failure> {
        let store = || self.store_of(entry);
        let interval = || super::interval(&self.plan.loaded, entry);
        let archive = || {
            // It is made for every process that hosts one of its members.
            let missing = || Failure::Failed(format!("{} has no archive", entry.name));
            self.archive.clone().ok_or_else(missing)
        };
        Ok(match entry.name {
            "archive.ingest" => ingest(archive()?),
            "archive.compactor" => compactor(archive()?),
            "gc.processes" => {
                davy_control::gc::processes(&self.control, store(), interval()?).after(["control"])
            }
            "gc.audit" => {
                davy_control::gc::audit(&self.control, store(), interval()?).after(["control"])
            }
            served => Member::served(served),
        })
    }

    fn listener(&self, name: &str, listener: Listener, router: Router) -> Member {
        let (ingest, stop) = (
            self.archive.as_ref().map(Archive::ingest),
            self.stop.clone(),
        );
        let (clock, access) = (self.clock.clone(), self.access.clone());
        Member::new(name, Kind::Listener, move |context: Context| {
            let (listener, router) = (listener.clone(), router.clone());
            let (ingest, stop) = (ingest.clone(), stop.clone());
            let (clock, access) = (clock.clone(), access.clone());
            async move {
                context.ready();
                let hurry = async {
                    context.draining().await;
                    // What was pushed waits to be written, and this listener waits for its answer.
                    if let Some(ingest) = ingest.filter(|_| stop.is_draining()) {
                        ingest.hurry();
                    }
                };
                tokio::join!(
                    http::serve(&context, &clock, listener, router, access),
                    hurry
                );
                Ok(())
            }
        })
    }

    fn profiler(&self, profiler: Profiler) -> Member {
        let ingest = self.archive.as_ref().map(Archive::ingest);
        let handle = profiler.handle();
        let hz = self.plan.config.profiler_hz;
        // It is shut down once, when the process stops; disabled, it only takes no samples.
        let profiler = Arc::new(Mutex::new(Some(profiler)));
        let stop = self.stop.clone();
        Member::new("profiler", Kind::Loop, move |context: Context| {
            let (profiler, ingest) = (profiler.clone(), ingest.clone());
            let (handle, stop) = (handle.clone(), stop.clone());
            async move {
                handle.set_hz(hz)?;
                context.ready();
                context.draining().await;
                if !stop.is_draining() {
                    handle.set_hz(0)?;
                    return Ok(());
                }
                if let Some(ingest) = ingest {
                    ingest.hurry();
                }
                let profiler = profiler
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .take();
                if let Some(profiler) = profiler {
                    context
                        .spawn_blocking("shutdown", move || profiler.shutdown(PROFILER_DEADLINE))
                        .await??;
                }
                Ok(())
            }
        })
        .stop_deadline(PROFILER_DEADLINE + Duration::from_secs(2))
    }

    fn health_routes(&self) -> Router {
        davy_control::health_router(&self.control, self.metrics.clone())
    }

    fn debug_routes(&self, profiler: Option<&Profiler>) -> Router {
        let mut routes = self
            .health_routes()
            .merge(davy_control::emergency_router(&self.control));
        if let Some(profiler) = profiler {
            routes = routes.merge(davy_profiler::debug_router(profiler.handle()));
        }
        davy_control::finish(routes, &self.endpoints, ListenerKind::Debug)
    }

    /// What comes in by a door: routes of members here, of members in children, and an answer for
    /// those of members elsewhere. A child has one socket for all doors.
    fn door_routes(&self, door: Option<Door>, here: &[&Entry]) -> Router {
        let comes_in = |entry: &Entry| door.is_none_or(|door| entry.doors.contains(&door));
        let mut local = self.health_routes();
        for entry in here.iter().filter(|entry| comes_in(entry)) {
            local = match (entry.name, &self.archive) {
                ("api", _) => local.merge(davy_control::api_router(
                    &self.control,
                    self.store_of(entry),
                )),
                ("ui", _) => local.merge(http::assets()),
                ("archive.ingest", Some(archive)) => local.merge(archive.ingest_router()),
                ("archive.query", Some(archive)) => local.merge(archive.query_router()),
                _ => local,
            };
        }
        let local = davy_control::finish(local, &self.endpoints, ListenerKind::Public);
        let mut elsewhere = Router::new();
        let mut paths = std::collections::BTreeSet::new();
        let process = &self.plan.placement.process;
        for operation in davy_control::operations() {
            let Some(entry) = MEMBERS.iter().find(|entry| entry.name == operation.member) else {
                continue;
            };
            let is_here = here.iter().any(|own| own.name == entry.name);
            if is_here || !comes_in(entry) || !paths.insert(operation.path) {
                continue;
            }
            let child = door.and_then(|door| children::of_member(&self.children, door, entry.name));
            let route = match child {
                Some(placed) => self.clients[&placed.child.process].route(),
                // The page takes every path that is left; without it there is nothing there.
                None if entry.name == "ui" => continue,
                None => http::absent(operation.id, operation.member, process),
            };
            elsewhere = elsewhere.route(operation.path, route);
        }
        // Their endpoints' toggles and figures are where their members are, so they pass no layer.
        local.merge(elsewhere)
    }
}

fn ingest(archive: Archive) -> Member {
    Member::new("archive.ingest", Kind::Loop, move |context: Context| {
        let ingest = archive.ingest();
        async move {
            let flushing = context.spawn("flush", ingest.clone().run(context.drain()));
            // A push that came before the flush loop would be told that ingestion is stopped.
            while !ingest.is_accepting() {
                tokio::task::yield_now().await;
            }
            context.ready();
            Ok(flushing.await?)
        }
    })
}

fn compactor(archive: Archive) -> Member {
    Member::new("archive.compactor", Kind::Loop, move |context: Context| {
        let compactor = archive.compactor();
        async move {
            context.ready();
            compactor.run(context.drain()).await;
            Ok(())
        }
    })
}
