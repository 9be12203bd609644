//! Whether a thread may have come, without a list of all.
//!
//! Listing `/proc/self/task` and asking for each thread's timer ten times a second was three
//! quarters of what the drainer cost. The kernel tells the last number that it gave to a thread of
//! this pid namespace, the last field of `/proc/loadavg`, proc(5): while that stays, no thread has
//! begun.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

/// Threads that ended are only found by a list, and a number that some other kernel makes up may
/// stay for ever: so the list is read at least this often.
const LIST_EVERY: Duration = Duration::from_secs(1);

/// What is known of the threads of this process.
#[derive(Debug)]
pub(super) struct Census {
    /// None where the number is not to be relied on: then threads are always listed.
    loadavg: Option<File>,
    last_number: Option<libc::pid_t>,
    /// A thread has its number a little before it is in the list, so the next look lists as well.
    again: bool,
    listed: Duration,
}

impl Census {
    pub(super) fn new() -> Self {
        let loadavg = File::open("/proc/loadavg").ok();
        Self {
            // The calling thread is young. A kernel that does not count would show less.
            loadavg: loadavg.filter(|file| {
                // SAFETY: asks for a number.
                last_number(file).is_some_and(|last| last >= unsafe { libc::gettid() })
            }),
            last_number: None,
            again: false,
            listed: Duration::ZERO,
        }
    }

    /// Whether the threads are to be listed now, an instant of the monotonic clock.
    pub(super) fn is_due(&mut self, now: Duration) -> bool {
        let number = self.loadavg.as_ref().and_then(last_number);
        let may_have_come = number.is_none() || number != self.last_number;
        let is_due = may_have_come || self.again || now >= self.listed + LIST_EVERY;
        if is_due {
            self.listed = now;
        }
        self.again = may_have_come;
        self.last_number = number;
        is_due
    }
}

/// The last number of a thread that was given in this pid namespace.
fn last_number(loadavg: &File) -> Option<libc::pid_t> {
    let mut text = [0u8; 128];
    let length = loadavg.read_at(&mut text, 0).ok()?;
    let text = std::str::from_utf8(&text[..length]).ok()?;
    text.split_ascii_whitespace().nth(4)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_begins_is_noticed_at_once_and_one_that_ends_within_a_second() {
        let mut census = Census::new();
        if census.loadavg.is_none() {
            return;
        }
        let start = Duration::from_secs(100);
        assert!(census.is_due(start));
        for round in 0..50 {
            let thread = std::thread::spawn(|| ());
            assert!(census.is_due(start), "thread {round} was not noticed");
            thread.join().expect("no panic");
        }
        assert!(census.is_due(start + LIST_EVERY));
    }

    #[test]
    fn without_the_kernels_number_threads_are_always_listed() {
        let mut census = Census {
            loadavg: None,
            last_number: None,
            again: false,
            listed: Duration::ZERO,
        };
        let now = Duration::from_millis(1);
        assert!(census.is_due(now) && census.is_due(now));
    }
}
