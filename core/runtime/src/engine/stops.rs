//! From running to ended, and the end of everything.

use super::Engine;
use super::slot::{Phase, Reason};
use crate::policy::CUT_DEADLINE;
use crate::trace::{Ending, Next};
use tokio::time::Instant;

impl Engine {
    /// Tells a run to end.
    pub(super) fn drain(&mut self, slot: usize, reason: Reason) {
        let Some(run) = &self.slots[slot].run else {
            return;
        };
        run.drain.cancel();
        let deadline = self.slots[slot].member.limits.stop_deadline;
        self.enter(slot, Phase::Draining(reason));
        self.set_timer(slot, Some(Instant::now() + deadline));
        if self.hurried {
            self.cut_off(slot);
        }
    }

    /// Gives a run no more time: a task is aborted, a child killed.
    pub(super) fn cut_off(&mut self, slot: usize) {
        let place = slot;
        let slot = &mut self.slots[place];
        let Some(run) = &slot.run else {
            return;
        };
        let reason = match slot.phase {
            Phase::Draining(reason) => reason,
            // Until now it was not told to end.
            Phase::Starting | Phase::Ready => Reason::Stop,
            _ => return,
        };
        run.drain.cancel();
        run.kill.cancel();
        if !slot.member.is_process {
            run.task.abort();
        }
        slot.cut = Some(if self.hurried {
            Ending::Hurried
        } else {
            Ending::Overran(slot.member.limits.stop_deadline)
        });
        self.enter(place, Phase::CutOff(reason));
        self.set_timer(place, Some(Instant::now() + CUT_DEADLINE));
    }

    /// It did not even end when it was cut off: a poll that does not return, or a child that the
    /// kernel can't kill. It is named, and not waited for any longer.
    pub(super) fn hung(&mut self, slot: usize, reason: Reason) {
        if let Some(run) = &self.slots[slot].run {
            run.task.abort();
        }
        let leaked = self.close(slot);
        self.say_error(slot, &Ending::Hung);
        self.enter(slot, Phase::Hung(reason));
        self.record_end(slot, Ending::Hung, Next::Nothing, leaked);
        self.woken.push_back(slot);
    }

    /// Begins the end of everything, once.
    pub(super) fn stop(&mut self) {
        if self.stopping {
            return;
        }
        self.stopping = true;
        self.trace.stop_begins();
        self.woken.clear();
        for slot in 0..self.slots.len() {
            self.set_timer_unless_running(slot);
            if matches!(self.slots[slot].phase, Phase::Waiting | Phase::BackingOff) {
                self.enter(slot, Phase::Stopped);
            }
            for dependency in self.slots[slot].after.clone() {
                self.slots[dependency].holders += 1;
            }
        }
        self.woken.extend(0..self.slots.len());
    }

    fn set_timer_unless_running(&mut self, slot: usize) {
        if !matches!(
            self.slots[slot].phase,
            Phase::Draining(_) | Phase::CutOff(_)
        ) {
            self.set_timer(slot, None);
        }
    }

    /// During the stop: stops a member if all that come after it are down. One that is down already
    /// passes that on to those before it, so that the order holds across it.
    pub(super) fn drain_if_free(&mut self, slot: usize) {
        let at = &self.slots[slot];
        if at.holders > 0 {
            return;
        }
        match at.phase {
            Phase::Starting | Phase::Ready if at.run.is_some() => self.drain(slot, Reason::Stop),
            // A served member has nothing that could end.
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

    /// A member has ended during the stop.
    pub(super) fn stopped(&mut self, slot: usize) {
        self.enter(slot, Phase::Stopped);
        self.woken.push_back(slot);
    }

    /// Those that it comes after need not wait for it any longer. Said once.
    fn release(&mut self, slot: usize) {
        if std::mem::replace(&mut self.slots[slot].released, true) {
            return;
        }
        for dependency in self.slots[slot].after.clone() {
            let holders = &mut self.slots[dependency].holders;
            *holders = holders.saturating_sub(1);
            if *holders == 0 {
                self.woken.push_back(dependency);
            }
        }
    }

    /// Stops everything at once, whatever the order.
    pub(super) fn hurry(&mut self) {
        self.hurried = true;
        self.stop();
        for slot in 0..self.slots.len() {
            self.cut_off(slot);
        }
    }
}
