//! Elapsed time by the state of a thread.

/// Elapsed nanoseconds in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct States {
    pub(super) running: u64,
    pub(super) runnable: u64,
    pub(super) waiting: u64,
}

impl States {
    /// The part of a thread's time that belongs to a tag: `wall` nanoseconds elapsed under the tag, of which
    /// `cpu` were CPU time. How much of the rest was runnable is not measured per tag, so the proportion
    /// of the whole thread is assumed.
    pub(super) fn part(self, cpu: u64, wall: u64) -> Self {
        let off = wall.saturating_sub(cpu);
        let of = (self.runnable + self.waiting).max(1) as f64;
        let runnable = (off as f64 * self.runnable as f64 / of) as u64;
        Self {
            running: cpu,
            runnable,
            waiting: off - runnable,
        }
    }

    /// This time minus a part of it.
    pub(super) fn without(self, part: Self) -> Self {
        Self {
            running: self.running.saturating_sub(part.running),
            runnable: self.runnable.saturating_sub(part.runnable),
            waiting: self.waiting.saturating_sub(part.waiting),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn part_has_the_threads_proportion_of_runnable_time() {
        let whole = States {
            running: 50,
            runnable: 10,
            waiting: 30,
        };
        let part = whole.part(20, 40);
        assert_eq!((part.running, part.runnable, part.waiting), (20, 5, 15));
        let left = whole.without(part);
        assert_eq!((left.running, left.runnable, left.waiting), (30, 5, 15));
    }
}
