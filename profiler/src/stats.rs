//! What the profiler did, dropped and cost.

use davy_tag::Tag;
use std::time::Duration;

/// Counted since the profiler was started.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// CPU samples taken.
    pub samples: u64,
    /// What was dropped, by kind.
    pub dropped: Dropped,
    /// Samples whose stack was deeper than a record, and was cut at its root.
    pub stacks_cut: u64,
    /// Ticks that came while a signal was pending; they are part of their sample's weight.
    pub overruns: u64,
    /// Threads that are sampled now.
    pub threads: usize,
    /// Threads that could not be given a timer.
    pub threads_unsampled: usize,
    /// Why threads are missing, as the system last said it; empty where none are.
    pub unsampled_because: String,
    /// Rings that were ever needed at once.
    pub rings: usize,
    /// Seconds spent in signal handlers.
    pub handler_seconds: f64,
    /// CPU seconds of the profiler's own threads.
    pub thread_seconds: f64,
    /// Windows that an archiver has acknowledged.
    pub windows_pushed: u64,
    /// Windows that wait for their acknowledgement.
    pub windows_pending: usize,
    /// Bytes that wait for their acknowledgement.
    pub spool_bytes: usize,
    /// Pushes that failed and were, or will be, tried again.
    pub push_failures: u64,
    /// Why the last push failed; empty where the last one went through, or none was tried.
    pub push_error: String,
    /// From the end of the last window that was acknowledged to its acknowledgement.
    pub ack_delay: Option<Duration>,
    /// Symbolizing children that this process ever started.
    pub symbol_children: u64,
    /// The heap sampler, or why there is none.
    pub heap: HeapStats,
}

/// What was dropped, by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dropped {
    /// Samples that found their thread's ring full.
    pub ring_full: u64,
    /// SIGPROF that was not ours.
    pub stray_signals: u64,
    /// Nanoseconds of samples that a window had no place for.
    pub window_full_nanos: u64,
    /// Windows that were the oldest when the bound of unacknowledged bytes was reached.
    pub windows_overflow: u64,
    /// Windows that an archiver refused for good.
    pub windows_refused: u64,
    /// Tags that found the table of tags full.
    pub tags: u64,
}

/// What the heap sampler did since the process began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeapStats {
    /// Why there is no heap profile; empty where there is one.
    pub off_because: &'static str,
    /// Mean distance between sampled bytes.
    pub rate_bytes: u64,
    /// Allocations sampled.
    pub samples: u64,
    /// Sampled allocations that live.
    pub live: u64,
    /// Sampled allocations that found the table of live ones full, and are not in `inuse`.
    pub live_dropped: u64,
    /// Allocations whose stack found the table of stacks full; they keep their tag.
    pub stacks_dropped: u64,
}

/// What lives in the heap, by member and operation; nothing where heap profiling is off.
///
/// An estimate from samples, right on average: `bytes` has a standard error of about
/// `sqrt(rate_bytes * bytes)`, which is 6 MiB of 64 MiB and 700 KiB of 1 MiB at one sample in
/// 512 KiB.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LiveHeap {
    /// Mean distance between sampled bytes; 0 where heap profiling is off.
    pub rate_bytes: u64,
    /// Each tag that something lives of, untagged included.
    pub tags: Vec<LiveBytes>,
}

/// What lives of one tag.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LiveBytes {
    /// Whose allocations.
    pub tag: Tag,
    /// Bytes.
    pub bytes: u64,
    /// Allocations.
    pub objects: u64,
}
