//! From waiting to ready.

use super::Engine;
use super::slot::{Phase, Run};
use crate::context::{Context, Inner, Ready};
use crate::tasks::Tasks;
use davy_tag::Tag;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

impl Engine {
    /// Starts a member, or lets it wait for those that it comes after.
    pub(super) fn begin(&mut self, slot: usize) {
        self.set_timer(slot, None);
        let first = self.slots[slot]
            .after
            .iter()
            .copied()
            .find(|dependency| !self.slots[*dependency].phase.lets_others_start());
        self.slots[slot].waits_for = first;
        if let Some(dependency) = first {
            let why = format!("waits for {}", self.slots[dependency].member.name);
            self.say_why(slot, Some(why));
            self.enter(slot, Phase::Waiting);
        } else {
            self.start(slot);
        }
    }

    fn start(&mut self, place: usize) {
        let slot = &mut self.slots[place];
        let workers = self.workers.as_ref();
        let workers = workers.filter(|_| !slot.member.is_beside_supervisor);
        slot.run_number += 1;
        slot.cut = None;
        let name = slot.member.name.clone();
        let Some(run) = slot.member.run.clone() else {
            self.became_ready(place);
            return;
        };
        let (drain, kill) = (CancellationToken::new(), CancellationToken::new());
        let tasks = Arc::new(Tasks::default());
        let context = Context::new(Inner {
            name: name.clone(),
            drain: drain.clone(),
            kill: kill.clone(),
            tasks: tasks.clone(),
            states: self.states.clone(),
            is_ready: AtomicBool::new(false),
            readiness: self.readiness.0.clone(),
            slot: place,
            run: slot.run_number,
            restarts: slot.restarts,
        });
        // The closure runs inside the task: a panic before its first await is the member's too.
        let work = Tag::new(&name, "run").task(async move { run(context).await });
        let task = match workers {
            Some(workers) => self.runs.spawn_on(work, workers),
            None => self.runs.spawn(work),
        };
        self.owners.insert(task.id(), place);
        slot.run = Some(Run {
            task,
            drain,
            kill,
            tasks,
        });
        let deadline = slot.member.limits.ready_deadline;
        self.set_timer(place, Some(Instant::now() + deadline));
        self.say_why(place, None);
        self.enter(place, Phase::Starting);
    }

    pub(super) fn said_ready(&mut self, Ready { slot, run }: Ready) {
        let said = &self.slots[slot];
        if said.phase == Phase::Starting && said.run_number == run {
            self.became_ready(slot);
        }
    }

    fn became_ready(&mut self, slot: usize) {
        self.set_timer(slot, None);
        self.say_why(slot, None);
        self.enter(slot, Phase::Ready);
        self.wake_dependents(slot);
    }

    /// Those that waited for this one may start, unless they wait for another one, too.
    pub(super) fn wake_dependents(&mut self, slot: usize) {
        let slots = &self.slots;
        let waiting = slots[slot].dependents.iter().copied();
        self.woken
            .extend(waiting.filter(|dependent| slots[*dependent].waits_for == Some(slot)));
    }

    pub(super) fn say_why(&self, slot: usize, why: Option<String>) {
        self.states
            .update(&self.slots[slot].member.name, |member| member.why = why);
    }
}
