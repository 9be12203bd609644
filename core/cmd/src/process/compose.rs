//! Composes a process from its plan: members, listeners, and the order in which they start.

use super::children;
use super::listeners::Listeners;
use super::parts::Parts;
use super::plan::Plan;
use super::sockets::SocketFolder;
use super::{
    arclamp, member_settings, members, profiling, routes, rules, scraper, storage, toggles,
};
use crate::catalogue::{BuiltinMember, MemberId, PublicListener};
use crate::failure::Failure;
use crate::hostname::hostname;
use crate::http::ChildClient;
use davy_archive::Archive;
use davy_base::{Clock, Random};
use davy_cgroup::Hierarchy;
use davy_control::gc::CollectorMetrics;
use davy_control::{
    Access, AccessOptions, Control, ControlOptions, DebugPort, Endpoints, Fleet, Identity, Metrics,
};
use davy_profiler::Profiler;
use davy_runtime::{Process, Stop, Toggles};
use davy_scrape::Scraper;
use davy_store::Store;
use std::collections::BTreeMap;
use std::sync::Arc;
use ulid::Ulid;

/// A process that is ready to run.
pub(crate) struct Composed {
    pub(crate) process: Process,
    pub(crate) control: Control,
    pub(crate) store: Store,
    /// Set if a local member works on the archive.
    pub(crate) archive: Option<Archive>,
    /// The cgroups of its child processes.
    pub(crate) cgroups: Option<Hierarchy>,
    /// Set if a local member scrapes.
    pub(super) scraper: Option<Scraper>,
    /// Removed on drop.
    _sockets: Option<SocketFolder>,
}

/// Database connections of the member `control`; they belong to the budget of no placed member.
const CONTROL_CONNECTIONS: u32 = 3;

/// Composes the members of a plan.
pub(crate) fn compose(
    plan: &Plan,
    listeners: Listeners,
    clock: Clock,
    random: Random,
    id: Ulid,
    profiler: Option<Profiler>,
    stop: &Stop,
) -> Result<Composed, Failure> {
    let config = &plan.config;
    let local = &plan.placement.local;
    let mut budgets = BTreeMap::new();
    for member in local {
        let connections = member_settings::connections(&plan.loaded, *member)?;
        budgets.insert(*member, connections);
    }
    let connections_max = CONTROL_CONNECTIONS + budgets.values().sum::<u32>();
    let store = storage::open_store(config, connections_max, &clock)?;
    let (children, sockets) = children::place(plan, id)?;
    let cgroups = children::cgroups(&children);
    let handle = profiler.as_ref().map(Profiler::handle);

    let unregistered =
        |error: prometheus::Error| Failure::because("cannot register the metrics")(error);
    let registry = davy_control::registry(&plan.placement.process).map_err(unregistered)?;
    let archive = storage::open_archive(config, local, &clock, random.clone(), &registry)?;
    let renderer = match &archive {
        Some(archive) if local.contains(&MemberId::ArchiveRenderer) => Some(storage::renderer(
            config,
            archive,
            &clock,
            random.clone(),
            &registry,
        )?),
        _ => None,
    };
    let debug_files = match &archive {
        Some(archive) => Some(storage::debug_files(config, archive, &registry)?),
        None => None,
    };
    let rules = rules::new(plan, archive.as_ref(), &registry)?;
    let scraper = scraper::new(plan, &listeners, archive.as_ref(), &clock, &registry)?;
    let arclamp = arclamp::stream(plan, &listeners, id, &clock, &registry)?;
    let settings = Toggles::new();
    settings.set_configured(toggles::configured(&plan.loaded)?);
    let fleet = Fleet {
        store: store.member(BuiltinMember::Control.name(), CONTROL_CONNECTIONS),
        process: id,
    };
    let debug = DebugPort {
        host: hostname(),
        address: listeners.debug_at.to_string(),
    };
    let endpoints = Endpoints::new(
        clock.clone(),
        settings.clone(),
        Some(fleet),
        debug,
        &registry,
    )
    .map_err(unregistered)?;
    if let Some(handle) = &handle {
        let endpoints = endpoints.clone();
        let counting = handle.count_requests(move || endpoints.request_counts());
        counting.map_err(Failure::because("cannot count requests by operation"))?;
    }
    let access = Access::new(
        AccessOptions {
            token: config.http_token.clone(),
            require_token: config.http_require_token,
            hosts: config.http_hosts.clone(),
            trusted_proxies: config.http_trusted_proxies.clone(),
        },
        &registry,
    )
    .map_err(unregistered)?;
    let collectors = CollectorMetrics::new(&registry).map_err(unregistered)?;
    let clients = children::clients(&children, &clock);
    let metrics = Metrics::new(
        registry,
        &plan.placement.process,
        handle.clone(),
        child_metrics(clients.values().cloned().collect()),
    );
    let control = Control::new(ControlOptions {
        identity: Identity {
            id,
            process: plan.placement.process.clone(),
            host: hostname(),
            parent: plan.parent.as_ref().map(|parent| parent.id.clone()),
            version: env!("CARGO_PKG_VERSION"),
            debug: listeners.debug_at.to_string(),
        },
        clock: clock.clone(),
        store: store.member(BuiltinMember::Control.name(), CONTROL_CONNECTIONS),
        endpoints: endpoints.clone(),
        toggles: settings,
        profiler: handle,
        members: toggles::member_names(),
        access: access.clone(),
    });
    if let Some(objects) = storage::build_objects(config, local, &clock, random.clone())? {
        control.set_build_objects(objects);
    }
    if let Some(archive) = archive.clone() {
        let writes = move || {
            let failing = archive.bucket().failing()?;
            Some(format!(
                "writes have failed since {}: {}",
                failing.since, failing.message
            ))
        };
        control.add_check("bucket", Box::new(writes));
    }
    profiling::push(plan, &listeners, profiler.as_ref())?;
    let parts = Parts {
        plan,
        store: store.clone(),
        budgets,
        control: control.clone(),
        metrics: Arc::new(metrics.map_err(unregistered)?),
        collectors,
        endpoints,
        archive: archive.clone(),
        renderer,
        debug_files,
        scraper: scraper.clone(),
        rules,
        arclamp,
        id,
        children,
        clients,
        cgroups: cgroups.clone(),
        access,
        clock: clock.clone(),
        stop: stop.clone(),
    };
    let process = process(&parts, &clock, listeners, id, profiler)?;
    control.attach(process.handle());
    Ok(Composed {
        process,
        control,
        store,
        archive,
        cgroups: cgroups.and_then(Result::ok),
        scraper,
        _sockets: sockets,
    })
}

