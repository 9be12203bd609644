//! Counters of the profiler: its work, its losses and its cost.

use davy_tag::Tag;
use std::time::Duration;

/// Counters since the profiler was started.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// Number of CPU samples.
    pub samples: u64,
    /// Losses by kind.
    pub dropped: Dropped,
    /// Samples whose stack was too deep and was truncated at its root.
    pub stacks_truncated: u64,
    /// Timer ticks that occurred while a signal was pending. They are included in the weight of its sample.
    pub overruns: u64,
    /// Threads that are being sampled.
    pub threads: usize,
    /// Threads that could not be given a timer, or all while the application handles SIGPROF itself.
    pub threads_unsampled: usize,
    /// Why threads are not sampled, with the last error of the system; empty if all are.
    pub unsampled_reason: String,
    /// Why stacks of the kernel are not recorded, for some threads at least; empty if they are or if
    /// [`Builder::kernel_stacks`](crate::Builder::kernel_stacks) is off.
    pub no_kernel_stacks_reason: String,
    /// Rings for samples. All threads share them: there are at most 16, or two per CPU if that is more.
    pub rings: usize,
    /// CPU seconds spent in the signal handler. A handler whose thread lost the processor counts at most 20 us.
    pub handler_seconds: f64,
    /// CPU seconds of the profiler's own threads.
    pub thread_seconds: f64,
    /// Windows that an archiver has acknowledged.
    pub windows_pushed: u64,
    /// Windows that are not acknowledged yet.
    pub windows_pending: usize,
    /// Bytes of windows that are not acknowledged yet.
    pub spool_bytes: usize,
    /// Failed pushes that were or will be retried.
    pub push_failures: u64,
    /// Why the last push failed; empty if it succeeded or if there was none.
    pub push_error: String,
    /// Time from the end of the last acknowledged window to its acknowledgement.
    pub ack_delay: Option<Duration>,
    /// Symbolizing children that this process has started.
    pub symbol_children: u64,
    /// CPU seconds of these children.
    pub symbol_children_seconds: f64,
    /// Counters of the heap sampler.
    pub heap: HeapStats,
}

/// Losses by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dropped {
    /// Samples dropped because every ring was full or in use.
    pub ring_full: u64,
    /// SIGPROF signals that this profiler did not send.
    pub foreign_signals: u64,
    /// CPU nanoseconds of samples dropped because a window had too many stacks.
    pub window_full_nanos: u64,
    /// Windows dropped because the bound of unacknowledged bytes was reached.
    pub windows_overflow: u64,
    /// Windows dropped because an archiver refused them permanently.
    pub windows_refused: u64,
    /// Tags counted as `(overflow)` because the table of tags was full.
    pub tags: u64,
}

/// Counters of the heap sampler since the process started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeapStats {
    /// Why there are no heap profiles; empty if there are.
    pub disabled_reason: &'static str,
    /// Mean distance between sampled bytes.
    pub rate_bytes: u64,
    /// Sampled allocations.
    pub samples: u64,
    /// Sampled allocations that are live.
    pub live: u64,
    /// Sampled allocations that did not fit into the table of live ones, and are missing from `inuse`.
    pub live_dropped: u64,
    /// Sampled allocations whose stack did not fit into the table of stacks. They keep their tag.
    pub stacks_dropped: u64,
}

/// Live heap memory by member and operation; empty if heap profiling is off.
///
/// An unbiased estimate from samples: `bytes` has a standard error of about `sqrt(rate_bytes * bytes)`. At
/// one sample per 512 KiB, that is 6 MiB of 64 MiB, or 700 KiB of 1 MiB.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LiveHeap {
    /// Mean distance between sampled bytes; 0 if heap profiling is off.
    pub rate_bytes: u64,
    /// Every tag with live memory, including untagged.
    pub tags: Vec<LiveBytes>,
}

/// Live heap memory of one tag.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LiveBytes {
    /// The tag that allocated it.
    pub tag: Tag,
    /// Estimated bytes.
    pub bytes: u64,
    /// Estimated number of allocations.
    pub objects: u64,
}
