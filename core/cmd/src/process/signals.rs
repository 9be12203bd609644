//! Signals: the first SIGTERM or SIGINT drains, the second stops immediately, SIGHUP reloads the
//! configuration.

use super::compose::Composed;
use super::plan::Plan;
use super::toggles;
use crate::config::{
    Loaded, RecordingConfig, configured_limits, configured_rules, configured_scrape,
};
use crate::failure::Failure;
use davy_runtime::{State, Stop};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Starts handling signals.
pub(super) fn watch(stop: &Stop, plan: &Plan, composed: &Composed) -> Result<(), Failure> {
    let handler = |kind| signal(kind).map_err(Failure::because("cannot handle signals"));
    let mut terminate = handler(SignalKind::terminate())?;
    let mut interrupt = handler(SignalKind::interrupt())?;
    let hangup = handler(SignalKind::hangup())?;
    let stop = stop.clone();
    tokio::spawn(davy_tag::tagged("control", "signals", async move {
        let mut next =
            async || tokio::select! { _ = terminate.recv() => (), _ = interrupt.recv() => () };
        next().await;
        tracing::info!("stopping; a second signal skips the deadlines");
        stop.drain();
        next().await;
        tracing::warn!("second signal received, stopping immediately");
        stop.force();
    }));
    let reload = reload(hangup, plan, composed);
    tokio::spawn(davy_tag::tagged("control", "reload", reload));
    Ok(())
}

/// Reloads the configuration at each SIGHUP and forwards the signal to the children. Toggles, the limits of tenants, the
/// rules of retention, and the files of recording rules and of what is scraped change immediately; other settings take
/// effect at the next start.
fn reload(
    mut hangup: Signal,
    plan: &Plan,
    composed: &Composed,
) -> impl Future<Output = ()> + Send + 'static {
    let flags = plan.flags.clone();
    let states = composed.process.states();
    let control = composed.control.clone();
    let archive = composed.archive.clone();
    let scraper = composed.scraper.clone();
    async move {
        while hangup.recv().await.is_some() {
            let loaded = Loaded::from_environment(&flags);
            let read = loaded.and_then(|of| {
                let (limits, rules) = (configured_limits(&of)?, configured_rules(&of)?);
                let files = (RecordingConfig::new(&of)?.rules, configured_scrape(&of)?);
                Ok((toggles::configured(&of)?, limits, rules, files))
            });
            match read {
                Ok((settings, limits, rules, (recording, scrape))) => {
                    tracing::info!(
                        "configuration reloaded; toggles, limits, rules and scraped targets are in effect"
                    );
                    if let Some(archive) = &archive {
                        archive.limits().replace(limits);
                        archive.retention_rules().replace(rules);
                        archive.rules().replace(recording);
                        archive.reloaded(true);
                    }
                    if let (Some(scraper), Some(scrape)) = (&scraper, scrape) {
                        scraper.set_config(scrape);
                    }
                    control.configure(settings).await;
                }
                Err(error) => {
                    tracing::error!(%error, "invalid configuration; keeping the previous one");
                    if let Some(archive) = &archive {
                        archive.reloaded(false);
                    }
                    continue;
                }
            }
            // A child that is not ready may not handle SIGHUP yet, and the signal would kill it.
            let ready = states
                .all()
                .into_iter()
                .filter(|member| member.state == State::Ready);
            for pid in ready.filter_map(|member| member.pid) {
                // SAFETY: kill takes two integers; for a process that has exited it returns an error,
                // which is ignored.
                unsafe { libc::kill(pid.cast_signed(), libc::SIGHUP) };
            }
        }
    }
}
