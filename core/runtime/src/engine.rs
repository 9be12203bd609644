//! The supervisor: one loop that owns the state of every member.
//!
//! All input reaches the loop as an event: a run became ready, a run ended, a timer fired, an operator
//! sent a command, the process is to stop. Nothing else changes a member, so members need no locks,
//! have no races, and a stop of the process is never mistaken for a failure of a member.

mod commands;
mod exits;
mod shutdown;
mod slot;
mod startup;

use crate::context::Ready;
use crate::error::Error;
use crate::handle::{Command, Handle};
use crate::member::Member;
use crate::state::{State, States};
use crate::stop::Stop;
use crate::trace::{End, Trace};
use davy_base::{Clock, Random};
use slot::{Phase, Slot};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::{Id, JoinSet};

pub(crate) struct Engine {
    handle: Handle,
    states: States,
    clock: Clock,
    random: Random,
    workers: Option<tokio::runtime::Handle>,
    commands: mpsc::Receiver<Command>,
    readiness: (mpsc::UnboundedSender<Ready>, mpsc::UnboundedReceiver<Ready>),
    slots: Vec<Slot>,
    runs: JoinSet<Result<(), Error>>,
    /// The slot of each run's task.
    owners: HashMap<Id, usize>,
    /// The deadlines by [`Clock::monotonic`], with their slots. At most one per slot.
    timers: BTreeSet<(Duration, usize)>,
    /// The slots that may be able to start or stop, because another one changed.
    woken: VecDeque<usize>,
    trace: Trace,
    stopping: bool,
    forced: bool,
}

impl Engine {
    pub(crate) fn new(
        handle: Handle,
        random: Random,
        workers: Option<tokio::runtime::Handle>,
        commands: mpsc::Receiver<Command>,
        members: Vec<Member>,
    ) -> Self {
        let states = handle.states();
        let mut engine = Self {
            clock: states.clock().clone(),
            states,
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
            forced: false,
        };
        engine.add(members);
        engine
    }

    /// Creates slots for members whose names and dependencies the graph has accepted.
    fn add(&mut self, members: Vec<Member>) {
        let offset = self.slots.len();
        {
            let graph = self.handle.graph();
            for member in members {
                let mut after: Vec<usize> = member
                    .after
                    .iter()
                    .filter_map(|name| graph.index(name))
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
        // Commands sent before the start come first, so that a disabled member is not started.
        while let Ok(command) = self.commands.try_recv() {
            self.execute(command);
        }
        if !stop.is_draining() {
            self.woken.extend(0..self.slots.len());
            self.settle();
        }
        let clock = self.clock.clone();
        while !(self.stopping && self.is_over()) {
            let due = self.timers.first().map(|(due, _)| *due);
            let timer = async {
                match due {
                    Some(due) => clock.sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            // Readiness is handled before ends: a run that became ready and then ended was ready.
            tokio::select! {
                biased;
                () = stop.forced(), if !self.forced => self.force(),
                () = stop.draining(), if !self.stopping => self.stop(),
                Some(ready) = self.readiness.1.recv() => self.on_ready(ready),
                Some(ended) = self.runs.join_next_with_id(), if !self.runs.is_empty() => {
                    self.joined(ended);
                }
                () = timer => self.fire(),
                Some(command) = self.commands.recv() => self.execute(command),
            }
            self.settle();
        }
        std::mem::take(&mut self.trace)
    }

    /// Whether no run is left, apart from hung ones.
    fn is_over(&self) -> bool {
        self.owners
            .values()
            .all(|slot| matches!(self.slots[*slot].phase, Phase::Hung(_)))
    }

    /// Starts or stops the slots that were woken.
    fn settle(&mut self) {
        while let Some(slot) = self.woken.pop_front() {
            if self.stopping {
                self.drain_if_unneeded(slot);
            } else if self.slots[slot].phase == Phase::Waiting {
                self.begin(slot);
            }
        }
    }

    /// Handles the timers that are due.
    fn fire(&mut self) {
        let now = self.clock.monotonic();
        while let Some((due, slot)) = self.timers.first().copied()
            && due <= now
        {
            self.clear_timer(slot);
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

    /// Sets the slot's timer to `span` from now.
    fn set_timer(&mut self, slot: usize, span: Duration) {
        self.clear_timer(slot);
        let due = self.clock.monotonic().saturating_add(span);
        self.slots[slot].timer = Some(due);
        self.timers.insert((due, slot));
    }

    fn clear_timer(&mut self, slot: usize) {
        if let Some(due) = self.slots[slot].timer.take() {
            self.timers.remove(&(due, slot));
        }
    }

    /// Moves a member to a phase and publishes its state.
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
    /// Dropping a running supervisor leaves no task behind: dropping the set aborts the runs, which
    /// kills the children, and the tasks that runs spawned are cancelled here.
    fn drop(&mut self) {
        for run in self.slots.iter().filter_map(|slot| slot.run.as_ref()) {
            run.tasks.cancel();
        }
    }
}
