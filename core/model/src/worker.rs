//! Workers.

use crate::illegal::Illegal;
use crate::illegal::check_due;
use crate::millis::Millis;
use crate::states::states;

/// From one report of a worker to the next.
pub const SYNC_INTERVAL: Millis = 30_000;
/// A worker is stalled when it has not reported for this time.
pub const HEARTBEAT_MAX: Millis = 2 * SYNC_INTERVAL;
/// How long stalled and landed workers are kept, with the rows of what they have.
pub const ABSENT_KEPT: Millis = 30 * 24 * 3_600_000;
/// Containers that a worker runs at the same time, at most.
pub const CONTAINERS_MAX: u32 = 250;

states! {
    /// The state of a worker.
    WorkerState {
        /// It reports, and gets builds.
        Running = "running",
        /// It does not report. It may come back with everything that it has.
        Stalled = "stalled",
        /// It finishes its builds and gets no new ones.
        Landing = "landing",
        /// It has finished its builds. It may come back with everything that it has.
        Landed = "landed",
        /// It finishes its builds, destroys what it has, and is removed.
        Retiring = "retiring",
    }
}

/// A worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Worker {
    /// Its state.
    pub state: WorkerState,
    /// When it entered the state.
    pub since: Millis,
    /// Its last report or registration.
    pub heartbeat_at: Millis,
    /// Whether it is removed instead of stalled when it stops reporting.
    pub is_ephemeral: bool,
}

/// What happens to a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerEvent {
    /// Its process has registered.
    Registered,
    /// It has reported.
    Heartbeat,
    /// It has not reported in time.
    HeartbeatMissed,
    /// An operator, or its process, wants it to finish its builds and leave for a while.
    Land,
    /// An operator wants it to leave for ever.
    Retire,
    /// None of its builds runs.
    Drained {
        /// Containers and volumes that it has.
        handles: u64,
    },
    /// An operator removes a worker that is absent, with the rows of what it has.
    Pruned,
    /// It was absent for too long.
    Forgotten,
}

impl WorkerEvent {
    /// Its name in errors.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registration",
            Self::Heartbeat => "report",
            Self::HeartbeatMissed => "missed report",
            Self::Land => "landing",
            Self::Retire => "retirement",
            Self::Drained { .. } => "end of the last build",
            Self::Pruned => "pruning",
            Self::Forgotten => "removal of an absent worker",
        }
    }
}

/// What else decides how a worker is moved on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkerFacts {
    /// Builds that run on it.
    pub builds: u64,
    /// Containers and volumes that it has.
    pub handles: u64,
}

impl Worker {
    /// A worker that has just registered.
    pub const fn registered(at: Millis) -> Self {
        Self {
            state: WorkerState::Running,
            since: at,
            heartbeat_at: at,
            is_ephemeral: false,
        }
    }

    /// Whether its last report is too old.
    pub const fn is_silent(self, at: Millis) -> bool {
        at >= self.heartbeat_at.saturating_add(HEARTBEAT_MAX)
    }

    /// The worker after an event; `None` if it is removed.
    pub fn apply(self, event: WorkerEvent, at: Millis) -> Result<Option<Self>, Illegal> {
        use {WorkerEvent as E, WorkerState as S};
        let to = |state| {
            Ok(Some(Self {
                state,
                since: at,
                ..self
            }))
        };
        let heard = Self {
            heartbeat_at: at,
            ..self
        };
        let missed = self.heartbeat_at.saturating_add(HEARTBEAT_MAX);
        match (self.state, event) {
            // A process that restarts does not undo what an operator decided.
            (S::Running | S::Landing | S::Retiring, E::Registered | E::Heartbeat) => {
                Ok(Some(heard))
            }
            (S::Stalled, E::Registered | E::Heartbeat) | (S::Landed, E::Registered) => {
                Ok(Some(Self {
                    state: S::Running,
                    since: at,
                    ..heard
                }))
            }
            // The process that landed reports until it exits.
            (S::Landed, E::Heartbeat) => Ok(Some(heard)),
            (S::Running, E::HeartbeatMissed) => {
                check_due("worker", event.as_str(), missed, at)?;
                if self.is_ephemeral {
                    return Ok(None);
                }
                to(S::Stalled)
            }
            (S::Running, E::Land) => to(S::Landing),
            (S::Running | S::Stalled | S::Landing | S::Landed, E::Retire) => to(S::Retiring),
            (S::Landing, E::Drained { .. }) => to(S::Landed),
            (S::Retiring, E::Drained { handles }) if handles == 0 || self.is_silent(at) => Ok(None),
            (S::Retiring, E::Drained { handles }) => Err(Illegal::InUse {
                event: event.as_str(),
                dependents: "containers and volumes",
                count: handles,
            }),
            (S::Stalled | S::Landed, E::Pruned) => Ok(None),
            (S::Stalled | S::Landed, E::Forgotten) => {
                let due = self.since.saturating_add(ABSENT_KEPT);
                check_due("worker", event.as_str(), due, at)?;
                Ok(None)
            }
            _ => Err(Illegal::State {
                kind: "worker",
                state: self.state.as_str(),
                event: event.as_str(),
            }),
        }
    }

