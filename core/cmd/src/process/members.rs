//! Constructs the members of a process, one per [`MemberId`].

use super::arclamp;
use super::member_settings::interval;
use super::parts::Parts;
use super::rules;
use super::scraper;
use crate::catalogue::MemberId;
use crate::failure::Failure;
use crate::http::{self, Listener};
use axum::Router;
use davy_archive::Archive;
use davy_control::gc::{self, Collector};
use davy_profiler::Profiler;
use davy_render::Renderer;
use davy_runtime::{Context, Member, MemberKind};
use davy_symbols::DebugFiles;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long the profiler may take to deliver its last windows.
const PROFILER_DEADLINE: Duration = Duration::from_secs(20);

/// A placed member.
pub(super) fn placed(parts: &Parts<'_>, member: MemberId) -> Result<Member, Failure> {
    let store = || parts.store_of(member);
    let interval = || interval(&parts.plan.loaded, member);
    let archive = || {
        // `open_archive` creates it for every process with such a member.
        let archive = parts.archive.clone();
        archive.ok_or_else(|| Failure::failed(format!("cannot start member {member}: the archive of the process is not open; report this as a bug")))
    };
    let name = member.name();
    let collector = |collector: Collector| -> Result<Member, Failure> {
        let metrics = parts.collectors.clone();
        let interval = interval()?;
        let member = gc::collector(&parts.control, store(), name, interval, collector, metrics);
        Ok(member.after(["control"]))
    };
    Ok(match member {
        // Only their endpoints do work, so these members have no task.
        MemberId::Api | MemberId::Ui | MemberId::Gateway => Member::served(name),
        MemberId::ArchiveQuery => query(name, parts.debug_files.clone()),
        MemberId::ArchiveIngest => ingest(name, archive()?),
        MemberId::ArchiveCompactor => compactor(name, archive()?),
        MemberId::ArchiveRenderer => {
            let renderer = parts.renderer.clone();
            renderer.map(|renderer| self::renderer(name, renderer)).ok_or_else(|| {
                Failure::failed(format!(
                    "cannot start member {member}: the process has no renderer; report this as a bug"
                ))
            })?
        }
        MemberId::ArchiveRules => rules::member(name, parts),
        MemberId::ArchiveScraper => scraper::member(name, parts),
        MemberId::ArchiveArclamp => arclamp::member(name, parts, store()),
        MemberId::GcProcesses => {
            davy_control::gc::processes(&parts.control, store(), name, interval()?)
                .after(["control"])
        }
        MemberId::GcAudit => {
            davy_control::gc::audit(&parts.control, store(), name, interval()?).after(["control"])
        }
        MemberId::GcBuilds => collector(Collector::Builds)?,
        MemberId::GcContainers => collector(Collector::Containers)?,
        MemberId::GcVolumes => collector(Collector::Volumes)?,
        MemberId::GcWorkers => collector(Collector::Workers)?,
    })
}

fn ingest(name: &str, archive: Archive) -> Member {
    Member::new(name, MemberKind::Loop, move |context: Context| {
        let ingest = archive.ingest();
        async move {
            let flushing = context.spawn("flush", ingest.clone().run(context.drain()));
            // Before the flush loop runs, a push would be refused because ingestion is stopped.
            while !ingest.is_accepting() {
                tokio::task::yield_now().await;
            }
            context.ready();
            Ok(flushing.await?)
        }
    })
}

/// Its endpoints do the work; the task fetches the debug files that queries miss.
fn query(name: &str, files: Option<DebugFiles>) -> Member {
    let Some(files) = files.filter(DebugFiles::fetches) else {
        return Member::served(name);
    };
    Member::new(name, MemberKind::Loop, move |context: Context| {
        let files = files.clone();
        async move {
            context.ready();
            files.run(context.drain()).await;
            Ok(())
        }
    })
}

fn compactor(name: &str, archive: Archive) -> Member {
    Member::new(name, MemberKind::Loop, move |context: Context| {
        let compactor = archive.compactor();
        async move {
            context.ready();
            compactor.run(context.drain()).await;
            Ok(())
        }
    })
}

fn renderer(name: &str, renderer: Renderer) -> Member {
    Member::new(name, MemberKind::Loop, move |context: Context| {
        let renderer = renderer.clone();
        async move {
            context.ready();
            renderer.run(context.drain()).await;
            Ok(())
        }
    })
}

/// A member that accepts the connections of a listener.
pub(super) fn listener(
    parts: &Parts<'_>,
    name: &str,
    listener: Listener,
    router: Router,
) -> Member {
    let ingest = parts.archive.as_ref().map(Archive::ingest);
    let stop = parts.stop.clone();
    let (clock, access) = (parts.clock.clone(), parts.access.clone());
    Member::new(name, MemberKind::Listener, move |context: Context| {
        let (listener, router) = (listener.clone(), router.clone());
        let (ingest, stop) = (ingest.clone(), stop.clone());
        let (clock, access) = (clock.clone(), access.clone());
        async move {
            context.ready();
            let hurry = async {
                context.draining().await;
                // Pushes are acknowledged once they are written, and this listener waits for them.
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

/// The member `profiler`.
pub(super) fn profiler(parts: &Parts<'_>, profiler: Profiler) -> Member {
    let ingest = parts.archive.as_ref().map(Archive::ingest);
    let handle = profiler.handle();
    let hz = parts.plan.config.profiler_hz;
    // It shuts down once, when the process stops. While the member is disabled, it takes no samples.
    let profiler = Arc::new(Mutex::new(Some(profiler)));
    let stop = parts.stop.clone();
    Member::new("profiler", MemberKind::Loop, move |context: Context| {
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
