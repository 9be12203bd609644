//! The record of how a process ended: the ends of its members' runs, in order.

use davy_base::Timestamp;
use davy_profile::units::{bytes, duration};
use std::fmt;
use std::time::Duration;

/// Maximum number of recorded ends before the stop. Older ones are dropped and counted.
const ENDS_MAX: usize = 256;

/// How a run of a member ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was asked to drain, and did.
    Drained,
    /// A member of kind [`MemberKind::Once`](crate::MemberKind::Once) has done its work.
    Done,
    /// It ended without an error, although it was not asked to.
    Early,
    /// It returned this error.
    Failed(String),
    /// It panicked with this message.
    Panicked(String),
    /// The child exited with this status.
    Exited(i32),
    /// The child was killed by this signal.
    Killed(i32),
    /// The kernel killed the child because memory ran out; with the limit of its cgroup in bytes, if it has one.
    OutOfMemory(Option<u64>),
    /// It was not ready within this time and was stopped.
    NotReady(Duration),
    /// It did not stop within this time and was aborted.
    Overran(Duration),
    /// It was aborted by a forced stop.
    Forced,
    /// It did not end after it was aborted: it does not yield, or its child cannot be killed.
    Hung,
}

impl Ending {
    /// Whether this is an expected ending.
    pub const fn is_clean(&self) -> bool {
        matches!(self, Self::Drained | Self::Done)
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drained => f.write_str("drained"),
            Self::Done => f.write_str("completed"),
            Self::Early => f.write_str("ended unexpectedly"),
            Self::Failed(error) => write!(f, "failed: {error}"),
            Self::Panicked(message) => write!(f, "panicked: {message}"),
            Self::Exited(status) => write!(f, "exited with status {status}"),
            Self::Killed(signal) => write!(f, "was killed by signal {signal}"),
            Self::OutOfMemory(Some(limit)) => {
                let limit = bytes(*limit as f64);
                write!(
                    f,
                    "was killed by the kernel: out of memory, its limit is {limit}"
                )
            }
            Self::OutOfMemory(None) => {
                f.write_str("was killed by the kernel: the machine is out of memory")
            }
            Self::NotReady(deadline) => {
                write!(f, "was not ready within {}", duration(*deadline))
            }
            Self::Overran(deadline) => {
                let deadline = duration(*deadline);
                write!(f, "did not stop within {deadline} and was aborted")
            }
            Self::Forced => f.write_str("was aborted by a forced stop"),
            Self::Hung => f.write_str("is hung: it did not stop after it was aborted"),
        }
    }
}

/// What the supervisor did after an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: the member was asked to end, or had done its work.
    Nothing,
    /// It restarted the member after this back-off.
    Restarted(Duration),
    /// It gave the member up after too many failures.
    GivenUp,
    /// It gave the member up after too many failures, and stopped the process.
    StoppedProcess,
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// The member's name.
    pub member: String,
    /// The number of the run, counted from 1.
    pub run: u64,
    /// How it ended.
    pub ending: Ending,
    /// What the supervisor did next.
    pub next: Next,
    /// The number of tasks that outlived the run and were cancelled.
    pub leaked: u64,
    /// When it ended.
    pub at: Timestamp,
}

/// The ends of a process's members, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    ends: Vec<End>,
    dropped: u64,
    /// The number of recorded ends before the stop.
    before_stop: Option<usize>,
}

impl Trace {
    pub(crate) fn push(&mut self, end: End) {
        if self.before_stop.is_none() && self.ends.len() == ENDS_MAX {
            self.ends.remove(0);
            self.dropped += 1;
        }
        self.ends.push(end);
    }

    /// Marks the start of shutdown. Ends after it are always recorded, since there is at most one per member.
    pub(crate) fn begin_stop(&mut self) {
        self.before_stop.get_or_insert(self.ends.len());
    }

    /// The recorded ends: the last 256 before the stop, and all during it.
    pub fn ends(&self) -> &[End] {
        &self.ends
    }

    /// The number of ends that were dropped from the record.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The number of recorded restarts after failures.
    pub fn restarts(&self) -> usize {
        let restarted = |end: &&End| matches!(end.next, Next::Restarted(_));
        self.ends.iter().filter(restarted).count()
    }

    /// The number of tasks that outlived the runs that spawned them.
    pub fn leaked(&self) -> u64 {
        self.ends.iter().map(|end| end.leaked).sum()
    }

    /// Whether the process stopped on request, every member drained, and none was given up. Failures that
    /// were followed by a restart do not count.
    pub fn is_clean(&self) -> bool {
        self.cause().is_none()
    }

    /// The end because of which the stop was not clean: the one that stopped the process, else the first
    /// unclean end during the stop, else the first of a member that was given up and not started again.
    pub fn cause(&self) -> Option<&End> {
        let stopped = |end: &&End| end.next == Next::StoppedProcess;
        let (running, stopping) = self
            .ends
            .split_at(self.before_stop.unwrap_or(self.ends.len()));
        let stayed_down = |(index, end): &(usize, &End)| {
            let later = &self.ends[index + 1..];
            end.next == Next::GivenUp && later.iter().all(|later| later.member != end.member)
        };
        running
            .iter()
            .find(stopped)
            .or_else(|| stopping.iter().find(|end| !end.ending.is_clean()))
            .or_else(|| Some(running.iter().enumerate().find(stayed_down)?.1))
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { member, ending, .. } = self;
        write!(f, "{member} {ending}")?;
        match self.leaked {
            0 => {}
            1 => f.write_str(", leaking 1 task")?,
            leaked => write!(f, ", leaking {leaked} tasks")?,
        }
        match self.next {
            Next::Nothing => Ok(()),
            Next::Restarted(_) => f.write_str(" (restarted)"),
            Next::GivenUp => write!(f, " (given up after run {})", self.run),
            Next::StoppedProcess => write!(f, " (stopped the process after run {})", self.run),
        }
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.dropped {
            0 => {}
            1 => f.write_str("after 1 earlier end: ")?,
            dropped => write!(f, "after {dropped} earlier ends: ")?,
        }
        for (index, end) in self.ends.iter().enumerate() {
            write!(f, "{}{end}", if index == 0 { "" } else { "; then " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(member: &str, ending: Ending, next: Next) -> End {
        End {
            member: member.to_owned(),
            run: 1,
            ending,
            next,
            leaked: 0,
            at: Timestamp::EPOCH,
        }
    }

    #[test]
    fn recorded_ends_are_bounded_and_dropped_ones_are_counted() {
        let mut trace = Trace::default();
        for _ in 0..1_000 {
            trace.push(end("m", Ending::Early, Next::Restarted(Duration::ZERO)));
        }
        trace.begin_stop();
        trace.push(end("m", Ending::Drained, Next::Nothing));
        assert_eq!(
            (trace.ends().len(), trace.dropped()),
            (ENDS_MAX + 1, 1_000 - 256)
        );
        assert!(
            trace.is_clean(),
            "failures followed by a restart do not count"
        );
    }

    #[test]
    fn cause_is_a_member_given_up_and_not_started_again() {
        let mut trace = Trace::default();
        trace.push(end("m", Ending::Early, Next::GivenUp));
        trace.begin_stop();
        trace.push(end("other", Ending::Drained, Next::Nothing));
        assert_eq!(trace.cause().map(|end| end.member.as_str()), Some("m"));
        trace.push(end("m", Ending::Drained, Next::Nothing));
        assert!(trace.is_clean());
    }
}
