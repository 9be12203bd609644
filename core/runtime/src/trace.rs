//! How a process ended: every member's end in the order in which they came.

use davy_base::Timestamp;
use std::fmt;
use std::time::Duration;

/// How many falls are remembered; of more the oldest are forgotten, and counted.
const FALLS_MAX: usize = 256;

/// How a run of a member ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was told to drain, and did.
    Drained,
    /// It had done what it was there to do once.
    Done,
    /// It ended though nobody had told it to.
    Early,
    /// It failed.
    Failed(String),
    /// It panicked.
    Panicked(String),
    /// The child ended with this status.
    Exited(i32),
    /// The child was killed by this signal.
    Killed(i32),
    /// It was not ready at this deadline, and was stopped.
    NotReady(Duration),
    /// It was still running at this deadline and was cut off.
    Overran(Duration),
    /// It was cut off because the stop had to be at once.
    Hurried,
    /// It was cut off and yet went on: it does not yield, or its child can't be killed.
    Hung,
}

impl Ending {
    /// Whether this is how it should end.
    pub const fn is_clean(&self) -> bool {
        matches!(self, Self::Drained | Self::Done)
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drained => f.write_str("drained"),
            Self::Done => f.write_str("was done"),
            Self::Early => f.write_str("ended though nobody had told it to"),
            Self::Failed(error) => write!(f, "failed: {error}"),
            Self::Panicked(message) => write!(f, "panicked: {message}"),
            Self::Exited(status) => write!(f, "exited with status {status}"),
            Self::Killed(signal) => write!(f, "was killed by signal {signal}"),
            Self::NotReady(deadline) => write!(f, "was not ready within {deadline:?}"),
            Self::Overran(deadline) => {
                write!(f, "did not stop within {deadline:?} and was cut off")
            }
            Self::Hurried => f.write_str("was cut off, for the stop had to be at once"),
            Self::Hung => f.write_str("is hung: it went on although it was cut off"),
        }
    }
}

/// What followed from an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: it was told to end, or had done its work.
    Nothing,
    /// It was started again after a back-off of this length.
    Restarted(Duration),
    /// It had fallen too often and stayed down.
    GivenUp,
    /// It had fallen too often, and the process stopped.
    StoppedProcess,
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// The member's name.
    pub member: String,
    /// Which run of it, from 1.
    pub run: u64,
    /// How it ended.
    pub ending: Ending,
    /// What followed.
    pub next: Next,
    /// How many tasks of the run were still alive, and were cancelled.
    pub leaked: u64,
    /// When.
    pub at: Timestamp,
}

/// The ends of a process's members, the first first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    ends: Vec<End>,
    forgotten: u64,
    /// How many ends came before the stop.
    before_stop: Option<usize>,
}

impl Trace {
    pub(crate) fn push(&mut self, end: End) {
        if self.before_stop.is_none() && self.ends.len() == FALLS_MAX {
            self.ends.remove(0);
            self.forgotten += 1;
        }
        self.ends.push(end);
    }

    /// Whatever comes from now on belongs to the stop: at most one end a member.
    pub(crate) fn stop_begins(&mut self) {
        self.before_stop.get_or_insert(self.ends.len());
    }

    /// Every end. Of those before the stop the last 256.
    pub fn ends(&self) -> &[End] {
        &self.ends
    }

    /// How many ends were forgotten, because there were more.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// How many restarts there were after falls.
    pub fn restarts(&self) -> usize {
        let restarted = |end: &&End| matches!(end.next, Next::Restarted(_));
        self.ends.iter().filter(restarted).count()
    }

    /// How many tasks outlived the runs that had spawned them.
    pub fn leaked(&self) -> u64 {
        self.ends.iter().map(|end| end.leaked).sum()
    }

    /// Whether the process stopped because it was asked to, every member drained, and none had been
    /// given up. What fell and was restarted does not count against it.
    pub fn is_clean(&self) -> bool {
        self.culprit().is_none()
    }

    /// The end that the process is to be blamed for: the one that stopped it, else the first that was
    /// not clean during the stop, else that of a member that stayed down.
    pub fn culprit(&self) -> Option<&End> {
        let stopped = |end: &&End| end.next == Next::StoppedProcess;
        let (running, stopping) = self
            .ends
            .split_at(self.before_stop.unwrap_or(self.ends.len()));
        let stayed_down = |(place, end): &(usize, &End)| {
            let later = &self.ends[place + 1..];
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
            1 => f.write_str(", leaving 1 task behind")?,
            leaked => write!(f, ", leaving {leaked} tasks behind")?,
        }
        match self.next {
            Next::Nothing => Ok(()),
            Next::Restarted(_) => f.write_str(" (restarted)"),
            Next::GivenUp => write!(f, " (given up at its run {})", self.run),
            Next::StoppedProcess => write!(f, " (stopped the process at its run {})", self.run),
        }
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.forgotten > 0 {
            write!(f, "after {} earlier ends: ", self.forgotten)?;
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
    fn falls_are_bounded_and_the_forgotten_counted() {
        let mut trace = Trace::default();
        for _ in 0..1_000 {
            trace.push(end("m", Ending::Early, Next::Restarted(Duration::ZERO)));
        }
        trace.stop_begins();
        trace.push(end("m", Ending::Drained, Next::Nothing));
        assert_eq!(
            (trace.ends().len(), trace.forgotten()),
            (FALLS_MAX + 1, 1_000 - 256)
        );
        assert!(trace.is_clean(), "restarted falls do not count");
    }

    #[test]
    fn a_member_that_stayed_down_is_to_blame_and_a_revived_one_is_not() {
        let mut trace = Trace::default();
        trace.push(end("m", Ending::Early, Next::GivenUp));
        trace.stop_begins();
        trace.push(end("other", Ending::Drained, Next::Nothing));
        assert_eq!(trace.culprit().map(|end| end.member.as_str()), Some("m"));
        trace.push(end("m", Ending::Drained, Next::Nothing));
        assert!(trace.is_clean());
    }
}
