//! What the supervisor keeps of one member.

use crate::member::Member;
use crate::state::State;
use crate::tasks::Tasks;
use crate::trace::Ending;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Why a run was told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The process stops.
    Stop,
    /// It was disabled.
    Off,
    /// It is to be started again, by an operator's wish.
    Restart,
    /// It was not ready in time.
    NotReady,
}

/// Where a member is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// For one that it comes after.
    Waiting,
    /// Runs; the timer is its ready deadline.
    Starting,
    /// Runs, or is served by others.
    Ready,
    /// Runs, and was told to end; the timer is its stop deadline.
    Draining(Reason),
    /// Was aborted or killed; the timer is when it is called hung.
    CutOff(Reason),
    /// Still has not ended. Its run is never joined by a second one.
    Hung(Reason),
    /// The timer is its next start.
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

    /// Whether those that come after it may start. One that is disabled holds nobody up.
    pub(super) const fn lets_others_start(self) -> bool {
        matches!(self, Self::Ready | Self::Done | Self::Off)
    }
}

/// The side of a run that the supervisor holds.
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
    pub(super) timer: Option<Instant>,
    /// The first that it still waits for: no other one's change can let it start.
    pub(super) waits_for: Option<usize>,
    /// While the process stops: how many of its dependents have not ended.
    pub(super) holders: usize,
    /// While the process stops: those that it comes after no longer wait for it.
    pub(super) released: bool,
    pub(super) run_number: u64,
    pub(super) restarts: u64,
    /// When it fell, within the span; never more than the restarts allowed and one.
    pub(super) falls: VecDeque<Instant>,
    /// How its run will be said to have ended, where it had to be cut off.
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
            holders: 0,
            released: false,
            run_number: 0,
            restarts: 0,
            falls: VecDeque::new(),
            cut: None,
        }
    }

    /// Counts a fall; gives how many there were within the span.
    pub(super) fn fell(&mut self, now: Instant, span: Duration) -> u32 {
        while self
            .falls
            .front()
            .is_some_and(|fall| now.duration_since(*fall) >= span)
        {
            self.falls.pop_front();
        }
        self.falls.push_back(now);
        self.falls.len() as u32
    }
}
