//! The error of a transition that is not allowed.

use crate::millis::Millis;

/// Why an event cannot be applied to a state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Illegal {
    /// No event of this kind is expected in this state.
    #[error("{event} is not possible for a {kind} in state {state}")]
    State {
        /// `worker`, `container`, `volume` or `build`.
        kind: &'static str,
        /// The state.
        state: &'static str,
        /// The event.
        event: &'static str,
    },
    /// The event depends on time, and its time has not come.
    #[error("{event} of a {kind} is due at {due}, and it is {at} (ms since 1970)")]
    NotDue {
        /// `worker`, `container`, `volume` or `build`.
        kind: &'static str,
        /// The event.
        event: &'static str,
        /// When it is due.
        due: Millis,
        /// When it was applied.
        at: Millis,
    },
    /// The sender does not hold the build, or no longer does.
    #[error("fencing token {got} is outdated; the current one is {current}")]
    Fenced {
        /// The token of the event.
        got: i64,
        /// The token of the build.
        current: i64,
    },
    /// Something that still exists depends on it.
    #[error("{event} is not possible while {count} {dependents} exist")]
    InUse {
        /// The event.
        event: &'static str,
        /// What depends on it.
        dependents: &'static str,
        /// How many.
        count: u64,
    },
}

/// `Ok` if `at` is not before `due`.
pub(crate) fn check_due(
    kind: &'static str,
    event: &'static str,
    due: Millis,
    at: Millis,
) -> Result<(), Illegal> {
    if at >= due {
        return Ok(());
    }
    Err(Illegal::NotDue {
        kind,
        event,
        due,
        at,
    })
}
