//! Detects whether threads may have started, without listing all of them.
//!
//! Listing `/proc/self/task` several times a second was most of the drainer's cost. The link count of that
//! folder gives the number of threads, and each of our timers shows whether its thread is alive: while the
//! number is unchanged and no known thread has ended, none has started.
//!
//! With hundreds of threads even looking at every timer at each check costs more than all else that the drainer does.
//! So the work of a check is bounded, and the time between listings grows with the number of threads.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

/// A thread without a timer may end unnoticed while another starts, so threads are listed at least this
/// often.
const LIST_EVERY: Duration = Duration::from_secs(1);
/// With more threads than 62 they are listed less often, so that listing costs the same.
const LIST_EVERY_PER_THREAD: Duration = Duration::from_millis(16);
/// Timers that are looked at in a check.
pub(super) const TIMERS_PER_CHECK: usize = 32;
/// Link count of a folder without subfolders.
const LINKS_WITHOUT_SUBFOLDERS: u64 = 2;

/// The number of threads when they were last listed.
#[derive(Debug)]
pub(super) struct ThreadWatch {
    folder: Option<File>,
    /// None if the link count is not the number of threads; then every check asks for a listing.
    count: Option<u64>,
    listed: Duration,
}

impl ThreadWatch {
    pub(super) fn new() -> Self {
        Self {
            folder: File::open("/proc/self/task").ok(),
            count: None,
            listed: Duration::ZERO,
        }
    }

    /// The number of threads now.
    pub(super) fn count(&self) -> Option<u64> {
        let metadata = self.folder.as_ref()?.metadata().ok()?;
        metadata.nlink().checked_sub(LINKS_WITHOUT_SUBFOLDERS)
    }

    /// Notes a listing of `threads` threads at the monotonic instant `now`. `before` is the count when
    /// the listing began.
    pub(super) fn listed(&mut self, now: Duration, before: Option<u64>, threads: usize) {
        self.count = before.filter(|count| *count == threads as u64);
        self.listed = now;
    }

    /// Whether threads must be listed, given that no known thread has ended.
    pub(super) fn is_listing_due(&self, now: Duration) -> bool {
        let Some(count) = self.count else { return true };
        let per_thread =
            LIST_EVERY_PER_THREAD.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX));
        self.count() != Some(count) || now >= self.listed + LIST_EVERY.max(per_thread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn listing_is_due_after_a_thread_starts_and_after_a_second() {
        let mut watch = ThreadWatch::new();
        let now = Duration::from_secs(100);
        let list = |watch: &mut ThreadWatch| {
            let before = watch.count();
            let threads = std::fs::read_dir("/proc/self/task").expect("/proc is mounted");
            watch.listed(now, before, threads.count());
        };
        assert!(watch.is_listing_due(now));
        list(&mut watch);
        assert!(!watch.is_listing_due(now));
        let (stop, stopped) = mpsc::channel::<()>();
        let thread = std::thread::spawn(move || stopped.recv());
        assert!(watch.is_listing_due(now));
        list(&mut watch);
        assert!(!watch.is_listing_due(now));
        assert!(watch.is_listing_due(now + LIST_EVERY));
        drop(stop);
        let _ = thread.join();
    }

    #[test]
    fn listing_is_due_less_often_with_many_threads() {
        let (stop, stopped) = mpsc::channel::<()>();
        let stopped = std::sync::Mutex::new(stopped);
        std::thread::scope(|scope| {
            for _ in 0..250 {
                scope.spawn(|| stopped.lock().expect("no panic").recv());
            }
            let mut watch = ThreadWatch::new();
            let count = watch.count().expect("/proc is mounted");
            watch.listed(Duration::ZERO, Some(count), count as usize);
            assert!(!watch.is_listing_due(LIST_EVERY));
            assert!(watch.is_listing_due(LIST_EVERY_PER_THREAD * count as u32));
            drop(stop);
        });
    }

    #[test]
    fn listing_is_always_due_if_the_link_count_is_not_the_thread_count() {
        let mut watch = ThreadWatch::new();
        let now = Duration::from_secs(1);
        watch.listed(now, watch.count(), 1_000_000);
        assert!(watch.is_listing_due(now));
    }
}