/// Scrapes the metrics of child processes, or `None` without any.
fn child_metrics(clients: Vec<ChildClient>) -> Option<davy_control::Children> {
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

fn process(
    parts: &Parts<'_>,
    clock: &Clock,
    listeners: Listeners,
    id: Ulid,
    profiler: Option<Profiler>,
) -> Result<Process, Failure> {
    let local = &parts.plan.placement.local;
    let is_database_optional = !local.iter().any(|member| member.spec().needs_database);
    let debug = members::listener(
        parts,
        BuiltinMember::Debug.name(),
        listeners.debug.clone(),
        routes::debug(parts, profiler.as_ref()),
    );
    let database = davy_control::database_member(&parts.control, is_database_optional);
    let mut process = Process::new(clock.clone())
        .workers(parts.plan.workers.clone())
        .member(database.on_supervisor_runtime())
        .member(davy_control::control_member(&parts.control).on_supervisor_runtime())
        .member(debug.on_supervisor_runtime());
    for member in local {
        process = process.member(members::placed(parts, *member)?);
    }
    // A listener starts after the members that it serves. Members that need the database are left out:
    // their endpoints respond with an error until the database does.
    let mut listener_names = Vec::new();
    let public = listeners.public.iter();
    let public = public.map(|(kind, listener)| (Some(*kind), listener));
    let socket = listeners.socket.iter().map(|listener| (None, listener));
    for (kind, listener) in public.chain(socket) {
        let name = kind
            .map_or(BuiltinMember::ListenerParent, PublicListener::member)
            .name();
        let served: Vec<&str> = local
            .iter()
            .filter(|member| kind.is_none_or(|kind| member.is_behind(kind)))
            .filter(|member| !member.spec().needs_database)
            .map(|member| member.name())
            .collect();
        let routes = routes::listener(parts, kind, local);
        let member = members::listener(parts, name, listener.clone(), routes);
        process = process.member(member.after(served));
        listener_names.push(name.to_owned());
    }
    let children = children::members(
        parts.plan,
        id,
        &parts.children,
        parts.cgroups.as_ref(),
        listeners.archive_at,
        &listener_names,
    )?;
    // The profiler starts last and stops first, so that an archiver still accepts its last windows.
    let before_profiler: Vec<String> = listener_names
        .into_iter()
        .chain(children.iter().map(|child| child.name().to_owned()))
        .collect();
    for child in children {
        process = process.member(child);
    }
    if let Some(profiler) = profiler {
        process = process.member(members::profiler(parts, profiler).after(before_profiler));
    }
    process
        .build()
        .map_err(Failure::invalid("cannot compose the process"))
}
