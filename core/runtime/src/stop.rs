//! Stopping a process.

use davy_tag::Tag;
use tokio_util::sync::CancellationToken;

/// Stops a process: in order, or by force. Cheap to clone; clones stop the same process.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    drain: CancellationToken,
    force: CancellationToken,
}

impl Stop {
    /// A stop that has not been triggered.
    pub fn new() -> Self {
        Self::default()
    }

    /// The first SIGTERM or SIGINT drains the members, the second one forces the stop. Needs a Tokio
    /// runtime.
    pub fn on_signals() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let stop = Self::new();
        let signalled = stop.clone();
        tokio::spawn(Tag::new("runtime", "signals").task(async move {
            let mut next =
                async || tokio::select! { _ = terminate.recv() => (), _ = interrupt.recv() => () };
            next().await;
            tracing::info!("draining; a second signal forces the stop");
            signalled.drain();
            next().await;
            tracing::warn!("second signal received; forcing the stop");
            signalled.force();
        }));
        Ok(stop)
    }

    /// Asks every member to finish its work and end, in the reverse order of the dependencies.
    pub fn drain(&self) {
        self.drain.cancel();
    }

    /// Cuts off all members immediately.
    pub fn force(&self) {
        self.drain.cancel();
        self.force.cancel();
    }

    /// Whether a stop, forced or not, was requested.
    pub fn is_draining(&self) -> bool {
        self.drain.is_cancelled()
    }

    /// Returns when a stop, forced or not, was requested.
    pub async fn draining(&self) {
        self.drain.cancelled().await;
    }

    /// Returns when a forced stop was requested.
    pub async fn forced(&self) {
        self.force.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forced_stop_also_drains_every_clone() {
        let stop = Stop::new();
        let other = stop.clone();
        assert!(!other.is_draining());
        stop.force();
        assert!(other.is_draining());
    }
}
