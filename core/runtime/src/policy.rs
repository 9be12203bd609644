//! Policy by kind of member: what follows from a failure, and the limits.

use davy_base::Random;
use std::fmt;
use std::time::Duration;

/// The kind of a member, which selects its policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MemberKind {
    /// Accepts requests. The process stops if it cannot be kept running.
    Listener,
    /// Works until it is drained.
    Loop,
    /// Works at intervals.
    Periodic,
    /// A child process.
    Child,
    /// Works once; it is ready when it has ended without an error.
    Once,
}

impl MemberKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::Listener,
        Self::Loop,
        Self::Periodic,
        Self::Child,
        Self::Once,
    ];

    /// Its name in tables, metrics and the API.
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

impl fmt::Display for MemberKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a run failed, or ended without being asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It ended without an error.
    Ended,
    /// It returned an error; for a child: it exited with a status other than 0, or was killed.
    Failed,
    /// It panicked.
    Panicked,
    /// It missed its ready deadline and was stopped.
    NotReady,
    /// It failed more than [`Limits::restarts`] times within [`Limits::restart_window`].
    GivenUp,
}

/// What the supervisor does after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Restarts the member after a back-off.
    Restart,
    /// Marks the member as done; its dependents may start.
    Complete,
    /// Stops the process in order; the trace names the member.
    StopProcess,
    /// Marks the member as failed and leaves it stopped; the other members are not affected.
    FailMember,
}

/// The action after a failure of a member of this kind.
pub const fn action(kind: MemberKind, failure: Failure) -> Action {
    match (kind, failure) {
        (MemberKind::Once, Failure::Ended) => Action::Complete,
        (
            MemberKind::Listener | MemberKind::Loop | MemberKind::Periodic | MemberKind::Child,
            Failure::Ended,
        )
        | (
            MemberKind::Listener
            | MemberKind::Loop
            | MemberKind::Periodic
            | MemberKind::Child
            | MemberKind::Once,
            Failure::Failed | Failure::Panicked | Failure::NotReady,
        ) => Action::Restart,
        (MemberKind::Listener | MemberKind::Once, Failure::GivenUp) => Action::StopProcess,
        (MemberKind::Loop | MemberKind::Periodic | MemberKind::Child, Failure::GivenUp) => {
            Action::FailMember
        }
    }
}

/// Deadlines, back-offs and restarts of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time from the start within which it must be ready.
    pub ready_deadline: Duration,
    /// Time from the drain until it is aborted.
    pub stop_deadline: Duration,
    /// The back-off before the first restart. Each further restart doubles it.
    pub backoff_base: Duration,
    /// The longest back-off.
    pub backoff_max: Duration,
    /// The number of restarts within the restart window. The next failure gives the member up.
    pub restarts: u32,
    /// The time over which failures are counted.
    pub restart_window: Duration,
}

/// How long a member may take to end after it was aborted. After that it is considered hung.
pub const CUT_DEADLINE: Duration = Duration::from_secs(1);

/// The limits of a kind.
pub const fn limits(kind: MemberKind) -> Limits {
    let usual = Limits {
        ready_deadline: Duration::from_secs(30),
        stop_deadline: Duration::from_secs(10),
        backoff_base: Duration::from_millis(100),
        backoff_max: Duration::from_secs(10),
        restarts: 10,
        restart_window: Duration::from_mins(10),
    };
    match kind {
        MemberKind::Listener => Limits {
            backoff_max: Duration::from_secs(5),
            restarts: 5,
            ..usual
        },
        MemberKind::Loop => usual,
        MemberKind::Periodic => Limits {
            backoff_base: Duration::from_secs(1),
            ..usual
        },
        // Longer than the deadlines of the members inside the child, which drain first.
        MemberKind::Child => Limits {
            stop_deadline: Duration::from_secs(15),
            ..usual
        },
        // Work that is done once, like a migration, may take long, and rarely succeeds after many attempts.
        MemberKind::Once => Limits {
            ready_deadline: Duration::from_mins(10),
            backoff_base: Duration::from_secs(1),
            restarts: 3,
            restart_window: Duration::from_hours(1),
            ..usual
        },
    }
}

impl Limits {
    /// The back-off after the given number of failures within the restart window. It doubles with each
    /// failure up to the longest back-off, and is reduced by up to a half at random, so that members that
    /// failed at the same time do not restart at the same time.
    pub fn backoff(&self, failures: u32, random: &mut Random) -> Duration {
        let doublings = failures.saturating_sub(1).min(30);
        let whole = self.backoff_base.saturating_mul(1 << doublings);
        let whole = whole.min(self.backoff_max);
        whole.mul_f64(1.0 - random.unit() / 2.0)
    }

    /// Extends the restart window so that failures that each take as long as possible still exceed the
    /// number of restarts within it.
    #[must_use]
    pub fn with_sufficient_window(mut self) -> Self {
        let slowest = self.ready_deadline + self.stop_deadline + CUT_DEADLINE + self.backoff_max;
        // From the first failure to the last one.
        let longest = slowest.saturating_mul(self.restarts) + CUT_DEADLINE;
        self.restart_window = self.restart_window.max(longest);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_with_jitter_up_to_the_maximum() {
        let limits = limits(MemberKind::Loop);
        let mut random = Random::seeded(7);
        for (failures, whole_ms) in [(1, 100), (2, 200), (5, 1_600), (8, 10_000), (999, 10_000)] {
            for _ in 0..100 {
                let wait = limits.backoff(failures, &mut random);
                let whole = Duration::from_millis(whole_ms);
                assert!(
                    wait <= whole && wait >= whole / 2,
                    "{failures} failures: {wait:?}"
                );
            }
        }
    }

    #[test]
    fn every_kind_is_given_up_even_if_failures_take_as_long_as_possible() {
        for kind in MemberKind::ALL {
            let limits = limits(kind);
            assert_eq!(limits, limits.with_sufficient_window(), "{kind}");
        }
    }

    #[test]
    fn readme_shows_the_limits() {
        let readme = include_str!("../README.md");
        for kind in MemberKind::ALL {
            let Limits {
                ready_deadline: ready,
                stop_deadline: stop,
                backoff_base: base,
                backoff_max: max,
                restarts,
                restart_window: window,
            } = limits(kind);
            let given_up = match action(kind, Failure::GivenUp) {
                Action::StopProcess => "stops the process",
                _ => "fails alone",
            };
            let clean = match action(kind, Failure::Ended) {
                Action::Complete => "done",
                _ => "restart",
            };
            let minutes = window.as_secs() / 60;
            let row = format!(
                "| {kind} | {clean} | {ready:?} | {stop:?} | {base:?} to {max:?} | {restarts} in {minutes} min | {given_up} |"
            );
            assert!(readme.contains(&row), "the README needs the row\n{row}");
        }
    }
}
