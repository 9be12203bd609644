//! Wall-clock and monotonic time behind one handle.

use crate::timestamp::{Timestamp, saturating_nanos};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// The source of time. Cheap to clone; all clones show the same time.
///
/// With the feature `tokio` it is also the source of timers ([`Clock::sleep`], [`Clock::timeout`],
/// [`Clock::interval`]), so that a manual clock also controls when timers fire.
#[derive(Clone)]
pub struct Clock(pub(crate) Source);

#[derive(Clone)]
pub(crate) enum Source {
    System(Instant),
    Manual(Arc<Manual>),
    /// Follows the time of the tokio runtime, which a test can pause.
    #[cfg(feature = "tokio")]
    Tokio(tokio::time::Instant, Timestamp),
}

/// A clock that moves only by [`Clock::advance`].
pub(crate) struct Manual {
    now: AtomicI64,
    start: i64,
    #[cfg(feature = "tokio")]
    pub(crate) timers: crate::timers::Timers,
}

impl Manual {
    /// Time since the clock was created.
    pub(crate) fn monotonic(&self) -> Duration {
        let elapsed = self.now.load(Ordering::Acquire).saturating_sub(self.start);
        Duration::from_nanos(elapsed.max(0).unsigned_abs())
    }
}

impl Clock {
    /// The clock of the operating system.
    #[expect(
        clippy::disallowed_methods,
        reason = "the only place that reads the system's clock"
    )]
    pub fn system() -> Self {
        Self(Source::System(Instant::now()))
    }

    /// A clock that stands at `start` and moves only by [`Clock::advance`].
    pub fn manual(start: Timestamp) -> Self {
        Self(Source::Manual(Arc::new(Manual {
            now: AtomicI64::new(start.nanos()),
            start: start.nanos(),
            #[cfg(feature = "tokio")]
            timers: crate::timers::Timers::default(),
        })))
    }

    /// A clock that stands at `start` now and follows the time of the tokio runtime from here on.
    ///
    /// For tests with `#[tokio::test(start_paused = true)]`: whenever every task waits, tokio moves
    /// its time to the next timer, and this clock with it.
    #[cfg(feature = "tokio")]
    #[expect(
        clippy::disallowed_methods,
        reason = "the only place that reads the runtime's clock"
    )]
    pub fn tokio(start: Timestamp) -> Self {
        Self(Source::Tokio(tokio::time::Instant::now(), start))
    }

    /// Wall-clock time now.
    #[expect(
        clippy::disallowed_methods,
        reason = "the only place that reads the system's clock"
    )]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System(_) => match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
                Ok(since) => Timestamp::from_nanos(saturating_nanos(since)),
                Err(before) => Timestamp::EPOCH.minus(before.duration()),
            },
            Source::Manual(manual) => Timestamp::from_nanos(manual.now.load(Ordering::Acquire)),
            #[cfg(feature = "tokio")]
            Source::Tokio(_, start) => start.plus(self.monotonic()),
        }
    }

    /// Time since this clock was created. Never decreases, even if the wall clock is set back.
    pub fn monotonic(&self) -> Duration {
        match &self.0 {
            Source::System(start) => start.elapsed(),
            Source::Manual(manual) => manual.monotonic(),
            #[cfg(feature = "tokio")]
            Source::Tokio(start, _) => start.elapsed(),
        }
    }

    /// The reading of [`Clock::monotonic`] at which the next timer of a manual clock fires; `None` if no timer waits, and
    /// for other clocks. A simulation advances the clock to it.
    #[cfg(feature = "tokio")]
    pub fn next_deadline(&self) -> Option<Duration> {
        match &self.0 {
            Source::Manual(manual) => manual.timers.first(),
            _ => None,
        }
    }

    /// Moves a manual clock forward and fires the timers that are due. Other clocks are not moved.
    pub fn advance(&self, span: Duration) {
        if let Source::Manual(manual) = &self.0 {
            manual
                .now
                .fetch_add(saturating_nanos(span), Ordering::AcqRel);
            #[cfg(feature = "tokio")]
            manual.timers.fire(manual.monotonic());
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match &self.0 {
            Source::System(_) => "system",
            Source::Manual(_) => "manual",
            #[cfg(feature = "tokio")]
            Source::Tokio(..) => "tokio",
        };
        f.debug_tuple("Clock").field(&source).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manual_clock_moves_only_by_advance() {
        let clock = Clock::manual(Timestamp::from_seconds(5));
        let twin = clock.clone();
        assert_eq!(clock.now(), twin.now());
        clock.advance(Duration::from_secs(2));
        assert_eq!(twin.now(), Timestamp::from_seconds(7));
        assert_eq!(twin.monotonic(), Duration::from_secs(2));
    }

    #[cfg(feature = "tokio")]
    #[tokio::test(start_paused = true)]
    async fn tokio_clock_follows_the_paused_runtime() {
        let clock = Clock::tokio(Timestamp::from_seconds(5));
        clock.sleep(Duration::from_hours(1)).await;
        assert_eq!(clock.now(), Timestamp::from_seconds(3_605));
        assert_eq!(clock.monotonic(), Duration::from_hours(1));
    }
}
