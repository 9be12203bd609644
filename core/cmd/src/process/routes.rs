//! The routes of each listener: local members, members in child processes, and members of other
//! processes.

use super::children;
use super::parts::Parts;
use crate::catalogue::{MemberId, PublicListener};
use crate::http;
use axum::Router;
use davy_archive::Archive;
use davy_profiler::Profiler;
use davy_symbols::DebugFiles;
use std::collections::BTreeSet;

/// The routes of the debug port.
pub(super) fn debug(parts: &Parts<'_>, profiler: Option<&Profiler>) -> Router {
    let mut routes = health(parts).merge(davy_control::emergency_router(&parts.control));
    if let Some(profiler) = profiler {
        routes = routes.merge(davy_profiler::debug_router(profiler.handle()));
    }
    davy_control::finish(routes, &parts.endpoints, davy_control::ListenerKind::Debug)
}

/// The route of uploads of debug files.
fn debug_files(parts: &Parts<'_>) -> Router {
    let files = parts.debug_files.as_ref();
    files.map_or_else(Router::new, DebugFiles::router)
}

fn health(parts: &Parts<'_>) -> Router {
    davy_control::health_router(&parts.control, parts.metrics.clone())
}

/// The routes of a listener. `None` is the socket of a child process, which serves every member of the
/// child.
pub(super) fn listener(
    parts: &Parts<'_>,
    listener: Option<PublicListener>,
    members: &[MemberId],
) -> Router {
    let is_served = |member: MemberId| listener.is_none_or(|listener| member.is_behind(listener));
    let mut local = health(parts);
    for member in members.iter().filter(|member| is_served(**member)) {
        local = match (member, &parts.archive) {
            (MemberId::Api, _) => local.merge(davy_control::api_router(
                &parts.control,
                parts.store_of(*member),
                davy_control::ApiOptions {
                    captures: davy_control::CaptureOptions {
                        captures: parts.archive.as_ref().map(Archive::captures),
                        heap: http::heap_source(),
                    },
                    viewer: parts.plan.config.viewer.as_slice().into(),
                },
            )),
            (MemberId::Gateway, _) => local.merge(davy_control::gateway_router(
                &parts.control,
                parts.store_of(*member),
                parts.collectors.clone(),
            )),
            (MemberId::Ui, _) => local.merge(http::assets(http::PageOptions {
                clock: parts.clock.clone(),
                embed_origins: parts.plan.config.http_embed_origins.clone(),
            })),
            (MemberId::ArchiveIngest, Some(archive)) => local
                .merge(archive.ingest_router())
                .merge(davy_connect::otlp_router(archive))
                .merge(davy_connect::debuginfo_router(archive))
                .merge(debug_files(parts)),
            (MemberId::ArchiveQuery, Some(archive)) => local
                .merge(archive.query_router())
                .merge(davy_archive::overview_router(archive))
                .merge(davy_connect::router(archive)),
            // `open_archive` creates the archive for a process with one of these members.
            (MemberId::ArchiveIngest | MemberId::ArchiveQuery, None)
            | (
                MemberId::ArchiveCompactor
                | MemberId::ArchiveRenderer
                | MemberId::ArchiveArclamp
                | MemberId::ArchiveScraper
                | MemberId::ArchiveRules
                | MemberId::GcProcesses
                | MemberId::GcAudit
                | MemberId::GcBuilds
                | MemberId::GcContainers
                | MemberId::GcVolumes
                | MemberId::GcWorkers,
                _,
            ) => local,
        };
    }
    let local = davy_control::finish(local, &parts.endpoints, davy_control::ListenerKind::Public);
    let mut remote = Router::new();
    let mut paths = BTreeSet::new();
    let process = &parts.plan.placement.process;
    for operation in davy_control::operations() {
        // Endpoints of built-in members are on the debug port of each process.
        let Some(member) = MemberId::find(operation.member) else {
            continue;
        };
        if members.contains(&member) || !is_served(member) || !paths.insert(operation.path) {
            continue;
        }
        let child =
            listener.and_then(|listener| children::host_of(&parts.children, listener, member));
        let route = match child {
            Some(child) => parts.clients[&child.placement.process].route(),
            // The page serves every remaining path; without it those paths are not found.
            None if member == MemberId::Ui => continue,
            None => http::absent(operation.id, operation.member, process),
        };
        remote = remote.route(operation.path, route);
    }
    // The process that hosts the member applies its toggles and counts its requests, so these routes
    // pass no layer here.
    local.merge(remote)
}
