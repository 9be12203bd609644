//! The supervisor: one loop that owns every member's life.
//!
//! Everything that happens comes to the loop as an event: a run said that it is ready, a run ended, a
//! timer fired, an operator wishes something, the process is to stop. Nothing else changes a member,
//! so there are no locks and no races between them, and a stop can't be mistaken for a member's end.

mod ends;
mod slot;
mod starts;
mod stops;
mod wishes;

use crate::context::Ready;
use crate::handle::{Command, Handle};
use crate::member::{Error, Member};
use crate::state::{State, States};
use crate::stop::Stop;
use crate::trace::{End, Trace};
use davy_base::Random;
use slot::{Phase, Slot};
use std::collections::{BTreeSet, HashMap, VecDeque};
use tokio::sync::mpsc;
use tokio::task::{Id, JoinSet};
use tokio::time::Instant;

pub(crate) struct Engine {
    handle: Handle,
    states: States,
    random: Random,
    workers: Option<tokio::runtime::Handle>,
    commands: mpsc::Receiver<Command>,
    readiness: (mpsc::UnboundedSender<Ready>, mpsc::UnboundedReceiver<Ready>),
    slots: Vec<Slot>,
    runs: JoinSet<Result<(), Error>>,
    /// Whose run a task is.
    owners: HashMap<Id, usize>,
    /// When something is due, and for whom. At most one entry a slot.
    timers: BTreeSet<(Instant, usize)>,
    /// Those that may start or stop now, because another one changed.
    woken: VecDeque<usize>,
    trace: Trace,
    stopping: bool,
    hurried: bool,
}

impl Engine {
    pub(crate) fn new(
        handle: Handle,
        random: Random,
        workers: Option<tokio::runtime::Handle>,
        commands: mpsc::Receiver<Command>,
        members: Vec<Member>,
    ) -> Self {
        let mut engine = Self {
            states: handle.states(),
            handle,
            random,
            workers,
            commands,
            readiness: mpsc::unbounded_channel(),
            slots: Vec::with_capacity(members.len()),
            runs: JoinSet::new(),
            owners: HashMap::new(),
            timers: BTreeSet::new(),
            woken: VecDeque::new(),
            trace: Trace::default(),
            stopping: false,
            hurried: false,
        };
        engine.take_in(members);
        engine
    }

    /// Gives members their slots. Their names and dependencies have been checked.
    fn take_in(&mut self, members: Vec<Member>) {
        let offset = self.slots.len();
        {
            let graph = self.handle.graph();
            for member in members {
                let mut after: Vec<usize> = member
                    .after
                    .iter()
                    .filter_map(|name| graph.place(name))
                    .collect();
                after.sort_unstable();
                after.dedup();
                self.slots.push(Slot::new(member, after));
            }
        }
        for slot in offset..self.slots.len() {
            for dependency in self.slots[slot].after.clone() {
                self.slots[dependency].dependents.push(slot);
            }
        }
    }

    pub(crate) async fn run(mut self, stop: Stop) -> Trace {
        // What was wished before the start: who is off is not started first.
        while let Ok(command) = self.commands.try_recv() {
            self.obey(command);
        }
        if !stop.is_draining() {
            self.woken.extend(0..self.slots.len());
            self.settle();
        }
        while !(self.stopping && self.is_over()) {
            let due = self.timers.first().map(|(due, _)| *due);
            // Readiness before ends: a run that was ready and then ended was ready.
            tokio::select! {
                biased;
                () = stop.hurrying(), if !self.hurried => self.hurry(),
                () = stop.draining(), if !self.stopping => self.stop(),
                Some(ready) = self.readiness.1.recv() => self.said_ready(ready),
                Some(ended) = self.runs.join_next_with_id(), if !self.runs.is_empty() => {
                    self.joined(ended);
                }
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    self.fire();
                }
                Some(command) = self.commands.recv() => self.obey(command),
            }
            self.settle();
        }
        std::mem::take(&mut self.trace)
    }

    /// Whether nobody runs any more, but for the hung.
    fn is_over(&self) -> bool {
        self.owners
            .values()
            .all(|slot| matches!(self.slots[*slot].phase, Phase::Hung(_)))
    }

    /// Lets those that wait for a change see it.
    fn settle(&mut self) {
        while let Some(slot) = self.woken.pop_front() {
            if self.stopping {
                self.drain_if_free(slot);
            } else if self.slots[slot].phase == Phase::Waiting {
                self.begin(slot);
            }
        }
    }

    fn fire(&mut self) {
        let now = Instant::now();
        while let Some((due, slot)) = self.timers.first().copied()
            && due <= now
        {
            self.set_timer(slot, None);
            match self.slots[slot].phase {
                Phase::Starting => self.drain(slot, slot::Reason::NotReady),
                Phase::BackingOff => self.begin(slot),
                Phase::Draining(_) => self.cut_off(slot),
                Phase::CutOff(reason) => self.hung(slot, reason),
                Phase::Waiting
                | Phase::Ready
                | Phase::Hung(_)
                | Phase::Off
                | Phase::Done
                | Phase::GivenUp
                | Phase::Stopped => {}
            }
        }
    }

    fn set_timer(&mut self, slot: usize, due: Option<Instant>) {
        if let Some(before) = std::mem::replace(&mut self.slots[slot].timer, due) {
            self.timers.remove(&(before, slot));
        }
        if let Some(due) = due {
            self.timers.insert((due, slot));
        }
    }

    /// Puts a member into a phase, and lets everybody see it.
    fn enter(&mut self, slot: usize, phase: Phase) {
        let slot = &mut self.slots[slot];
        slot.phase = phase;
        let state = phase.state();
        self.states.update(&slot.member.name, |member| {
            member.state = state;
            if state == State::Ready {
                member.error = None;
            }
        });
    }

    fn record(&mut self, end: End) {
        if end.ending.is_clean() {
            tracing::debug!(member = end.member, "{end}");
        } else {
            tracing::error!(member = end.member, run = end.run, "{end}");
        }
        self.trace.push(end);
    }
}

impl Drop for Engine {
    /// Whoever drops the supervisor before its time leaves no task behind either: the runs go with
    /// their set, children with their keepers, and the tasks that runs have spawned here.
    fn drop(&mut self) {
        for run in self.slots.iter().filter_map(|slot| slot.run.as_ref()) {
            run.tasks.cancel();
        }
    }
}
