//! When a failed attempt is retried: pure decisions, and the budget that keeps retries from amplifying an outage.

use crate::fault::FaultKind;
use std::time::Duration;

/// How attempts are retried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    /// Maximum number of attempts of one request.
    pub(crate) attempts: u32,
    /// Upper bound of the first pause; doubled for each further one.
    pub(crate) pause: Duration,
    /// Upper bound of every pause that the object store did not ask for.
    pub(crate) pause_max: Duration,
}

/// A failed attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failed {
    /// Why.
    pub(crate) kind: FaultKind,
    /// 1 for the first.
    pub(crate) number: u32,
    /// How long the object store asked to wait before a retry.
    pub(crate) retry_after: Option<Duration>,
    /// Time left for the request.
    pub(crate) left: Duration,
}

/// The pause before the next attempt, or `None` if there is none. `unit` is random, from 0 to 1: with full jitter,
/// clients that failed at the same time do not retry at the same time.
pub(crate) fn pause(policy: &Policy, failed: &Failed, unit: f64) -> Option<Duration> {
    if !failed.kind.is_temporary() || failed.number >= policy.attempts {
        return None;
    }
    let doublings = (failed.number - 1).min(16);
    let bound = policy
        .pause
        .saturating_mul(1 << doublings)
        .min(policy.pause_max);
    let pause = failed.retry_after.unwrap_or_default() + bound.mul_f64(unit);
    (pause < failed.left).then_some(pause)
}

/// Tokens that successes earn and that retries spend. During an outage retries stop; first attempts continue
/// and succeed once the object store is available again.
#[derive(Debug)]
pub(crate) struct Budget {
    tokens: f64,
    capacity: f64,
    /// Tokens of one success: the share of additional requests.
    share: f64,
}

impl Budget {
    pub(crate) fn new(capacity: f64, share: f64) -> Self {
        Self {
            tokens: capacity,
            capacity,
            share,
        }
    }

    /// Adds the tokens for one successful request.
    pub(crate) fn earn(&mut self) {
        self.tokens = (self.tokens + self.share).min(self.capacity);
    }

    /// Takes a token, if there is one.
    pub(crate) fn spend(&mut self) -> bool {
        let is_there = self.tokens >= 1.0;
        if is_there {
            self.tokens -= 1.0;
        }
        is_there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy {
        attempts: 4,
        pause: Duration::from_millis(100),
        pause_max: Duration::from_millis(300),
    };

    fn check(
        kind: FaultKind,
        number: u32,
        retry_after: Option<u64>,
        left: u64,
        expected: Option<u64>,
    ) {
        let failed = Failed {
            kind,
            number,
            retry_after: retry_after.map(Duration::from_millis),
            left: Duration::from_millis(left),
        };
        let pause = pause(&POLICY, &failed, 0.5);
        assert_eq!(pause, expected.map(Duration::from_millis), "{failed:?}");
    }

    #[test]
    fn pause_doubles_up_to_its_maximum_and_ends_with_the_attempts() {
        check(FaultKind::Busy, 1, None, 60_000, Some(50));
        check(FaultKind::TimedOut, 2, None, 60_000, Some(100));
        check(FaultKind::Damaged, 3, None, 60_000, Some(150));
        check(FaultKind::Failed, 4, None, 60_000, None);
    }

    #[test]
    fn pause_is_at_least_what_the_store_asks_for_and_within_the_time_left() {
        check(FaultKind::Busy, 1, Some(2_000), 60_000, Some(2_050));
        check(FaultKind::Busy, 1, Some(2_000), 1_000, None);
        check(FaultKind::Busy, 1, None, 50, None);
    }

    #[test]
    fn permanent_failures_are_not_retried() {
        for kind in [
            FaultKind::NotFound,
            FaultKind::NoBucket,
            FaultKind::Credentials,
            FaultKind::Forbidden,
        ] {
            check(kind, 1, None, 60_000, None);
        }
    }

    #[test]
    fn retries_during_an_outage_stay_within_the_budget() {
        let mut budget = Budget::new(10.0, 0.1);
        let retried = (0..1_000).filter(|_| budget.spend()).count();
        assert_eq!(retried, 10);
        for _ in 0..25 {
            budget.earn();
        }
        assert_eq!((0..100).filter(|_| budget.spend()).count(), 2);
    }
}
