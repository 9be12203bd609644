//! How a process is told to stop.

use davy_tag::Tag;
use tokio_util::sync::CancellationToken;

/// Tells a process to stop, and then to stop at once. Cheap to clone; clones tell the same process.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    drain: CancellationToken,
    hurry: CancellationToken,
}

impl Stop {
    /// Nobody has asked for a stop yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// SIGTERM or SIGINT asks for a stop, the next of either for a stop at once. Needs a Tokio runtime.
    pub fn on_signals() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let stop = Self::new();
        let told = stop.clone();
        tokio::spawn(Tag::new("runtime", "signals").task(async move {
            let mut next =
                async || tokio::select! { _ = terminate.recv() => (), _ = interrupt.recv() => () };
            next().await;
            tracing::info!("stopping; a second signal stops at once");
            told.drain();
            next().await;
            tracing::warn!("stopping at once, by a second signal");
            told.hurry();
        }));
        Ok(stop)
    }

    /// Every member is to finish what it has, in the reverse order of the dependencies.
    pub fn drain(&self) {
        self.drain.cancel();
    }

    /// Nobody is given time any more.
    pub fn hurry(&self) {
        self.drain.cancel();
        self.hurry.cancel();
    }

    /// Whether a stop was asked for.
    pub fn is_draining(&self) -> bool {
        self.drain.is_cancelled()
    }

    /// Returns when a stop was asked for.
    pub async fn draining(&self) {
        self.drain.cancelled().await;
    }

    /// Returns when a stop at once was asked for.
    pub async fn hurrying(&self) {
        self.hurry.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_at_once_is_a_stop_and_every_clone_knows() {
        let stop = Stop::new();
        let other = stop.clone();
        assert!(!other.is_draining());
        stop.hurry();
        assert!(other.is_draining());
    }
}
