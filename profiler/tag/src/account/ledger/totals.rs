//! Reads all ledgers.

use super::{Account, CHUNK, Ledger, ledgers};
use crate::account::buckets::BUCKETS;
use crate::account::ticks;
use crate::table::{MAX_TAGS, Tag};
use std::sync::atomic::{AtomicU64, Ordering, fence};

/// Sum of all ledgers for a tag.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sum {
    pub(crate) cpu_ticks: u64,
    pub(crate) cpu_nanos: u64,
    pub(crate) poll_ticks: u64,
    pub(crate) allocated_bytes: u64,
    pub(crate) poll_buckets: [u64; BUCKETS],
}

/// The time that a thread spent on a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TagTime {
    /// The tag.
    pub tag: Tag,
    /// CPU time in nanoseconds.
    pub cpu_nanos: u64,
    /// Elapsed time in nanoseconds.
    pub wall_nanos: u64,
}

/// The time that a thread spent on each tag. A new thread reuses the counters of an exited one, so only
/// differences between two calls describe a thread.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ThreadUsage {
    /// Index of the counters; it stays the same when another thread reuses them.
    pub counters: usize,
    /// Id of the thread that owns the counters now; `None` if it has exited.
    pub thread: Option<i32>,
    /// The thread's current tag.
    pub tag: Tag,
    /// Times of the tags in the order of [`Tag::index`], without untagged time.
    pub times: Vec<TagTime>,
}

/// Returns the time that each thread spent on each tag, including segments in progress.
pub fn threads() -> Vec<ThreadUsage> {
    let mut threads: Vec<_> = ledgers().map(Ledger::thread_usage).collect();
    // New ledgers are added at the front; reversed, their indices do not change.
    threads.reverse();
    for (counters, thread) in threads.iter_mut().enumerate() {
        thread.counters = counters;
    }
    threads
}

/// Adds every ledger to the sums, indexed by tag.
pub(crate) fn add_all(sums: &mut [Option<Sum>]) {
    for ledger in ledgers() {
        for (number, chunk) in ledger.chunks.iter().enumerate() {
            // SAFETY: null, or a leaked chunk.
            let Some(chunk) = (unsafe { chunk.load(Ordering::Acquire).as_ref() }) else {
                continue;
            };
            for (at, account) in chunk.iter().enumerate() {
                let tag = number * CHUNK + at;
                if tag != 0 {
                    account.add_to(&mut sums[tag]);
                }
            }
        }
        if let Some((tag, nanos, _)) = ledger.in_progress() {
            sums[tag as usize].get_or_insert_default().cpu_nanos += nanos;
        }
    }
}

impl Account {
    fn add_to(&self, sum: &mut Option<Sum>) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (cpu_ticks, cpu_nanos) = (read(&self.cpu_ticks), read(&self.cpu_nanos));
        let allocated_bytes = read(&self.allocated_bytes);
        let poll_buckets = self.poll_buckets.each_ref().map(read);
        if cpu_ticks | cpu_nanos | allocated_bytes == 0 && poll_buckets == [0; BUCKETS] {
            return;
        }
        let sum = sum.get_or_insert_default();
        sum.cpu_ticks += cpu_ticks;
        sum.cpu_nanos += cpu_nanos;
        sum.poll_ticks += read(&self.poll_ticks);
        sum.allocated_bytes += allocated_bytes;
        for (sum, count) in sum.poll_buckets.iter_mut().zip(poll_buckets) {
            *sum += count;
        }
    }
}

impl Ledger {
    /// Index of the current tag, or of the default tag.
    fn tag(&self) -> u32 {
        self.tag.load(Ordering::Relaxed) % MAX_TAGS as u32
    }

    /// Tag, CPU time and ticks of the segment in progress, if it is a long one.
    fn in_progress(&self) -> Option<(u32, u64, u64)> {
        if !self.is_owned.load(Ordering::Acquire) {
            return None;
        }
        let since = self.since.load(Ordering::Acquire);
        let tag = self.tag();
        let passed = (ticks::now().wrapping_sub(since) as i64).max(0) as u64;
        if tag == 0 || passed <= ticks::scale().long {
            return None;
        }
        let reading = ticks::cpu_nanos_of(self.clock.load(Ordering::Relaxed))?;
        let nanos = self.cpu_of(passed, reading);
        fence(Ordering::Acquire);
        // If the tag has changed meanwhile, the thread has charged the segment itself.
        let is_same = self.since.load(Ordering::Relaxed) == since;
        is_same.then_some((tag, nanos, passed))
    }

    fn thread_usage(&self) -> ThreadUsage {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let in_progress = self.in_progress();
        let mut times = Vec::new();
        for (number, chunk) in self.chunks.iter().enumerate() {
            // SAFETY: null, or a leaked chunk.
            let Some(chunk) = (unsafe { chunk.load(Ordering::Acquire).as_ref() }) else {
                continue;
            };
            for (at, account) in chunk.iter().enumerate() {
                let tag = (number * CHUNK + at) as u32;
                let (nanos, ticks) = match in_progress {
                    Some((of, nanos, ticks)) if of == tag => (nanos, ticks),
                    _ => (0, 0),
                };
                let short = ticks::to_nanos(read(&account.cpu_ticks));
                let long = ticks::to_nanos(read(&account.other_ticks) + ticks);
                if tag != 0 && short + long > 0 {
                    times.push(TagTime {
                        tag: Tag::from_index(tag),
                        cpu_nanos: short + read(&account.cpu_nanos) + nanos,
                        wall_nanos: short + long,
                    });
                }
            }
        }
        let thread = ticks::thread_of(self.clock.load(Ordering::Relaxed));
        ThreadUsage {
            counters: 0,
            thread: thread.filter(|_| self.is_owned.load(Ordering::Acquire)),
            tag: Tag::from_index(self.tag()),
            times,
        }
    }
}
