//! Stopping one member, and stopping the process.

use super::Engine;
use super::slot::{Phase, Reason};
use crate::policy::CUT_DEADLINE;
use crate::trace::{Ending, Next};

impl Engine {
    /// Asks a run to end.
    pub(super) fn drain(&mut self, slot: usize, reason: Reason) {
        let Some(run) = &self.slots[slot].run else {
            return;
        };
        run.drain.cancel();
        let deadline = self.slots[slot].member.limits.stop_deadline;
        self.enter(slot, Phase::Draining(reason));
        self.set_timer(slot, deadline);
        if self.forced {
            self.cut_off(slot);
        }
    }

    /// Aborts the task of a run, or kills its child process.
    pub(super) fn cut_off(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        let Some(run) = &slot.run else {
            return;
        };
        let reason = match slot.phase {
            Phase::Draining(reason) => reason,
            // A forced stop, which skips the draining phase.
            Phase::Starting | Phase::Ready => Reason::Stop,
            _ => return,
        };
        run.drain.cancel();
        run.kill.cancel();
        if !slot.member.is_process {
            run.task.abort();
        }
        slot.cut = Some(if self.forced {
            Ending::Forced
        } else {
            Ending::Overran(slot.member.limits.stop_deadline)
        });
        self.enter(index, Phase::CutOff(reason));
        self.set_timer(index, CUT_DEADLINE);
    }

    /// Gives up waiting for a run that did not end after it was aborted: a poll does not return, or the
    /// kernel cannot kill the child.
    pub(super) fn hung(&mut self, slot: usize, reason: Reason) {
        if let Some(run) = &self.slots[slot].run {
            run.task.abort();
        }
        let leaked = self.close(slot);
        self.set_error(slot, &Ending::Hung);
        self.enter(slot, Phase::Hung(reason));
        self.record_end(slot, Ending::Hung, Next::Nothing, leaked);
        self.woken.push_back(slot);
    }

    /// Starts to stop the process, unless it is stopping already.
    pub(super) fn stop(&mut self) {
        if self.stopping {
            return;
        }
        self.stopping = true;
        self.trace.begin_stop();
        self.woken.clear();
        for slot in 0..self.slots.len() {
            self.clear_timer_unless_ending(slot);
            if matches!(self.slots[slot].phase, Phase::Waiting | Phase::BackingOff) {
                self.enter(slot, Phase::Stopped);
            }
            for dependency in self.slots[slot].after.clone() {
                self.slots[dependency].pending_dependents += 1;
            }
        }
        self.woken.extend(0..self.slots.len());
    }

    fn clear_timer_unless_ending(&mut self, slot: usize) {
        if !matches!(
            self.slots[slot].phase,
            Phase::Draining(_) | Phase::CutOff(_)
        ) {
            self.clear_timer(slot);
        }
    }

    /// While the process stops: drains a member whose dependents have all ended. A member that is not
    /// running releases its dependencies, so that the order holds across it.
    pub(super) fn drain_if_unneeded(&mut self, slot: usize) {
        let state = &self.slots[slot];
        if state.pending_dependents > 0 {
            return;
        }
        match state.phase {
            Phase::Starting | Phase::Ready if state.run.is_some() => self.drain(slot, Reason::Stop),
            // A served member has no run.
            Phase::Starting | Phase::Ready => self.stopped(slot),
            Phase::Draining(_) | Phase::CutOff(_) => {}
            Phase::Waiting
            | Phase::BackingOff
            | Phase::Hung(_)
            | Phase::Off
            | Phase::Done
            | Phase::GivenUp
            | Phase::Stopped => self.release(slot),
        }
    }

    /// A member has ended while the process stops.
    pub(super) fn stopped(&mut self, slot: usize) {
        self.enter(slot, Phase::Stopped);
        self.woken.push_back(slot);
    }

    /// Lets the dependencies of a member stop without waiting for it. Later calls have no effect.
    fn release(&mut self, slot: usize) {
        if std::mem::replace(&mut self.slots[slot].released, true) {
            return;
        }
        for dependency in self.slots[slot].after.clone() {
            let pending = &mut self.slots[dependency].pending_dependents;
            *pending = pending.saturating_sub(1);
            if *pending == 0 {
                self.woken.push_back(dependency);
            }
        }
    }

    /// Cuts off all members immediately, in no particular order.
    pub(super) fn force(&mut self) {
        self.forced = true;
        self.stop();
        for slot in 0..self.slots.len() {
            self.cut_off(slot);
        }
    }
}