    /// The event with which `gc.workers` moves it on at this time, if there is one.
    pub fn due(self, facts: WorkerFacts, at: Millis) -> Option<WorkerEvent> {
        let event = match self.state {
            WorkerState::Running => WorkerEvent::HeartbeatMissed,
            WorkerState::Stalled | WorkerState::Landed => WorkerEvent::Forgotten,
            WorkerState::Landing | WorkerState::Retiring if facts.builds > 0 => return None,
            WorkerState::Landing | WorkerState::Retiring => WorkerEvent::Drained {
                handles: facts.handles,
            },
        };
        self.apply(event, at).is_ok().then_some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: [WorkerEvent; 8] = [
        WorkerEvent::Registered,
        WorkerEvent::Heartbeat,
        WorkerEvent::HeartbeatMissed,
        WorkerEvent::Land,
        WorkerEvent::Retire,
        WorkerEvent::Drained { handles: 0 },
        WorkerEvent::Pruned,
        WorkerEvent::Forgotten,
    ];

    #[test]
    fn only_the_drawn_transitions_are_legal() {
        let mut legal = Vec::new();
        for state in WorkerState::ALL {
            for event in EVENTS {
                let worker = Worker {
                    state: *state,
                    ..Worker::registered(0)
                };
                match worker.apply(event, ABSENT_KEPT) {
                    Ok(Some(next)) if next.state == *state => {}
                    Ok(next) => {
                        let next = next.map_or("removed", |next| next.state.as_str());
                        legal.push(format!("{state} -> {next}: {}", event.as_str()));
                    }
                    Err(_) => {}
                }
            }
        }
        assert_eq!(
            legal,
            [
                "running -> stalled: missed report",
                "running -> landing: landing",
                "running -> retiring: retirement",
                "stalled -> running: registration",
                "stalled -> running: report",
                "stalled -> retiring: retirement",
                "stalled -> removed: pruning",
                "stalled -> removed: removal of an absent worker",
                "landing -> retiring: retirement",
                "landing -> landed: end of the last build",
                "landed -> running: registration",
                "landed -> retiring: retirement",
                "landed -> removed: pruning",
                "landed -> removed: removal of an absent worker",
                "retiring -> removed: end of the last build",
            ]
        );
    }

    #[test]
    fn worker_is_stalled_after_two_missed_reports_and_returns_with_the_next() {
        let worker = Worker::registered(0);
        let facts = WorkerFacts::default();
        assert_eq!(worker.due(facts, HEARTBEAT_MAX - 1), None);
        let missed = worker.due(facts, HEARTBEAT_MAX).expect("due");
        let stalled = worker.apply(missed, HEARTBEAT_MAX).unwrap().unwrap();
        assert_eq!(stalled.state, WorkerState::Stalled);
        let back = stalled.apply(WorkerEvent::Heartbeat, 90_000).unwrap();
        assert_eq!(back.unwrap().state, WorkerState::Running);
    }

    #[test]
    fn ephemeral_worker_is_removed_instead_of_stalled() {
        let worker = Worker {
            is_ephemeral: true,
            ..Worker::registered(0)
        };
        let removed = worker.apply(WorkerEvent::HeartbeatMissed, HEARTBEAT_MAX);
        assert_eq!(removed, Ok(None));
    }

    #[test]
    fn retiring_worker_waits_for_its_builds_and_for_its_handles_unless_it_is_silent() {
        let worker = Worker {
            state: WorkerState::Retiring,
            ..Worker::registered(0)
        };
        let facts = |builds: u64, handles: u64| WorkerFacts { builds, handles };
        assert_eq!(worker.due(facts(1, 0), Millis::MAX), None);
        assert_eq!(worker.due(facts(0, 3), 1), None);
        assert!(worker.due(facts(0, 0), 1).is_some());
        assert!(worker.due(facts(0, 3), HEARTBEAT_MAX).is_some());
    }
}
