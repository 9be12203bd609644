//! The kinds of profiles, and what each one measures.

use davy_base::Timestamp;
use std::time::Duration;

/// What the samples of a profile measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SampleKind {
    /// CPU time. The period is in nanoseconds.
    Cpu,
    /// Sampled allocations. The period is the mean distance between samples in bytes.
    Heap,
    /// Elapsed time of threads.
    Wall,
    /// Live tasks.
    Tasks,
    /// Live threads, and the time they have spent in each state.
    Threads,
    /// Requests by duration, those that failed, and the sum of their durations.
    Requests,
}

impl SampleKind {
    /// The label `__name__` of its series.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cpu => "process_cpu",
            Self::Heap => "memory",
            Self::Wall => "wall",
            Self::Tasks => "tasks",
            Self::Threads => "threads",
            Self::Requests => "requests",
        }
    }

    /// Type and unit of each value of a sample.
    pub(crate) fn sample_types(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Cpu => &[("cpu", "nanoseconds")],
            Self::Heap => &[
                ("alloc_objects", "count"),
                ("alloc_space", "bytes"),
                ("inuse_objects", "count"),
                ("inuse_space", "bytes"),
            ],
            Self::Wall => &[("wall", "nanoseconds")],
            Self::Tasks => &[
                ("polls", "count"),
                ("age", "nanoseconds"),
                ("tasks", "count"),
            ],
            Self::Threads => &[
                ("running", "nanoseconds"),
                ("runnable", "nanoseconds"),
                ("waiting", "nanoseconds"),
                ("threads", "count"),
            ],
            Self::Requests => &[
                ("duration", "nanoseconds"),
                ("errors", "count"),
                ("requests", "count"),
            ],
        }
    }

    /// Prefixes of functions that are removed from the leaf of a stack, because they belong to the
    /// allocator, to wakers, or to the profiler itself.
    pub(crate) fn trimmed(self) -> &'static [&'static str] {
        match self {
            Self::Heap => &[
                "_rjem_",
                "je_",
                "prof_",
                "tikv_jemallocator::",
                "<tikv_jemallocator::",
                "davy_profiler::heap::",
                "__rust_",
                "__rustc::__r",
                "alloc::alloc::",
            ],
            Self::Tasks => &[
                "davy_profiler::task_stacks::",
                "davy_profiler::unwind::",
                "davy_tag::task::",
                "<davy_tag::task::watch::",
                "core::task::wake::",
                "<core::task::wake::Waker",
            ],
            Self::Cpu | Self::Wall | Self::Threads | Self::Requests => &[],
        }
    }

    /// Type and unit of the period.
    pub(crate) fn period_type(self) -> (&'static str, &'static str) {
        match self {
            Self::Cpu => ("cpu", "nanoseconds"),
            Self::Heap => ("space", "bytes"),
            Self::Wall => ("wall", "nanoseconds"),
            Self::Tasks | Self::Threads | Self::Requests => ("", ""),
        }
    }
}

/// What a profile measures, when, and how densely.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProfileMeta {
    pub(crate) kind: SampleKind,
    pub(crate) start: Timestamp,
    pub(crate) span: Duration,
    pub(crate) period: i64,
}
