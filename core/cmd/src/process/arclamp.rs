//! The member `archive.arclamp`.

use super::listeners::Listeners;
use super::parts::Parts;
use super::plan::Plan;
use super::profiling;
use crate::catalogue::MemberId;
use crate::failure::Failure;
use davy_arclamp::{HOLD, Lease, Stream, StreamOptions};
use davy_base::{Clock, Random};
use davy_runtime::{Context, Member, MemberKind};
use davy_store::Store;
use futures_util::future::BoxFuture;
use std::sync::Arc;
use ulid::Ulid;

/// The stream of this process, if the member is local and a Redis is configured.
pub(super) fn stream(
    plan: &Plan,
    listeners: &Listeners,
    id: Ulid,
    clock: &Clock,
    registry: &prometheus::Registry,
) -> Result<Option<Arc<Stream>>, Failure> {
    let is_local = plan.placement.local.contains(&MemberId::ArchiveArclamp);
    let Some(config) = plan.config.arclamp.as_ref().filter(|_| is_local) else {
        return Ok(None);
    };
    for (file, note) in &config.notes {
        tracing::info!("{file}: {note}");
    }
    let token = Some(plan.config.profiler_token.clone());
    let options = StreamOptions {
        redis: config.redis.clone(),
        channels: config.channels.clone(),
        service: config.service.clone(),
        archives: profiling::archives(plan, listeners),
        token: token.filter(|token| !token.is_empty()),
        window: config.window,
        buffer_bytes: config.buffer_bytes,
        clock: clock.clone(),
        random: Random::system(),
        instance: id.to_string(),
    };
    let stream = Stream::new(options, registry);
    let failed = Failure::because("cannot register the metrics of Arc Lamp's stream");
    Ok(Some(Arc::new(stream.map_err(failed)?)))
}

/// The member. Without a Redis it does nothing.
pub(super) fn member(name: &'static str, parts: &Parts<'_>, store: Store) -> Member {
    let (stream, control, process) = (parts.arclamp.clone(), parts.control.clone(), parts.id);
    Member::new(name, MemberKind::Loop, move |context: Context| {
        let (stream, control) = (stream.clone(), control.clone());
        let lease = SlotLease {
            store: store.clone(),
            process: process.to_string(),
        };
        async move {
            context.ready();
            if let Some(stream) = stream {
                let notify = |text| control.note(name, Some(text));
                stream.run(&lease, &notify, context.drain()).await;
            } else {
                control.note(name, Some("idle: arclamp.redis is not set".to_owned()));
                context.draining().await;
            }
            control.note(name, None);
            Ok(())
        }
    })
}

/// The only slot of an operation of the fleet.
struct SlotLease {
    store: Store,
    process: String,
}

/// The name of the slot.
const SLOT: &str = "archive.arclamp";

impl Lease for SlotLease {
    fn take(&self) -> BoxFuture<'_, Result<bool, String>> {
        Box::pin(async {
            let process = &self.process;
            let taken = self.store.take_slot(SLOT, 1, process, process, HOLD).await;
            taken.map_err(|error| error.to_string())
        })
    }

    fn release(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            if let Err(error) = self.store.release_slot(SLOT, &self.process).await {
                tracing::debug!(%error, "cannot give the lease back; it expires");
            }
        })
    }
}
