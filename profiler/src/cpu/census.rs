//! Whether a thread may have come, without a list of all.
//!
//! To list `/proc/self/task` ten times a second was most of what the drainer cost. The folder's count
//! of links tells how many threads there are, and each of our timers whether its thread lives: while
//! there are as many as before and none has ended, none has begun.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

/// Threads without a timer may end unseen, and another begin: so the list is read at least this
/// often.
const LIST_EVERY: Duration = Duration::from_secs(1);
/// Links of a folder that has no other folder in it.
const LINKS_OF_NONE: u64 = 2;

/// How many threads there were when they were last listed.
#[derive(Debug)]
pub(super) struct Census {
    folder: Option<File>,
    /// None where the kernel does not count as it should: then threads are always listed.
    count: Option<u64>,
    listed: Duration,
}

impl Census {
    pub(super) fn new() -> Self {
        Self {
            folder: File::open("/proc/self/task").ok(),
            count: None,
            listed: Duration::ZERO,
        }
    }

    /// How many threads there are now.
    pub(super) fn count(&self) -> Option<u64> {
        let metadata = self.folder.as_ref()?.metadata().ok()?;
        metadata.nlink().checked_sub(LINKS_OF_NONE)
    }

    /// Notes that so many threads were listed at an instant of the monotonic clock, while there were
    /// `before` when the list was begun.
    pub(super) fn listed(&mut self, now: Duration, before: Option<u64>, threads: usize) {
        self.count = before.filter(|count| *count == threads as u64);
        self.listed = now;
    }

    /// Whether threads are to be listed now, although none that was known has ended.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        self.count.is_none() || self.count() != self.count || now >= self.listed + LIST_EVERY
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_thread_more_makes_a_list_due_and_so_does_a_second_that_passes() {
        let mut census = Census::new();
        let now = Duration::from_secs(100);
        let list = |census: &mut Census| {
            let before = census.count();
            let threads = std::fs::read_dir("/proc/self/task").expect("linux").count();
            census.listed(now, before, threads);
        };
        assert!(census.is_due(now));
        list(&mut census);
        assert!(!census.is_due(now));
        let (stop, stopped) = mpsc::channel::<()>();
        let thread = std::thread::spawn(move || stopped.recv());
        assert!(census.is_due(now));
        list(&mut census);
        assert!(!census.is_due(now));
        assert!(census.is_due(now + LIST_EVERY));
        drop(stop);
        let _ = thread.join();
    }

    #[test]
    fn where_the_kernel_counts_otherwise_threads_are_always_listed() {
        let mut census = Census::new();
        let now = Duration::from_secs(1);
        census.listed(now, census.count(), 1_000_000);
        assert!(census.is_due(now));
    }
}
