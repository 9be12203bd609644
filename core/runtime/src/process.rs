//! Building and running the members of a unix process.

use crate::engine::Engine;
use crate::graph::SupervisorError;
use crate::group::Group;
use crate::handle::{COMMANDS_MAX, Command, Handle};
use crate::member::Member;
use crate::state::States;
use crate::stop::Stop;
use crate::trace::Trace;
use davy_base::{Clock, Random};
use std::fmt;
use tokio::sync::mpsc;

/// Collects the members of a process.
pub struct Builder {
    members: Vec<Member>,
    random: Random,
    workers: Option<tokio::runtime::Handle>,
    handle: Handle,
    commands: mpsc::Receiver<Command>,
}

/// The members of a process, with names and dependencies checked.
pub struct Process(Builder);

impl Process {
    /// A builder without members.
    #[expect(
        clippy::new_ret_no_self,
        reason = "the process exists only after its members have been checked"
    )]
    pub fn new(clock: Clock) -> Builder {
        let (sender, commands) = mpsc::channel(COMMANDS_MAX);
        Builder {
            members: Vec::new(),
            random: Random::system(),
            workers: None,
            handle: Handle::new(States::new(clock), sender),
            commands,
        }
    }

    /// The handle for operators.
    pub fn handle(&self) -> Handle {
        self.0.handle.clone()
    }

    /// The states of the members.
    pub fn states(&self) -> States {
        self.0.handle.states()
    }

    /// Runs until `stop` is triggered or the failure of a member stops the process, then stops all members
    /// in the reverse order of their dependencies. Returns when every member has ended or is hung.
    ///
    /// Await it in `block_on` rather than in a spawned task, preferably on a separate runtime
    /// ([`Builder::workers`]): then a member that blocks a worker thread cannot delay the supervisor's
    /// deadlines and signals.
    pub async fn run(self, stop: Stop) -> Trace {
        let Builder {
            members,
            random,
            workers,
            handle,
            commands,
        } = self.0;
        Engine::new(handle, random, workers, commands, members)
            .run(stop)
            .await
    }
}

impl Builder {
    /// Adds a member.
    pub fn member(mut self, member: Member) -> Self {
        self.members.push(member);
        self
    }

    /// Adds the members of a group.
    pub fn group(mut self, group: Group) -> Self {
        self.members.extend(group.members);
        self
    }

    /// Sets the source of jitter for back-offs.
    pub fn random(mut self, random: Random) -> Self {
        self.random = random;
        self
    }

    /// Sets the runtime on which members run. By default they run on the supervisor's, where members that
    /// occupy all threads delay deadlines, signals and restarts.
    pub fn workers(mut self, runtime: tokio::runtime::Handle) -> Self {
        self.workers = Some(runtime);
        self
    }

    /// The handle for operators, for members that need it. Before [`Builder::build`] it rejects
    /// every name as unknown.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// The states of the members.
    pub fn states(&self) -> States {
        self.handle.states()
    }

    /// Checks names and dependencies.
    pub fn build(self) -> Result<Process, SupervisorError> {
        self.handle.graph().add_all(&self.members)?;
        let states = self.handle.states();
        for member in &self.members {
            states.insert(&member.name, member.kind);
        }
        Ok(Process(self))
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.members).finish()
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
