//! One-off builds.

use crate::illegal::Illegal;
use crate::illegal::check_due;
use crate::millis::Millis;
use crate::states::states;

/// How long a build waits for a fitting worker.
pub const PENDING_MAX: Millis = 60 * 60_000;
/// How long a worker holds a build after its last message about it.
pub const LEASE: Millis = 5 * 60_000;
/// How long a build that is over is kept, with its log and outputs.
pub const OVER_KEPT: Millis = 7 * 24 * 3_600_000;
/// The size of the log of a build, in bytes, at most.
pub const LOG_BYTES_MAX: i64 = 64 << 20;

states! {
    /// The state of a build.
    BuildState {
        /// It waits for a fitting worker.
        Pending = "pending",
        /// A worker runs its task.
        Started = "started",
        /// The task exited with code 0.
        Succeeded = "succeeded",
        /// The task exited with another code.
        Failed = "failed",
        /// The task could not be run to its end.
        Errored = "errored",
        /// A person aborted it.
        Aborted = "aborted",
    }
}

impl BuildState {
    /// Whether it is the last one.
    pub const fn is_over(self) -> bool {
        match self {
            Self::Pending | Self::Started => false,
            Self::Succeeded | Self::Failed | Self::Errored | Self::Aborted => true,
        }
    }
}

/// A build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Build {
    /// Its state.
    pub state: BuildState,
    /// When it entered the state.
    pub since: Millis,
    /// The fencing token of the worker that holds it; 0 before it is claimed.
    pub fence: i64,
    /// When the lease of the worker expires.
    pub lease_until: Millis,
    /// Whether a person has requested to abort it.
    pub is_abort_requested: bool,
}

/// What happens to a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildEvent {
    /// A worker claims it.
    Claimed {
        /// The fencing token of the worker.
        fence: i64,
    },
    /// The worker has never received it, and stops.
    Returned {
        /// The fencing token of the worker.
        fence: i64,
    },
    /// The process of the worker was replaced; the task still runs under a shim, or has ended there.
    Adopted {
        /// The fencing token of the new process.
        fence: i64,
    },
    /// The worker still runs it.
    Renewed {
        /// The fencing token of the worker.
        fence: i64,
    },
    /// The task has exited.
    Finished {
        /// The fencing token of the worker.
        fence: i64,
        /// The exit code of the task.
        exit_code: i32,
    },
    /// The worker could not run the task to its end.
    Errored {
        /// The fencing token of the worker.
        fence: i64,
    },
    /// The worker has stopped the task because a person aborted the build.
    AbortConfirmed {
        /// The fencing token of the worker.
        fence: i64,
    },
    /// A person aborts it.
    AbortRequested,
    /// No fitting worker claimed it in time.
    PendingTimedOut,
    /// The worker has not renewed its lease.
    LeaseExpired,
    /// It was over for long enough.
    Expired,
}

impl BuildEvent {
    /// Its name in errors.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Claimed { .. } => "claim",
            Self::Returned { .. } => "return",
            Self::Adopted { .. } => "adoption",
            Self::Renewed { .. } => "renewal of the lease",
            Self::Finished { .. } => "exit of the task",
            Self::Errored { .. } => "error",
            Self::AbortConfirmed { .. } => "end of the aborted task",
            Self::AbortRequested => "abort",
            Self::PendingTimedOut => "timeout",
            Self::LeaseExpired => "expiry of the lease",
            Self::Expired => "expiry",
        }
    }

    const fn fence(self) -> Option<i64> {
        match self {
            Self::Returned { fence }
            | Self::Renewed { fence }
            | Self::Finished { fence, .. }
            | Self::Errored { fence }
            | Self::AbortConfirmed { fence } => Some(fence),
            _ => None,
        }
    }
}

impl Build {
    /// A build that a person has just created.
    pub const fn pending(at: Millis) -> Self {
        Self {
            state: BuildState::Pending,
            since: at,
            fence: 0,
            lease_until: 0,
            is_abort_requested: false,
        }
    }

    /// The build after an event; `None` if it is removed.
    pub fn apply(self, event: BuildEvent, at: Millis) -> Result<Option<Self>, Illegal> {
        use {BuildEvent as E, BuildState as S};
        if self.state == S::Started
            && let Some(got) = event.fence()
            && got != self.fence
        {
            return Err(Illegal::Fenced {
                got,
                current: self.fence,
            });
        }
        let to = |state| {
            Ok(Some(Self {
                state,
                since: at,
                ..self
            }))
        };
        match (self.state, event) {
            (S::Pending, E::Claimed { fence }) => Ok(Some(Self {
                state: S::Started,
                since: at,
                fence,
                lease_until: at.saturating_add(LEASE),
                ..self
            })),
            (S::Pending, E::AbortRequested) => to(S::Aborted),
            (S::Pending, E::PendingTimedOut) => {
                let due = self.since.saturating_add(PENDING_MAX);
                check_due("build", event.as_str(), due, at)?;
                to(S::Errored)
            }
            (S::Started, E::Returned { .. }) if !self.is_abort_requested => Ok(Some(Self {
                fence: 0,
                lease_until: 0,
                ..Self::pending(at)
            })),
            (S::Started, E::Adopted { fence }) => {
                if fence <= self.fence {
                    return Err(Illegal::Fenced {
                        got: fence,
                        current: self.fence,
                    });
                }
                Ok(Some(Self {
                    fence,
                    lease_until: at.saturating_add(LEASE),
                    ..self
                }))
            }
            (S::Started, E::Renewed { .. }) => Ok(Some(Self {
                lease_until: at.saturating_add(LEASE),
                ..self
            })),
            (S::Started, E::AbortRequested) => Ok(Some(Self {
                is_abort_requested: true,
                ..self
            })),
            (S::Started, E::Finished { exit_code: 0, .. }) => to(S::Succeeded),
            (S::Started, E::Finished { .. }) => to(S::Failed),
            (S::Started, E::Errored { .. }) => to(S::Errored),
            (S::Started, E::AbortConfirmed { .. }) if self.is_abort_requested => to(S::Aborted),
            (S::Started, E::LeaseExpired) => {
                check_due("build", event.as_str(), self.lease_until, at)?;
                to(if self.is_abort_requested {
                    S::Aborted
                } else {
                    S::Errored
                })
            }
            (S::Succeeded | S::Failed | S::Errored | S::Aborted, E::Expired) => {
                let due = self.since.saturating_add(OVER_KEPT);
                check_due("build", event.as_str(), due, at)?;
                Ok(None)
            }
            _ => Err(Illegal::State {
                kind: "build",
                state: self.state.as_str(),
                event: event.as_str(),
            }),
        }
    }

    /// The event with which `gc.builds` moves it on at this time, if there is one.
    pub fn due(self, at: Millis) -> Option<BuildEvent> {
        let event = match self.state {
            BuildState::Pending => BuildEvent::PendingTimedOut,
            BuildState::Started => BuildEvent::LeaseExpired,
            _ => BuildEvent::Expired,
        };
        self.apply(event, at).is_ok().then_some(event)
    }
}

#[cfg(test)]
mod tests;
