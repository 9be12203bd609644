//! Resource usage of each tag.

use crate::account::buckets::BUCKETS;
use crate::account::ledger::totals;
use crate::account::ticks;
use crate::table::{MAX_TAGS, Tag};
use crate::task::counted;
use std::sync::atomic::{AtomicU64, Ordering};

/// Resource usage of a tag since accounting started, without that of nested tags.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// The tag.
    pub tag: Tag,
    /// CPU time in nanoseconds. A segment in progress counts once it has lasted 100 us.
    pub cpu_nanos: u64,
    /// Number of polls of tagged futures.
    pub polls: u64,
    /// Elapsed time of those polls in nanoseconds, including nested polls.
    pub poll_nanos: u64,
    /// Polls by duration: one bucket for each of [`POLL_BOUNDS_SECONDS`](crate::POLL_BOUNDS_SECONDS),
    /// and one for longer polls.
    pub poll_buckets: [u64; BUCKETS],
    /// Allocated bytes, counted at the end of each segment; 0 without
    /// [`set_allocated_source`](crate::set_allocated_source).
    pub allocated_bytes: u64,
    /// Tasks that exist now.
    pub tasks: u64,
    /// Tasks created since the process started.
    pub tasks_total: u64,
}

impl Usage {
    fn empty(tag: Tag) -> Self {
        Self {
            tag,
            cpu_nanos: 0,
            polls: 0,
            poll_nanos: 0,
            poll_buckets: [0; BUCKETS],
            allocated_bytes: 0,
            tasks: 0,
            tasks_total: 0,
        }
    }
}

/// CPU time of the process in nanoseconds since accounting started, minus that of `usage`, which must
/// have been read just before.
///
/// Never decreases: a long segment that is charged late was counted as untagged at first; later untagged
/// time is reduced by it.
pub fn untagged_cpu_nanos(usage: &[Usage]) -> u64 {
    static REPORTED: AtomicU64 = AtomicU64::new(0);
    let tagged: u64 = usage.iter().map(|usage| usage.cpu_nanos).sum();
    let untagged = ticks::process_cpu_nanos_since_begin().saturating_sub(tagged);
    REPORTED
        .fetch_max(untagged, Ordering::Relaxed)
        .max(untagged)
}

/// Returns the usage of every tag that has any, summed over running and exited threads.
///
/// Counters never decrease, except [`Usage::tasks`]. Takes some microseconds, and one system call for
/// each thread in a long segment.
pub fn usage() -> Vec<Usage> {
    let mut sums: Vec<Option<totals::Sum>> = vec![None; MAX_TAGS];
    totals::add_all(&mut sums);
    let mut all = Vec::new();
    for (index, sum) in sums.into_iter().enumerate() {
        let tag = Tag::from_index(index as u32);
        let (tasks, tasks_total) = counted::counts(tag);
        if sum.is_none() && tasks_total == 0 {
            continue;
        }
        let mut usage = Usage::empty(tag);
        if let Some(sum) = sum {
            usage.cpu_nanos = ticks::to_nanos(sum.cpu_ticks) + sum.cpu_nanos;
            usage.polls = sum.poll_buckets.iter().sum();
            usage.poll_nanos = ticks::to_nanos(sum.poll_ticks);
            usage.poll_buckets = sum.poll_buckets;
            usage.allocated_bytes = sum.allocated_bytes;
        }
        (usage.tasks, usage.tasks_total) = (tasks, tasks_total);
        all.push(usage);
    }
    all
}
