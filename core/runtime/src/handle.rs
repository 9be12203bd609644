//! How operators reach a running process.

use crate::graph::{Graph, Refused};
use crate::member::Member;
use crate::state::{State, States};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// How many wishes may wait to be obeyed.
pub(crate) const COMMANDS_MAX: usize = 1_024;

#[derive(Debug)]
pub(crate) enum Command {
    Insert(Box<Member>),
    Toggle {
        slot: usize,
        enabled: bool,
        why: String,
    },
    Restart {
        slot: usize,
        why: String,
    },
}

/// Toggles, restarts and inserts members. Cheap to clone; clones reach the same process.
///
/// A wish is taken before the process runs, too: a member that was disabled then is never
/// started. It is obeyed in the order in which it came; [`States`] shows when.
#[derive(Clone, Debug)]
pub struct Handle {
    states: States,
    graph: Arc<Mutex<Graph>>,
    commands: mpsc::Sender<Command>,
}

impl Handle {
    pub(crate) fn new(states: States, commands: mpsc::Sender<Command>) -> Self {
        Self {
            states,
            graph: Arc::default(),
            commands,
        }
    }

    pub(crate) fn graph(&self) -> MutexGuard<'_, Graph> {
        self.graph.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the members are doing.
    pub fn states(&self) -> States {
        self.states.clone()
    }

    /// Whether a member has this name.
    pub fn is_known(&self, name: &str) -> bool {
        self.graph().place(name).is_some()
    }

    /// enables a member or off. Off, it is drained and stays so, while those that come after it go
    /// on; on, it is started with a clean record.
    pub fn set_enabled(&self, name: &str, enabled: bool, why: &str) -> Result<(), Refused> {
        let slot = self.graph().known(name)?;
        self.send(Command::Toggle {
            slot,
            enabled,
            why: why.to_owned(),
        })
    }

    /// Drains a member and starts it again, at once and with a clean record.
    pub fn restart(&self, name: &str, why: &str) -> Result<(), Refused> {
        let slot = self.graph().known(name)?;
        let off = |member: crate::MemberState| member.state == State::Off;
        if self.states.get(name).is_some_and(off) {
            return Err(Refused::Off(name.to_owned()));
        }
        self.send(Command::Restart {
            slot,
            why: why.to_owned(),
        })
    }

    /// Adds a member to the process, which starts it as soon as those that it comes after are ready.
    pub fn insert(&self, member: Member) -> Result<(), Refused> {
        // Under the lock until it is sent: the engine has to see the names in the order of their places.
        let mut graph = self.graph();
        let permit = self.commands.try_reserve().map_err(refusal)?;
        graph.add_all(std::slice::from_ref(&member))?;
        self.states.insert(&member);
        permit.send(Command::Insert(Box::new(member)));
        Ok(())
    }

    fn send(&self, command: Command) -> Result<(), Refused> {
        let permit = self.commands.try_reserve().map_err(refusal)?;
        permit.send(command);
        Ok(())
    }
}

fn refusal(error: mpsc::error::TrySendError<()>) -> Refused {
    match error {
        mpsc::error::TrySendError::Full(()) => Refused::Busy,
        mpsc::error::TrySendError::Closed(()) => Refused::Stopped,
    }
}
