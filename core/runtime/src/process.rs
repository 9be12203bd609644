//! The members of a unix process, put together and run.

use crate::engine::Engine;
use crate::graph::Refused;
use crate::group::Group;
use crate::handle::{COMMANDS_MAX, Command, Handle};
use crate::member::Member;
use crate::state::States;
use crate::stop::Stop;
use crate::trace::Trace;
use davy_base::{Clock, Random};
use std::fmt;
use tokio::sync::mpsc;

/// Members that are being put together.
pub struct Builder {
    members: Vec<Member>,
    random: Random,
    workers: Option<tokio::runtime::Handle>,
    handle: Handle,
    commands: mpsc::Receiver<Command>,
}

/// The members of a unix process, checked and ready to run.
pub struct Process(Builder);

impl Process {
    /// A process without members yet.
    #[expect(
        clippy::new_ret_no_self,
        reason = "there is no process before its members have been checked"
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

    /// The operator's side of the process.
    pub fn handle(&self) -> Handle {
        self.0.handle.clone()
    }

    /// What the members are doing.
    pub fn states(&self) -> States {
        self.0.handle.states()
    }

    /// Runs until `stop` asks for an end or a member's fall does, then stops every member in the
    /// reverse order of the dependencies. Returns when every member has ended or is known to be hung.
    ///
    /// Await it in `block_on` rather than in a spawned task, best of a runtime that it has to itself
    /// ([`Builder::workers`]): a member that blocks a worker thread can then never keep the supervisor
    /// from being polled, nor its deadlines and signals from being seen.
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

    /// Where the jitter of back-offs comes from.
    pub fn random(mut self, random: Random) -> Self {
        self.random = random;
        self
    }

    /// The runtime that members run on. Without one they run on that of the supervisor, and members
    /// that keep all its threads busy delay every deadline, every signal and every restart.
    pub fn workers(mut self, runtime: tokio::runtime::Handle) -> Self {
        self.workers = Some(runtime);
        self
    }

    /// The operator's side of the process to be, for members that need it. It knows no names yet.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// What the members will be doing.
    pub fn states(&self) -> States {
        self.handle.states()
    }

    /// Checks names and dependencies.
    pub fn build(self) -> Result<Process, Refused> {
        self.handle.graph().add_all(&self.members)?;
        let states = self.handle.states();
        for member in &self.members {
            states.insert(member);
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
