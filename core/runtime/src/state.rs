//! The published state of every member.

use crate::cgroup_state::CgroupState;
use crate::policy::MemberKind;
use davy_base::{Clock, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// The state of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Waits for a dependency.
    Waiting,
    /// Is running but not ready yet.
    Starting,
    /// Is running and ready.
    Ready,
    /// Finishes its work before it ends.
    Draining,
    /// Failed, and will be restarted after a back-off.
    BackingOff,
    /// Is disabled by an operator.
    Off,
    /// Has ended as expected.
    Stopped,
    /// Was given up after too many failures, or is hung.
    Failed,
}

impl State {
    /// Its name in tables, metrics and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::BackingOff => "backing-off",
            Self::Off => "off",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }
}

/// A member with its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberState {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: MemberKind,
    /// Its state.
    pub state: State,
    /// When it entered the state.
    pub since: Timestamp,
    /// Its latest failure; `None` once it is ready again.
    pub error: Option<String>,
    /// The dependency that it waits for, or the reason of its toggle or restart.
    pub why: Option<String>,
    /// How often it was restarted, after failures and by operators.
    pub restarts: u64,
    /// The process id of a child.
    pub pid: Option<u32>,
    /// Whether it is enabled.
    pub enabled: bool,
    /// The number of tasks that outlived its runs.
    pub leaked: u64,
    /// The cgroup of a child, if it has one.
    pub cgroup: Option<CgroupState>,
}

impl MemberState {
    /// Whether it is ready, disabled, or has done its work.
    pub fn is_healthy(&self) -> bool {
        match self.state {
            State::Ready | State::Off => true,
            State::Stopped => self.kind == MemberKind::Once,
            State::Waiting
            | State::Starting
            | State::Draining
            | State::BackingOff
            | State::Failed => false,
        }
    }
}

/// The states of a process's members. Cheap to clone; clones see the same.
#[derive(Clone, Debug)]
pub struct States(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    members: Mutex<BTreeMap<String, MemberState>>,
    changes: watch::Sender<u64>,
}

impl States {
    pub(crate) fn new(clock: Clock) -> Self {
        Self(Arc::new(Inner {
            clock,
            members: Mutex::default(),
            changes: watch::Sender::new(0),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, MemberState>> {
        self.0
            .members
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    pub(crate) fn insert(&self, name: &str, kind: MemberKind) {
        let state = MemberState {
            name: name.to_owned(),
            kind,
            state: State::Waiting,
            since: self.now(),
            error: None,
            why: None,
            restarts: 0,
            pid: None,
            enabled: true,
            leaked: 0,
            cgroup: None,
        };
        self.lock().insert(state.name.clone(), state);
        self.0.changes.send_modify(|changes| *changes += 1);
    }

    pub(crate) fn update(&self, name: &str, change: impl FnOnce(&mut MemberState)) {
        if let Some(member) = self.lock().get_mut(name) {
            let before = member.state;
            change(member);
            if member.state != before {
                member.since = self.now();
            }
        }
        self.0.changes.send_modify(|changes| *changes += 1);
    }

    /// All members, sorted by name.
    pub fn all(&self) -> Vec<MemberState> {
        self.lock().values().cloned().collect()
    }

    /// The member with this name.
    pub fn get(&self, name: &str) -> Option<MemberState> {
        self.lock().get(name).cloned()
    }

    /// The members because of which the process is not ready.
    pub fn unready(&self) -> Vec<MemberState> {
        let members = self.lock();
        members
            .values()
            .filter(|m| !m.is_healthy())
            .cloned()
            .collect()
    }

    /// A counter that increases with every change.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// Returns as soon as `holds` returns true.
    pub async fn until(&self, mut holds: impl FnMut(&Self) -> bool) {
        let mut changed = self.changed();
        while !holds(self) {
            // Cannot fail, because `self` holds the sender.
            if changed.changed().await.is_err() {
                return;
            }
        }
    }
}
