//! What an end means, and what follows from it.

use super::Engine;
use super::slot::{Phase, Reason};
use crate::child::Exit;
use crate::member::Error;
use crate::policy::{self, Fall, Kind, Verdict};
use crate::trace::{End, Ending, Next};
use std::any::Any;
use tokio::task::{Id, JoinError};
use tokio::time::Instant;

impl Engine {
    /// A run's task is over.
    pub(super) fn joined(&mut self, ended: Result<(Id, Result<(), Error>), JoinError>) {
        let (id, result) = match ended {
            Ok((id, result)) => (id, Ok(result)),
            Err(error) => (error.id(), Err(error)),
        };
        let Some(slot) = self.owners.remove(&id) else {
            return;
        };
        self.set_timer(slot, None);
        let leaked = self.close(slot);
        self.slots[slot].run = None;
        let ending = self.ending(slot, result);
        match self.slots[slot].phase {
            Phase::Hung(reason) => {
                // Its end was recorded when it was found to be hung.
                tracing::info!(member = %self.slots[slot].member.name, "a hung member ended at last");
                self.went_on(slot, reason, None);
            }
            Phase::Draining(reason) | Phase::CutOff(reason) => {
                self.went_on(slot, reason, Some((ending, leaked)));
            }
            _ if self.stopping => self.went_on(slot, Reason::Stop, Some((ending, leaked))),
            _ => self.fell(slot, ending, leaked),
        }
    }

    /// Cancels what the run has left behind; gives how much that was.
    pub(super) fn close(&mut self, slot: usize) -> u64 {
        let slot = &self.slots[slot];
        let leaked = slot.run.as_ref().map_or(0, |run| run.tasks.cancel() as u64);
        self.states.update(&slot.member.name, |member| {
            member.leaked += leaked;
            member.pid = None;
        });
        leaked
    }

    fn ending(&mut self, slot: usize, result: Result<Result<(), Error>, JoinError>) -> Ending {
        let slot = &mut self.slots[slot];
        let told = matches!(slot.phase, Phase::Draining(_) | Phase::CutOff(_));
        let cut = slot.cut.take();
        match result {
            Ok(Ok(())) if told => Ending::Drained,
            Ok(Ok(())) if slot.member.kind == Kind::Once => Ending::Done,
            Ok(Ok(())) => Ending::Early,
            Ok(Err(error)) => match error.downcast_ref::<Exit>() {
                Some(exit) => cut.unwrap_or_else(|| exit.ending(told)),
                None => Ending::Failed(chain(error.as_ref())),
            },
            Err(error) => match error.try_into_panic() {
                Ok(payload) => Ending::Panicked(message(payload.as_ref())),
                Err(error) => cut.unwrap_or_else(|| Ending::Failed(error.to_string())),
            },
        }
    }

    /// A run that was told to end has ended. `end` is what is still to be recorded of it.
    pub(super) fn went_on(&mut self, slot: usize, reason: Reason, end: Option<(Ending, u64)>) {
        if reason == Reason::NotReady && !self.stopping {
            let deadline = self.slots[slot].member.limits.ready_deadline;
            let leaked = end.map_or(0, |(_, leaked)| leaked);
            self.fell(slot, Ending::NotReady(deadline), leaked);
            return;
        }
        if let Some((ending, leaked)) = end {
            if !ending.is_clean() {
                self.say_error(slot, &ending);
            }
            self.record_end(slot, ending, Next::Nothing, leaked);
        }
        if self.stopping {
            self.stopped(slot);
            return;
        }
        match reason {
            Reason::Off => {
                self.enter(slot, Phase::Off);
                self.wake_dependents(slot);
            }
            Reason::Restart => self.restarted(slot),
            Reason::NotReady | Reason::Stop => self.begin(slot),
        }
    }

    /// A run ended although nobody had told it to, or never became ready.
    fn fell(&mut self, slot: usize, ending: Ending, leaked: u64) {
        let (kind, limits) = (self.slots[slot].member.kind, self.slots[slot].member.limits);
        let fall = match &ending {
            Ending::Early | Ending::Drained | Ending::Done | Ending::Exited(0) => Fall::Ended,
            Ending::Panicked(_) => Fall::Panicked,
            Ending::NotReady(_) => Fall::NotReady,
            Ending::Failed(_)
            | Ending::Exited(_)
            | Ending::Killed(_)
            | Ending::Overran(_)
            | Ending::Hurried
            | Ending::Hung => Fall::Failed,
        };
        let mut verdict = policy::verdict(kind, fall);
        let mut falls = 0;
        if verdict == Verdict::Restart {
            falls = self.slots[slot].fell(Instant::now(), limits.span);
            if falls > limits.restarts {
                verdict = policy::verdict(kind, Fall::GivenUp);
            }
        }
        if verdict != Verdict::Done {
            self.say_error(slot, &ending);
        }
        match verdict {
            Verdict::Done => {
                self.record_end(slot, ending, Next::Nothing, leaked);
                self.enter(slot, Phase::Done);
                self.wake_dependents(slot);
            }
            Verdict::Restart => {
                let wait = limits.backoff(falls, &mut self.random);
                self.record_end(slot, ending, Next::Restarted(wait), leaked);
                self.count_restart(slot);
                self.set_timer(slot, Some(Instant::now() + wait));
                self.enter(slot, Phase::BackingOff);
            }
            Verdict::FailMember => {
                self.record_end(slot, ending, Next::GivenUp, leaked);
                self.enter(slot, Phase::GivenUp);
            }
            Verdict::StopProcess => {
                self.record_end(slot, ending, Next::StoppedProcess, leaked);
                self.enter(slot, Phase::GivenUp);
                self.stop();
            }
        }
    }

    /// An operator's restart: the end has been recorded, the next run begins at once.
    pub(super) fn restarted(&mut self, slot: usize) {
        self.count_restart(slot);
        self.begin(slot);
    }

    fn count_restart(&mut self, slot: usize) {
        let slot = &mut self.slots[slot];
        slot.restarts += 1;
        let restarts = slot.restarts;
        self.states
            .update(&slot.member.name, |member| member.restarts = restarts);
    }

    pub(super) fn say_error(&self, slot: usize, ending: &Ending) {
        let error = Some(ending.to_string());
        self.states
            .update(&self.slots[slot].member.name, |member| member.error = error);
    }

    pub(super) fn record_end(&mut self, slot: usize, ending: Ending, next: Next, leaked: u64) {
        let slot = &self.slots[slot];
        let end = End {
            member: slot.member.name.to_string(),
            run: slot.run_number,
            ending,
            next,
            leaked,
            at: self.states.now(),
        };
        self.record(end);
    }
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("without a message").to_owned()
}

/// An error and its causes in one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        // Some errors print their cause themselves.
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}
