//! Handling of runs that ended: classification, restart, giving up.

use super::Engine;
use super::slot::{Phase, Reason};
use crate::child::Exit;
use crate::error::Error;
use crate::policy::{self, Action, Failure, MemberKind};
use crate::trace::{End, Ending, Next};
use std::any::Any;
use tokio::task::{Id, JoinError};

impl Engine {
    /// The task of a run has ended.
    pub(super) fn joined(&mut self, ended: Result<(Id, Result<(), Error>), JoinError>) {
        let (id, result) = match ended {
            Ok((id, result)) => (id, Ok(result)),
            Err(error) => (error.id(), Err(error)),
        };
        let Some(slot) = self.owners.remove(&id) else {
            return;
        };
        self.clear_timer(slot);
        let leaked = self.close(slot);
        self.slots[slot].run = None;
        let ending = self.ending(slot, result);
        match self.slots[slot].phase {
            Phase::Hung(reason) => {
                // Its end was recorded when it was found hung.
                tracing::info!(member = %self.slots[slot].member.name, "hung member ended");
                self.after_end(slot, reason, None);
            }
            Phase::Draining(reason) | Phase::CutOff(reason) => {
                self.after_end(slot, reason, Some((ending, leaked)));
            }
            _ if self.stopping => self.after_end(slot, Reason::Stop, Some((ending, leaked))),
            _ => self.failed(slot, ending, leaked),
        }
    }

    /// Cancels the tasks that the run left behind; returns their number.
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
        let asked = matches!(slot.phase, Phase::Draining(_) | Phase::CutOff(_));
        let cut = slot.cut.take();
        match result {
            Ok(Ok(())) if asked => Ending::Drained,
            Ok(Ok(())) if slot.member.kind == MemberKind::Once => Ending::Done,
            Ok(Ok(())) => Ending::Early,
            Ok(Err(error)) => match error.downcast_ref::<Exit>() {
                Some(exit) => cut.unwrap_or_else(|| exit.ending(asked)),
                None => Ending::Failed(chain(error.as_ref())),
            },
            Err(error) => match error.try_into_panic() {
                Ok(payload) => Ending::Panicked(message(payload.as_ref())),
                Err(error) => cut.unwrap_or_else(|| Ending::Failed(error.to_string())),
            },
        }
    }

    /// Continues after a run that was asked to end has ended. `end` is the ending and the number of
    /// leaked tasks, unless they are recorded already.
    pub(super) fn after_end(&mut self, slot: usize, reason: Reason, end: Option<(Ending, u64)>) {
        if reason == Reason::NotReady && !self.stopping {
            let deadline = self.slots[slot].member.limits.ready_deadline;
            let leaked = end.map_or(0, |(_, leaked)| leaked);
            self.failed(slot, Ending::NotReady(deadline), leaked);
            return;
        }
        if let Some((ending, leaked)) = end {
            if !ending.is_clean() {
                self.set_error(slot, &ending);
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

    /// A run ended without being asked to, or missed its ready deadline.
    fn failed(&mut self, slot: usize, ending: Ending, leaked: u64) {
        let (kind, limits) = (self.slots[slot].member.kind, self.slots[slot].member.limits);
        let failure = match &ending {
            Ending::Early | Ending::Drained | Ending::Done | Ending::Exited(0) => Failure::Ended,
            Ending::Panicked(_) => Failure::Panicked,
            Ending::NotReady(_) => Failure::NotReady,
            Ending::Failed(_)
            | Ending::Exited(_)
            | Ending::Killed(_)
            | Ending::OutOfMemory(_)
            | Ending::Overran(_)
            | Ending::Forced
            | Ending::Hung => Failure::Failed,
        };
        let mut action = policy::action(kind, failure);
        let mut failures = 0;
        if action == Action::Restart {
            let now = self.clock.monotonic();
            failures = self.slots[slot].count_failure(now, limits.restart_window);
            if failures > limits.restarts {
                action = policy::action(kind, Failure::GivenUp);
            }
        }
        if action != Action::Complete {
            self.set_error(slot, &ending);
        }
        match action {
            Action::Complete => {
                self.record_end(slot, ending, Next::Nothing, leaked);
                self.enter(slot, Phase::Done);
                self.wake_dependents(slot);
            }
            Action::Restart => {
                let backoff = limits.backoff(failures, &mut self.random);
                self.record_end(slot, ending, Next::Restarted(backoff), leaked);
                self.count_restart(slot);
                self.set_timer(slot, backoff);
                self.enter(slot, Phase::BackingOff);
            }
            Action::FailMember => {
                self.record_end(slot, ending, Next::GivenUp, leaked);
                self.enter(slot, Phase::GivenUp);
            }
            Action::StopProcess => {
                self.record_end(slot, ending, Next::StoppedProcess, leaked);
                self.enter(slot, Phase::GivenUp);
                self.stop();
            }
        }
    }

    /// Starts the next run of a member that an operator restarted.
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

    pub(super) fn set_error(&self, slot: usize, ending: &Ending) {
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

/// The message of a panic.
fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("(no message)").to_owned()
}

/// An error and its sources in one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let next = error.to_string();
        // Some errors include their source in their own text.
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        source = error.source();
    }
    text
}
