//! Starting members: from waiting to ready.

use super::Engine;
use super::slot::{Phase, Run};
use crate::context::{Context, Inner, Ready};
use crate::tasks::Tasks;
use davy_tag::Tag;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tokio_util::sync::CancellationToken;

impl Engine {
    /// Starts a member, or makes it wait for its dependencies.
    pub(super) fn begin(&mut self, slot: usize) {
        self.clear_timer(slot);
        let first = self.slots[slot]
            .after
            .iter()
            .copied()
            .find(|dependency| !self.slots[*dependency].phase.allows_dependents());
        self.slots[slot].waits_for = first;
        if let Some(dependency) = first {
            let why = format!("waits for {}", self.slots[dependency].member.name);
            self.set_why(slot, Some(why));
            self.enter(slot, Phase::Waiting);
        } else {
            self.start(slot);
        }
    }

    fn start(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        let workers = self.workers.as_ref();
        let workers = workers.filter(|_| !slot.member.is_on_supervisor_runtime);
        slot.run_number += 1;
        slot.cut = None;
        let name = slot.member.name.clone();
        let Some(run) = slot.member.run.clone() else {
            self.became_ready(index);
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
            slot: index,
            run: slot.run_number,
            restarts: slot.restarts,
        });
        // The closure is called inside the task, so that a panic in it ends this run only.
        let work = Tag::new(&name, "run").task(async move { run(context).await });
        let task = match workers {
            Some(workers) => self.runs.spawn_on(work, workers),
            None => self.runs.spawn(work),
        };
        self.owners.insert(task.id(), index);
        slot.run = Some(Run {
            task,
            drain,
            kill,
            tasks,
        });
        let deadline = slot.member.limits.ready_deadline;
        self.set_timer(index, deadline);
        self.set_why(index, None);
        self.enter(index, Phase::Starting);
    }

    pub(super) fn on_ready(&mut self, Ready { slot, run }: Ready) {
        let sender = &self.slots[slot];
        if sender.phase == Phase::Starting && sender.run_number == run {
            self.became_ready(slot);
        }
    }

    fn became_ready(&mut self, slot: usize) {
        self.clear_timer(slot);
        self.set_why(slot, None);
        self.enter(slot, Phase::Ready);
        self.wake_dependents(slot);
    }

    /// Wakes the dependents that were waiting for this slot. Each then checks its other dependencies.
    pub(super) fn wake_dependents(&mut self, slot: usize) {
        let slots = &self.slots;
        let waiting = slots[slot].dependents.iter().copied();
        self.woken
            .extend(waiting.filter(|dependent| slots[*dependent].waits_for == Some(slot)));
    }

    pub(super) fn set_why(&self, slot: usize, why: Option<String>) {
        self.states
            .update(&self.slots[slot].member.name, |member| member.why = why);
    }
}
