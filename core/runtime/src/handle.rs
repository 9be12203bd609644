//! The handle with which operators control a process.

use crate::graph::{Graph, SupervisorError};
use crate::member::Member;
use crate::state::{State, States};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// Maximum number of queued commands.
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

/// Enables, disables, restarts and inserts members. Cheap to clone; clones control the same process.
///
/// Commands are queued and executed in order; [`States`] shows their effect. They are also accepted
/// before the process runs: a member disabled then is never started.
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

    /// The states of the members.
    pub fn states(&self) -> States {
        self.states.clone()
    }

    /// Whether a member has this name.
    pub fn contains(&self, name: &str) -> bool {
        self.graph().index(name).is_some()
    }

    /// Enables or disables a member. A disabled member is drained and not started again; its dependents
    /// are not affected. An enabled member starts with a clean record of failures.
    pub fn set_enabled(&self, name: &str, enabled: bool, why: &str) -> Result<(), SupervisorError> {
        let slot = self.graph().known(name)?;
        self.send(Command::Toggle {
            slot,
            enabled,
            why: why.to_owned(),
        })
    }

    /// Drains a member and starts it again without a back-off and with a clean record of failures.
    pub fn restart(&self, name: &str, why: &str) -> Result<(), SupervisorError> {
        let slot = self.graph().known(name)?;
        let state = self.states.get(name).map(|member| member.state);
        if state == Some(State::Off) {
            return Err(SupervisorError::Disabled(name.to_owned()));
        }
        self.send(Command::Restart {
            slot,
            why: why.to_owned(),
        })
    }

    /// Adds a member, which starts as soon as its dependencies are ready.
    pub fn insert(&self, member: Member) -> Result<(), SupervisorError> {
        // Keep the lock until the command is sent, so that the engine adds members in the order of their
        // indices.
        let mut graph = self.graph();
        let permit = self.commands.try_reserve().map_err(queue_error)?;
        graph.add_all(std::slice::from_ref(&member))?;
        self.states.insert(&member.name, member.kind);
        permit.send(Command::Insert(Box::new(member)));
        Ok(())
    }

    fn send(&self, command: Command) -> Result<(), SupervisorError> {
        let permit = self.commands.try_reserve().map_err(queue_error)?;
        permit.send(command);
        Ok(())
    }
}

fn queue_error(error: mpsc::error::TrySendError<()>) -> SupervisorError {
    match error {
        mpsc::error::TrySendError::Full(()) => SupervisorError::QueueFull,
        mpsc::error::TrySendError::Closed(()) => SupervisorError::Stopped,
    }
}
