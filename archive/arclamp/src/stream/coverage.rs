//! When what is published is counted: while the process is connected to Redis and has the lease.
//!
//! The lease ends by the clock of the database, and another process can take it then, whether this one can reach the
//! database or not. So this process stops counting before that, by its own monotonic clock.

use crate::metrics::Metrics;
use davy_base::Clock;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// How long the lease lasts after it was taken or kept.
pub const HOLD: Duration = Duration::from_secs(3);
/// How long before the end of the lease counting stops. Clocks that run at slightly different rates differ by less.
const MARGIN: Duration = Duration::from_millis(200);

pub(super) struct Coverage {
    clock: Clock,
    metrics: Metrics,
    state: Mutex<State>,
    /// The term was extended.
    extended: Notify,
}

/// Times are on the monotonic clock.
#[derive(Default)]
struct State {
    /// The end of the term in which this process may count.
    until: Duration,
    is_connected: bool,
    /// Since when nothing has been counted; `None` while it is.
    silent_since: Option<Duration>,
}

impl State {
    fn silence(&mut self, since: Duration) {
        let known = self.silent_since.get_or_insert(since);
        *known = since.min(*known);
    }
}

impl Coverage {
    pub(super) fn new(clock: Clock, metrics: Metrics) -> Self {
        let state = State {
            silent_since: Some(clock.monotonic()),
            ..State::default()
        };
        Self {
            clock,
            metrics,
            state: Mutex::new(state),
            extended: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No holder panics.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another process counts; it may have stopped since `silent_since`.
    pub(super) fn leave(&self, silent_since: Duration) {
        let mut state = self.state();
        *state = State {
            silent_since: Some(silent_since),
            ..State::default()
        };
        self.metrics.listening.set(0);
    }

    /// The lease was taken or kept. `asked` is when that was asked for, before which the lease cannot have begun.
    pub(super) fn extend(&self, asked: Duration) {
        let now = self.clock.monotonic();
        let mut state = self.state();
        if state.until <= now {
            // It has ended, even if nothing noticed it in between.
            let ended = state.until;
            if state.silent_since.is_none() {
                state.silence(ended);
            }
        }
        state.until = state.until.max(asked + HOLD.saturating_sub(MARGIN));
        self.resume(&mut state, now);
        self.extended.notify_one();
    }

    /// The process is subscribed. Returns for how long nothing was counted if it counts from now on.
    pub(super) fn connect(&self) -> Option<Duration> {
        let mut state = self.state();
        state.is_connected = true;
        self.resume(&mut state, self.clock.monotonic())
    }

    /// The connection is lost, and was last known to work at `alive_at`.
    pub(super) fn disconnect(&self, alive_at: Duration) {
        let mut state = self.state();
        state.is_connected = false;
        state.silence(alive_at);
        self.metrics.listening.set(0);
    }

    /// Counts the gap if this process counts from now on, and returns it.
    fn resume(&self, state: &mut State, now: Duration) -> Option<Duration> {
        if !state.is_connected || now >= state.until {
            return None;
        }
        self.metrics.listening.set(1);
        let gap = now.saturating_sub(state.silent_since.take()?);
        self.metrics.gap.inc_by(gap.as_secs_f64());
        Some(gap)
    }

    /// Whether what arrives now may be counted.
    pub(super) fn has_lease(&self) -> bool {
        self.clock.monotonic() < self.state().until
    }

    /// Returns when the term has ended.
    pub(super) async fn end(&self) {
        loop {
            let (now, until) = (self.clock.monotonic(), self.state().until);
            if now >= until {
                break;
            }
            self.clock.sleep(until.saturating_sub(now)).await;
        }
        let mut state = self.state();
        let ended = state.until;
        // Extended in between otherwise.
        if self.clock.monotonic() >= ended {
            state.silence(ended);
            self.metrics.listening.set(0);
        }
    }

    /// Returns when the term has been extended. Returns whether the process is connected.
    pub(super) async fn begin(&self) -> bool {
        while !self.has_lease() {
            self.extended.notified().await;
        }
        self.state().is_connected
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use davy_base::Timestamp;
    use prometheus::Registry;

    fn coverage() -> (Coverage, Metrics, Clock) {
        let metrics = Metrics::new(&Registry::new()).expect("new");
        let clock = Clock::tokio(Timestamp::EPOCH);
        let coverage = Coverage::new(clock.clone(), metrics.clone());
        (coverage, metrics, clock)
    }

    fn gap(metrics: &Metrics) -> u64 {
        (metrics.gap.get() * 1e3).round() as u64
    }

    #[tokio::test(start_paused = true)]
    async fn counting_stops_before_the_lease_ends_and_the_gap_is_counted_once() {
        let (coverage, metrics, clock) = coverage();
        coverage.extend(clock.monotonic());
        assert!(coverage.has_lease());
        assert_eq!(metrics.listening.get(), 0);
        assert!(coverage.connect().is_some());
        assert_eq!((metrics.listening.get(), gap(&metrics)), (1, 0));
        let asked = clock.monotonic();
        coverage.end().await;
        let counted = clock.monotonic().saturating_sub(asked);
        assert_eq!(counted, HOLD.saturating_sub(MARGIN));
        assert!(!coverage.has_lease());
        assert_eq!(metrics.listening.get(), 0);
        // The connection is lost a second later, and made again before the lease is kept again.
        clock.sleep(Duration::from_secs(1)).await;
        coverage.disconnect(clock.monotonic());
        assert_eq!(coverage.connect(), None);
        clock.sleep(Duration::from_secs(1)).await;
        coverage.extend(clock.monotonic());
        assert_eq!((metrics.listening.get(), gap(&metrics)), (1, 2_000));
    }

    #[tokio::test(start_paused = true)]
    async fn end_of_the_lease_that_nothing_noticed_is_a_gap() {
        let (coverage, metrics, clock) = coverage();
        coverage.extend(clock.monotonic());
        coverage.connect();
        // As in a process that was stopped.
        clock.sleep(HOLD + Duration::from_secs(4)).await;
        coverage.extend(clock.monotonic());
        assert_eq!(gap(&metrics), 4_200);
    }

    #[tokio::test(start_paused = true)]
    async fn answer_that_came_too_late_is_no_lease() {
        let (coverage, _, clock) = coverage();
        let asked = clock.monotonic();
        clock.sleep(HOLD).await;
        coverage.extend(asked);
        assert!(!coverage.has_lease());
    }
}
