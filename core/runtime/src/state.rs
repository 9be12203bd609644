//! What every member is doing, for those who ask.

use davy_base::{Clock, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A member's stage of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Waits for the members before it.
    Waiting,
    /// Runs, but is not ready yet.
    Starting,
    /// Does its work.
    Ready,
    /// Finishes what it has.
    Draining,
    /// Has ended as it should.
    Stopped,
    /// Has ended with an error, a panic, or past its deadline.
    Failed,
}

impl State {
    /// The word for it in every table, metric and answer.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }
}

/// A member's state and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberState {
    /// The member's name.
    pub name: String,
    /// Its stage of life.
    pub state: State,
    /// Since when.
    pub since: Timestamp,
    /// Why it failed.
    pub error: Option<String>,
}

/// The states of a process's members. Cheap to clone; clones see the same.
#[derive(Clone, Debug)]
pub struct States {
    clock: Clock,
    members: Arc<Mutex<BTreeMap<String, MemberState>>>,
}

impl States {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            members: Arc::default(),
        }
    }

    pub(crate) fn set(&self, name: &str, state: State, error: Option<String>) {
        let since = self.clock.now();
        let entry = MemberState {
            name: name.to_owned(),
            state,
            since,
            error,
        };
        self.members
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.to_owned(), entry);
    }

    /// Every member, by name.
    pub fn all(&self) -> Vec<MemberState> {
        self.members
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    /// The members that are not ready.
    pub fn unready(&self) -> Vec<MemberState> {
        self.all()
            .into_iter()
            .filter(|member| member.state != State::Ready)
            .collect()
    }
}
