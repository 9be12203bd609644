//! What each tag cost: CPU time, polls, allocated bytes and tasks, counted rather than sampled.
//!
//! A thread that changes hands reads the processor's cycle counter and charges what has passed to
//! the tag that had it. Cycles pass while a thread waits, so a segment in which it lost its processor
//! is not believed, nor is one above 100 us: the thread's own CPU clock, which costs twenty times as
//! much, is read at its end and says what the segment took. All others are charged as they are.
//!
//! Each thread writes its own ledger and nobody else does; [`usage`] adds the ledgers up.

mod ledger;
mod stay;
pub(crate) mod ticks;

pub use ledger::{TagTime, ThreadUsage, threads};
pub(crate) use ledger::{polled, switched};

use crate::table::MAX_TAGS;
use crate::{Tag, task};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

/// Upper bounds of the durations of polls, in seconds; above the last there is one bucket more.
pub const POLL_BOUNDS_SECONDS: [f64; 6] = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0];

const BUCKETS: usize = POLL_BOUNDS_SECONDS.len() + 1;

static IS_ON: AtomicBool = AtomicBool::new(false);
/// A `fn() -> *const u64`, or null.
static ALLOCATED_SOURCE: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());

/// Whether segments and polls are charged. One relaxed load.
#[inline]
pub(crate) fn is_on() -> bool {
    IS_ON.load(Ordering::Relaxed)
}

/// Switches exact accounting on, for the process and for good. Until then a change of hands costs
/// one load more than nothing.
pub fn start_accounting() {
    ticks::begin();
    IS_ON.store(true, Ordering::Release);
}

/// Says where a thread's count of allocated bytes lies, such as jemalloc's `thread.allocatedp`.
///
/// `source` is called once on each thread and answers null where there is no count.
///
/// # Safety
/// What `source` answers is null, or stays readable by the thread that it was called on until that
/// thread's thread-locals are destroyed.
pub unsafe fn set_allocated_source(source: fn() -> *const u64) {
    ALLOCATED_SOURCE.store(source as *mut (), Ordering::Release);
}

fn allocated_source() -> Option<fn() -> *const u64> {
    let source = ALLOCATED_SOURCE.load(Ordering::Acquire);
    // SAFETY: what is not null was a function of this type, in `set_allocated_source`.
    (!source.is_null())
        .then(|| unsafe { std::mem::transmute::<*mut (), fn() -> *const u64>(source) })
}

/// What a tag has cost since accounting began, tags nested in it not included.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Whose usage this is.
    pub tag: Tag,
    /// CPU time in nanoseconds. Work that is under way counts once it has lasted 100 us.
    pub cpu_nanos: u64,
    /// Polls of tagged futures.
    pub polls: u64,
    /// What those polls lasted, in nanoseconds of elapsed time, nested ones included.
    pub poll_nanos: u64,
    /// Polls by duration: one bucket for each of [`POLL_BOUNDS_SECONDS`], one for all above.
    pub poll_buckets: [u64; BUCKETS],
    /// Bytes that were allocated, if somebody called [`set_allocated_source`]. Counted when the
    /// tag hands its thread on.
    pub allocated_bytes: u64,
    /// Tasks that live now.
    pub tasks: u64,
    /// Tasks that ever lived, since the process began.
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

/// CPU time in nanoseconds that the process has used since accounting began beyond all that is on
/// these usages, which were just read.
///
/// Only grows: a segment that is charged late, and so was nobody's for a while, is taken off what is
/// nobody's later on.
pub fn untagged_cpu_nanos(usages: &[Usage]) -> u64 {
    static TOLD: AtomicU64 = AtomicU64::new(0);
    let tagged: u64 = usages.iter().map(|usage| usage.cpu_nanos).sum();
    let left = ticks::process_cpu_nanos_since_begin().saturating_sub(tagged);
    TOLD.fetch_max(left, Ordering::Relaxed).max(left)
}

/// The usages of every tag that has one, summed over threads that live and that have ended.
///
/// Counters only grow, but for [`Usage::tasks`]. Costs some microseconds, and one system call for
/// each thread that is in a long segment.
pub fn usage() -> Vec<Usage> {
    let mut sums: Vec<Option<ledger::Sum>> = vec![None; MAX_TAGS];
    ledger::add_all(&mut sums);
    let mut usages = Vec::new();
    for (index, sum) in sums.into_iter().enumerate() {
        let tag = Tag::from_index(index as u32);
        let (tasks, tasks_total) = task::counts(tag);
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
        usages.push(usage);
    }
    usages
}
