//! Commands of operators: insert, enable, disable and restart members.

use super::Engine;
use super::slot::{Phase, Reason};
use crate::handle::Command;

impl Engine {
    pub(super) fn execute(&mut self, command: Command) {
        match command {
            Command::Insert(member) => {
                let slot = self.slots.len();
                self.add(vec![*member]);
                if self.stopping {
                    // Its dependencies have not counted it, so they do not wait for it to end.
                    self.slots[slot].released = true;
                    self.enter(slot, Phase::Stopped);
                } else {
                    self.woken.push_back(slot);
                }
            }
            Command::Toggle { slot, enabled, why } => self.toggle(slot, enabled, why),
            Command::Restart { slot, why } => self.restart(slot, why),
        }
    }

    fn toggle(&mut self, slot: usize, enabled: bool, why: String) {
        if self.stopping {
            return;
        }
        let name = self.slots[slot].member.name.clone();
        // A change that was requested twice before it was executed is logged once.
        if self
            .states
            .get(&name)
            .is_none_or(|member| member.enabled != enabled)
        {
            tracing::info!(member = %name, enabled, why, "member toggled");
        }
        let phase = self.slots[slot].phase;
        self.states.update(&name, |member| {
            member.enabled = enabled;
            // An enabled member that waits keeps showing what it waits for.
            if !enabled || phase != Phase::Waiting {
                member.why = Some(why);
            }
        });
        if enabled {
            match phase {
                Phase::Off | Phase::GivenUp => self.begin_with_clean_record(slot),
                // The run that was asked to end when the member was disabled has not ended yet.
                Phase::Draining(Reason::Off) => self.enter(slot, Phase::Draining(Reason::Restart)),
                Phase::CutOff(Reason::Off) => self.enter(slot, Phase::CutOff(Reason::Restart)),
                Phase::Hung(Reason::Off) => self.enter(slot, Phase::Hung(Reason::Restart)),
                _ => {}
            }
            return;
        }
        match phase {
            Phase::Starting | Phase::Ready if self.slots[slot].run.is_some() => {
                self.drain(slot, Reason::Off);
            }
            Phase::Starting
            | Phase::Ready
            | Phase::Waiting
            | Phase::BackingOff
            | Phase::Done
            | Phase::GivenUp => self.off(slot),
            Phase::Draining(_) => self.enter(slot, Phase::Draining(Reason::Off)),
            Phase::CutOff(_) => self.enter(slot, Phase::CutOff(Reason::Off)),
            Phase::Hung(_) => self.enter(slot, Phase::Hung(Reason::Off)),
            Phase::Off | Phase::Stopped => {}
        }
    }

    fn off(&mut self, slot: usize) {
        self.clear_timer(slot);
        self.enter(slot, Phase::Off);
        self.wake_dependents(slot);
    }

    fn begin_with_clean_record(&mut self, slot: usize) {
        self.slots[slot].failures.clear();
        self.begin(slot);
    }

    fn restart(&mut self, slot: usize, why: String) {
        if self.stopping {
            return;
        }
        let name = self.slots[slot].member.name.clone();
        tracing::info!(member = %name, why, "restarting member");
        self.slots[slot].failures.clear();
        if self.slots[slot].phase != Phase::Waiting {
            self.set_why(slot, Some(why));
        }
        match self.slots[slot].phase {
            Phase::Starting | Phase::Ready if self.slots[slot].run.is_some() => {
                self.drain(slot, Reason::Restart);
            }
            Phase::BackingOff => self.begin(slot),
            Phase::Starting | Phase::Ready | Phase::Done | Phase::GivenUp => self.restarted(slot),
            Phase::Draining(Reason::NotReady) => {
                self.enter(slot, Phase::Draining(Reason::Restart));
            }
            Phase::CutOff(Reason::NotReady) => self.enter(slot, Phase::CutOff(Reason::Restart)),
            Phase::Hung(Reason::NotReady) => self.enter(slot, Phase::Hung(Reason::Restart)),
            // About to start, already restarting, or not supposed to run.
            Phase::Waiting
            | Phase::Draining(_)
            | Phase::CutOff(_)
            | Phase::Hung(_)
            | Phase::Off
            | Phase::Stopped => {}
        }
    }
}
