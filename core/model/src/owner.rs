//! Who moves each state on, and who collects it. A state without a collector would be a leak.

use crate::{BuildState, HandleKind, HandleState, WorkerState};

/// Who moves a state on to the next one while everything works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mover {
    /// The process of the worker.
    Worker,
    /// The person who started the build, or an operator.
    Person,
    /// The collector; nobody else has to do anything.
    Collector,
}

/// The member that collects what nobody moves on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collector {
    /// `gc.builds`.
    Builds,
    /// `gc.containers`.
    Containers,
    /// `gc.volumes`.
    Volumes,
    /// `gc.workers`.
    Workers,
    /// A report of the worker; if that never comes, `gc.workers` removes the worker with its handles.
    Sync,
}

impl Collector {
    /// The name of the member.
    pub const fn member(self) -> &'static str {
        match self {
            Self::Builds => "gc.builds",
            Self::Containers => "gc.containers",
            Self::Volumes => "gc.volumes",
            Self::Workers | Self::Sync => "gc.workers",
        }
    }
}

/// The owners of the state of a worker.
pub const fn of_worker(state: WorkerState) -> (Mover, Collector) {
    match state {
        WorkerState::Running | WorkerState::Stalled => (Mover::Worker, Collector::Workers),
        WorkerState::Landed => (Mover::Person, Collector::Workers),
        WorkerState::Landing | WorkerState::Retiring => (Mover::Collector, Collector::Workers),
    }
}

/// The owners of the state of a container or volume.
pub const fn of_handle(kind: HandleKind, state: HandleState) -> (Mover, Collector) {
    let collector = match kind {
        HandleKind::Container => Collector::Containers,
        HandleKind::Volume => Collector::Volumes,
    };
    match state {
        HandleState::Creating => (Mover::Worker, collector),
        HandleState::Created | HandleState::Failed => (Mover::Collector, collector),
        HandleState::Destroying => (Mover::Worker, Collector::Sync),
    }
}

/// The owners of the state of a build.
pub const fn of_build(state: BuildState) -> (Mover, Collector) {
    match state {
        BuildState::Pending | BuildState::Started => (Mover::Worker, Collector::Builds),
        BuildState::Succeeded | BuildState::Failed | BuildState::Errored | BuildState::Aborted => {
            (Mover::Collector, Collector::Builds)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handle::{HandleFacts, MISSING_MAX};
    use crate::worker::{ABSENT_KEPT, WorkerFacts};
    use crate::{Build, Handle, HandleEvent, Millis, Worker, build};

    const DAY: Millis = 24 * 3_600_000;

    /// Applies what the collector does once a day for 60 days; true if nothing is left.
    fn is_collected<T>(mut row: T, mut collect: impl FnMut(T, Millis) -> Option<T>) -> bool {
        for day in 1..=60 {
            match collect(row, day * DAY) {
                Some(next) => row = next,
                None => return true,
            }
        }
        false
    }

    #[test]
    fn every_state_of_a_build_is_collected_if_nobody_else_does_anything() {
        for state in BuildState::ALL {
            let row = Build {
                state: *state,
                ..Build::pending(0)
            };
            let collected = is_collected(row, |row, at| match row.due(at) {
                Some(event) => row.apply(event, at).expect("legal"),
                None => Some(row),
            });
            assert!(collected, "{state}");
            assert_eq!(of_build(*state).1, Collector::Builds);
        }
        const { assert!(build::OVER_KEPT < 30 * DAY) };
    }

    #[test]
    fn every_state_of_a_worker_is_collected_if_nobody_else_does_anything() {
        for state in WorkerState::ALL {
            let row = Worker {
                state: *state,
                ..Worker::registered(0)
            };
            let facts = WorkerFacts {
                builds: 0,
                handles: 5,
            };
            let collected = is_collected(row, |row, at| match row.due(facts, at) {
                Some(event) => row.apply(event, at).expect("legal"),
                None => Some(row),
            });
            assert!(collected, "{state}");
            assert_eq!(of_worker(*state).1, Collector::Workers);
        }
        const { assert!(ABSENT_KEPT < 40 * DAY) };
    }

    #[test]
    fn every_state_of_a_handle_is_collected_by_its_collector_and_the_reports() {
        for kind in HandleKind::ALL {
            for state in HandleState::ALL {
                let row = Handle {
                    kind: *kind,
                    ..Handle::new(*state, 0)
                };
                // The worker reports all the time and destroys what it is told to.
                let collected = is_collected(row, |row, at| {
                    let facts = HandleFacts {
                        worker_synced_at: at,
                        ..HandleFacts::default()
                    };
                    match row.due(facts, at) {
                        Some(event) => row.apply(event, at).expect("legal"),
                        None => row.apply(HandleEvent::Destroyed, at).expect("destroying"),
                    }
                });
                assert!(collected, "{kind} {state}");
                let (mover, collector) = of_handle(*kind, *state);
                let is_sync = collector == Collector::Sync;
                assert_eq!(is_sync, *state == HandleState::Destroying);
                assert!(!is_sync || mover == Mover::Worker);
            }
        }
        const { assert!(MISSING_MAX < DAY) };
    }
}
