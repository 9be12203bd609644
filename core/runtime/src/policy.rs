//! What follows from how a member ended: the one table.

use davy_base::Random;
use std::fmt;
use std::time::Duration;

/// What a member is, which decides what its ends mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Takes requests in. A process whose listener can't be kept up has no purpose and stops.
    Listener,
    /// Works without end.
    Loop,
    /// Works now and then.
    Periodic,
    /// A unix process of its own.
    Child,
    /// Works once; its clean end is its readiness.
    Once,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::Listener,
        Self::Loop,
        Self::Periodic,
        Self::Child,
        Self::Once,
    ];

    /// The word for it in every table, metric and answer.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Listener => "listener",
            Self::Loop => "loop",
            Self::Periodic => "periodic",
            Self::Child => "child",
            Self::Once => "once",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// In which way a member ended although nobody had told it to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fall {
    /// Without an error.
    Ended,
    /// With an error; of a child: with a status other than 0, or by a signal.
    Failed,
    /// It panicked.
    Panicked,
    /// It was stopped, for it was not ready at its deadline.
    NotReady,
    /// It fell more often than [`Limits::restarts`] allow within [`Limits::span`].
    GivenUp,
}

/// What follows from a fall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is started again after a back-off.
    Restart,
    /// It has done its work; those that depend on it may start.
    Done,
    /// Every other member is stopped in order, and the trace says who began it.
    StopProcess,
    /// It stays down, named as failed; the others go on.
    FailMember,
}

/// What follows when a member of this kind falls in this way.
pub const fn verdict(kind: Kind, fall: Fall) -> Verdict {
    match (kind, fall) {
        (Kind::Once, Fall::Ended) => Verdict::Done,
        (Kind::Listener | Kind::Loop | Kind::Periodic | Kind::Child, Fall::Ended)
        | (
            Kind::Listener | Kind::Loop | Kind::Periodic | Kind::Child | Kind::Once,
            Fall::Failed | Fall::Panicked | Fall::NotReady,
        ) => Verdict::Restart,
        (Kind::Listener | Kind::Once, Fall::GivenUp) => Verdict::StopProcess,
        (Kind::Loop | Kind::Periodic | Kind::Child, Fall::GivenUp) => Verdict::FailMember,
    }
}

/// How long and how often, by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From its start until it must be ready.
    pub ready_deadline: Duration,
    /// From the drain until it is cut off.
    pub stop_deadline: Duration,
    /// The wait before the first restart; each further one doubles it.
    pub backoff_base: Duration,
    /// The longest wait before a restart.
    pub backoff_max: Duration,
    /// So many falls are answered by a restart; the next one within `span` gives it up.
    pub restarts: u32,
    /// The span in which falls are counted.
    pub span: Duration,
}

/// How long a member that was cut off may take to be gone; after that it is called hung.
pub const CUT_DEADLINE: Duration = Duration::from_secs(1);

/// The limits of a kind.
pub const fn limits(kind: Kind) -> Limits {
    let usual = Limits {
        ready_deadline: Duration::from_secs(30),
        stop_deadline: Duration::from_secs(10),
        backoff_base: Duration::from_millis(100),
        backoff_max: Duration::from_secs(10),
        restarts: 10,
        span: Duration::from_mins(10),
    };
    match kind {
        Kind::Listener => Limits {
            backoff_max: Duration::from_secs(5),
            restarts: 5,
            ..usual
        },
        Kind::Loop => usual,
        Kind::Periodic => Limits {
            backoff_base: Duration::from_secs(1),
            ..usual
        },
        // Its own members drain within their deadlines before it can end.
        Kind::Child => Limits {
            stop_deadline: Duration::from_secs(15),
            ..usual
        },
        // What is done once, such as a migration, may take long and is seldom worth many attempts.
        Kind::Once => Limits {
            ready_deadline: Duration::from_mins(10),
            backoff_base: Duration::from_secs(1),
            restarts: 3,
            span: Duration::from_hours(1),
            ..usual
        },
    }
}

impl Limits {
    /// The wait before the restart that follows the `falls`th fall within the span: the double of the
    /// one before, up to the longest, of which a random share of up to a half is taken off so that what
    /// fell together does not rise together.
    pub fn backoff(&self, falls: u32, random: &mut Random) -> Duration {
        let doublings = falls.saturating_sub(1).min(30);
        let whole = self.backoff_base.saturating_mul(1 << doublings);
        let whole = whole.min(self.backoff_max);
        whole.mul_f64(1.0 - random.unit() / 2.0)
    }

    /// The limits with a span in which the slowest falls still add up to a giving up.
    #[must_use]
    pub fn with_reachable_span(mut self) -> Self {
        let slowest = self.ready_deadline + self.stop_deadline + CUT_DEADLINE + self.backoff_max;
        // The span begins with the first fall and has to hold the last one.
        let longest = slowest.saturating_mul(self.restarts) + CUT_DEADLINE;
        self.span = self.span.max(longest);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backoff_doubles_with_jitter_up_to_its_longest() {
        let limits = limits(Kind::Loop);
        let mut random = Random::seeded(7);
        for (falls, whole_ms) in [(1, 100), (2, 200), (5, 1_600), (8, 10_000), (999, 10_000)] {
            for _ in 0..100 {
                let wait = limits.backoff(falls, &mut random);
                let whole = Duration::from_millis(whole_ms);
                assert!(
                    wait <= whole && wait >= whole / 2,
                    "{falls} falls: {wait:?}"
                );
            }
        }
    }

    #[test]
    fn every_kind_is_given_up_even_if_each_fall_takes_its_longest() {
        for kind in Kind::ALL {
            let limits = limits(kind);
            assert_eq!(limits, limits.with_reachable_span(), "{kind}");
        }
    }

    #[test]
    fn the_readme_shows_this_table() {
        let readme = include_str!("../README.md");
        for kind in Kind::ALL {
            let Limits {
                ready_deadline: ready,
                stop_deadline: stop,
                backoff_base: base,
                backoff_max: max,
                restarts,
                span,
            } = limits(kind);
            let given_up = match verdict(kind, Fall::GivenUp) {
                Verdict::StopProcess => "stops the process",
                _ => "fails alone",
            };
            let clean = match verdict(kind, Fall::Ended) {
                Verdict::Done => "done",
                _ => "restart",
            };
            let minutes = span.as_secs() / 60;
            let row = format!(
                "| {kind} | {clean} | {ready:?} | {stop:?} | {base:?} to {max:?} | {restarts} in {minutes} min | {given_up} |"
            );
            assert!(readme.contains(&row), "the README needs the row\n{row}");
        }
    }
}
