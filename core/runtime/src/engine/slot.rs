//! The supervisor's record of one member.

use crate::member::Member;
use crate::state::State;
use crate::tasks::Tasks;
use crate::trace::Ending;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

/// Why a run was asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The process is stopping.
    Stop,
    /// An operator disabled the member.
    Off,
    /// An operator requested a restart.
    Restart,
    /// The run missed its ready deadline.
    NotReady,
}

/// A member's phase, in more detail than [`State`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Waits for a dependency.
    Waiting,
    /// Is running; the timer is the ready deadline.
    Starting,
    /// Is running, or has no run of its own.
    Ready,
    /// Is running and was asked to end; the timer is the stop deadline.
    Draining(Reason),
    /// Was aborted or killed; when the timer fires, it is considered hung.
    CutOff(Reason),
    /// Has still not ended. No second run starts until it has.
    Hung(Reason),
    /// Failed; the timer is the next start.
    BackingOff,
    Off,
    Done,
    GivenUp,
    Stopped,
}

impl Phase {
    pub(super) const fn state(self) -> State {
        match self {
            Self::Waiting => State::Waiting,
            Self::Starting => State::Starting,
            Self::Ready => State::Ready,
            Self::Draining(_) | Self::CutOff(_) => State::Draining,
            Self::BackingOff => State::BackingOff,
            Self::Off => State::Off,
            Self::Done | Self::Stopped => State::Stopped,
            Self::Hung(_) | Self::GivenUp => State::Failed,
        }
    }

    /// Whether its dependents may start. A disabled member does not hold them up.
    pub(super) const fn allows_dependents(self) -> bool {
        matches!(self, Self::Ready | Self::Done | Self::Off)
    }
}

/// The supervisor's handles to a run.
pub(super) struct Run {
    pub(super) task: AbortHandle,
    pub(super) drain: CancellationToken,
    pub(super) kill: CancellationToken,
    pub(super) tasks: Arc<Tasks>,
}

pub(super) struct Slot {
    pub(super) member: Member,
    pub(super) after: Vec<usize>,
    pub(super) dependents: Vec<usize>,
    pub(super) phase: Phase,
    pub(super) run: Option<Run>,
    /// The deadline, by the clock's monotonic time.
    pub(super) timer: Option<Duration>,
    /// The first dependency that it waits for. Changes of others cannot let it start.
    pub(super) waits_for: Option<usize>,
    /// While the process stops: the number of its dependents that have not ended.
    pub(super) pending_dependents: usize,
    /// While the process stops: whether its dependencies no longer wait for it.
    pub(super) released: bool,
    pub(super) run_number: u64,
    pub(super) restarts: u64,
    /// The times of its failures within the restart window, by the clock's monotonic time. At most one
    /// more than the allowed restarts.
    pub(super) failures: VecDeque<Duration>,
    /// The ending to record for a run that was aborted.
    pub(super) cut: Option<Ending>,
}

impl Slot {
    pub(super) fn new(member: Member, after: Vec<usize>) -> Self {
        Self {
            member,
            after,
            dependents: Vec::new(),
            phase: Phase::Waiting,
            run: None,
            timer: None,
            waits_for: None,
            pending_dependents: 0,
            released: false,
            run_number: 0,
            restarts: 0,
            failures: VecDeque::new(),
            cut: None,
        }
    }

    /// Counts a failure; returns the number of failures within the restart window.
    pub(super) fn count_failure(&mut self, now: Duration, window: Duration) -> u32 {
        while self
            .failures
            .front()
            .is_some_and(|failure| now.saturating_sub(*failure) >= window)
        {
            self.failures.pop_front();
        }
        self.failures.push_back(now);
        self.failures.len() as u32
    }
}
