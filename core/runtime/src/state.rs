//! What every member is doing, for those who ask.

use crate::member::Member;
use crate::policy::Kind;
use davy_base::{Clock, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// A member's stage of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Waits for a member that it comes after.
    Waiting,
    /// Runs, but is not ready yet.
    Starting,
    /// Does its work.
    Ready,
    /// Finishes what it has.
    Draining,
    /// Fell, and will be started again.
    BackingOff,
    /// Was disabled by an operator.
    Off,
    /// Has ended as it should.
    Stopped,
    /// Was given up, or is hung.
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
            Self::BackingOff => "backing-off",
            Self::Off => "off",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }
}

/// What is known of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberState {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Its stage of life.
    pub state: State,
    /// Since when.
    pub since: Timestamp,
    /// How it fell the last time; gone when it is ready again.
    pub error: Option<String>,
    /// Whom it waits for, or why it was toggled.
    pub why: Option<String>,
    /// How often it was started again, after falls and by operators.
    pub restarts: u64,
    /// The unix process of a child.
    pub pid: Option<u32>,
    /// Whether operators want it to run.
    pub enabled: bool,
    /// How many tasks outlived its runs, so far.
    pub leaked: u64,
}

impl MemberState {
    /// Whether nothing is missing: it does its work, has done it, or is meant to be off.
    pub fn is_well(&self) -> bool {
        match self.state {
            State::Ready | State::Off => true,
            State::Stopped => self.kind == Kind::Once,
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

    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    pub(crate) fn insert(&self, member: &Member) {
        let state = MemberState {
            name: member.name.to_string(),
            kind: member.kind,
            state: State::Waiting,
            since: self.now(),
            error: None,
            why: None,
            restarts: 0,
            pid: None,
            enabled: true,
            leaked: 0,
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

    /// Every member, by name.
    pub fn all(&self) -> Vec<MemberState> {
        self.lock().values().cloned().collect()
    }

    /// The member of this name.
    pub fn get(&self, name: &str) -> Option<MemberState> {
        self.lock().get(name).cloned()
    }

    /// The members that keep the process from being ready.
    pub fn unready(&self) -> Vec<MemberState> {
        let members = self.lock();
        members.values().filter(|m| !m.is_well()).cloned().collect()
    }

    /// Tells of every change by a number that grows.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// Returns as soon as `holds` is true of the states.
    pub async fn until(&self, mut holds: impl FnMut(&Self) -> bool) {
        let mut changed = self.changed();
        while !holds(self) {
            // The sender lives as long as `self` does.
            if changed.changed().await.is_err() {
                return;
            }
        }
    }
}
