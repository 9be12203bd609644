//! Faults of requests to the object store.

use davy_base::{Random, Timestamp};
use std::ops::Range;
use std::time::Duration;

/// Probabilities of faults, in requests per thousand, and the lag of listings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    /// Requests that are refused.
    pub(crate) refused: u64,
    /// Requests that the store applies, but whose response is lost.
    pub(crate) lost: u64,
    /// Requests slower than the attempt timeout; the store may still apply them afterwards.
    pub(crate) slow: u64,
    /// Requests without a response.
    pub(crate) hung: u64,
    /// Listings that are late.
    pub(crate) late: u64,
    /// Maximum age of a change that a listing does not show.
    pub(crate) lag: Duration,
    /// When every request is refused.
    pub(crate) outage: Range<Timestamp>,
}

/// The fate of a request: when it is applied, when it is answered, and with what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fate {
    /// Time until it arrives at the store. If the client is killed earlier, it never arrives.
    pub(crate) arrives: Duration,
    /// Whether it is applied, and how long after its arrival, even if the client is killed.
    pub(crate) done: Option<Duration>,
    /// Time from its arrival to the response.
    pub(crate) answered: Duration,
    /// Whether the response is an error.
    pub(crate) fails: bool,
}

/// The longest time after which a request that timed out can still be applied.
pub(crate) const IN_FLIGHT: Duration = Duration::from_mins(1);
/// The time of the response of a request that hangs: long after its client has timed out.
const NEVER: Duration = Duration::from_hours(1);

fn millis(random: &mut Random, bound: u64) -> Duration {
    Duration::from_millis(random.below(bound))
}

impl Faults {
    /// Draws the fate of a request that is made now.
    pub(crate) fn fate(&self, now: Timestamp, random: &mut Random) -> Fate {
        // Most requests are applied on arrival or right before the response: a process can be killed in between.
        let quick = millis(random, 20);
        let before = random.below(2) == 0;
        let (arrives, answered) = if before {
            (quick, Duration::ZERO)
        } else {
            (Duration::ZERO, quick)
        };
        let usual = Fate {
            arrives,
            done: Some(Duration::ZERO),
            answered,
            fails: false,
        };
        let mut kind = random.below(1_000);
        let mut is = |share: u64| {
            let found = kind < share;
            kind = kind.wrapping_sub(share);
            found
        };
        if self.outage.contains(&now) || is(self.refused) {
            return Fate {
                done: None,
                fails: true,
                ..usual
            };
        }
        if is(self.lost) {
            return Fate {
                fails: true,
                ..usual
            };
        }
        if is(self.slow) {
            let done = millis(random, IN_FLIGHT.as_millis() as u64);
            let answered = done + millis(random, 20_000);
            return Fate {
                done: Some(done),
                answered,
                ..usual
            };
        }
        if is(self.hung) {
            let done = (random.below(2) == 0).then(|| millis(random, 10_000));
            return Fate {
                done,
                answered: NEVER,
                fails: true,
                ..usual
            };
        }
        usual
    }

    /// Draws the age from which a listing shows every change.
    pub(crate) fn lag(&self, random: &mut Random) -> Duration {
        if random.below(1_000) < self.late {
            self.lag
        } else {
            Duration::ZERO
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn store_without_faults_applies_and_answers_every_request() {
        let mut random = Random::seeded(1);
        for _ in 0..1_000 {
            let fate = Faults::default().fate(Timestamp::EPOCH, &mut random);
            assert!(fate.done.is_some() && !fate.fails, "{fate:?}");
            assert!(fate.answered < Duration::from_millis(20), "{fate:?}");
            assert_eq!(Faults::default().lag(&mut random), Duration::ZERO);
        }
    }
}
