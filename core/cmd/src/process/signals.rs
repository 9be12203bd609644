//! Signals: a first one drains, a second one cuts off, SIGHUP reads the configuration again.

use super::compose::Composed;
use super::{Plan, toggles};
use crate::cli::Failure;
use crate::config::Loaded;
use davy_runtime::{State, Stop};
use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Watches from now on.
pub(crate) fn watch(stop: &Stop, plan: &Plan, composed: &Composed) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::Failed(format!("signals can't be watched: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let hangup = signal(SignalKind::hangup()).map_err(failed)?;
    let stop = stop.clone();
    tokio::spawn(davy_tag::tagged("control", "signals", async move {
        let mut next =
            async || tokio::select! { _ = terminate.recv() => (), _ = interrupt.recv() => () };
        next().await;
        tracing::info!("stopping; a second signal skips the deadlines");
        stop.drain();
        next().await;
        tracing::warn!("stopping at once, by a second signal");
        stop.hurry();
    }));
    let reload = reload(hangup, plan, composed);
    tokio::spawn(davy_tag::tagged("control", "reload", reload));
    Ok(())
}

/// Reads the configuration at each SIGHUP and hands it on to the children. Toggles follow it at
/// once; what else has changed holds from the next start.
fn reload(
    mut hangup: Signal,
    plan: &Plan,
    composed: &Composed,
) -> impl Future<Output = ()> + Send + 'static {
    let flags = plan.flags.clone();
    let states = composed.process.states();
    let control = composed.control.clone();
    async move {
        while hangup.recv().await.is_some() {
            let read = Loaded::read(&flags, std::env::vars());
            let read = read.and_then(|loaded| toggles::configured(&loaded));
            match read {
                Ok(settings) => {
                    tracing::info!("the configuration was read again; toggles follow it");
                    control.configure(settings).await;
                }
                Err(error) => {
                    tracing::error!(%error, "the configuration can't be used; the one before stays");
                    continue;
                }
            }
            // One that is not ready yet may not listen to this signal, and would die of it.
            let ready = states
                .all()
                .into_iter()
                .filter(|member| member.state == State::Ready);
            for pid in ready.filter_map(|member| member.pid) {
                // SAFETY: kill takes two numbers; a pid that is gone is an error that is ignored.
                unsafe { libc::kill(pid.cast_signed(), libc::SIGHUP) };
            }
        }
    }
}
