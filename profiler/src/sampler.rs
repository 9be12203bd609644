//! The interface of the samplers of CPU time.

use crate::modules::Module;
use davy_tag::SpanIds;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

/// Maximum rate of CPU samples. Above the kernel's tick rate, samples become heavier, not more frequent.
pub const HZ_MAX: u32 = 1_000;

/// The address of the signal handler of this crate, 0 until it is installed: SIGPROF is free for
/// another sampler while this handler holds it.
pub(crate) static OWN_HANDLER: AtomicUsize = AtomicUsize::new(0);

/// A CPU sample.
pub(crate) struct Sample<'a> {
    /// CPU time that the sample stands for.
    pub(crate) nanos: u64,
    /// Number of the sample's [`davy_tag::Origin`]: the index of the thread's tag, or untagged work.
    pub(crate) tag: u32,
    /// The span that the thread worked for.
    pub(crate) span: SpanIds,
    pub(crate) is_truncated: bool,
    /// Addresses from the leaf to the root.
    pub(crate) frames: &'a [u64],
}

/// Counters since the sampler was started. Those that do not apply to a sampler stay 0.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) samples: u64,
    pub(crate) ring_full: u64,
    pub(crate) truncated: u64,
    pub(crate) overruns: u64,
    pub(crate) foreign_signals: u64,
    pub(crate) handler_nanos: u64,
    pub(crate) threads: usize,
    pub(crate) unsampled_threads: usize,
    pub(crate) rings: usize,
}

/// Samples the CPU time of the process. Owned and driven by one thread.
pub(crate) trait Sampler: Send {
    /// Whether samples carry the tag that their thread had.
    fn has_tags(&self) -> bool;

    /// Samples per second of CPU time; 0 while sampling is off.
    fn hz(&self) -> u32;

    /// Whether the program has installed a handler of its own for the sampler's signal. Nothing is sampled
    /// until it is removed.
    fn is_displaced(&self) -> bool {
        false
    }

    /// Changes the rate; 0 turns sampling off.
    fn set_hz(&mut self, hz: u32);

    /// Finds new threads and modules. `now` is an instant of the monotonic clock.
    fn scan(&mut self, now: Duration);

    /// Samples a thread that has just registered.
    fn add_thread(&mut self, _thread: i32) {}

    /// Calls [`Sampler::scan`] if threads or modules may have changed.
    fn scan_if_changed(&mut self, now: Duration);

    /// Makes the next [`Sampler::drain`] return every sample, whatever that costs.
    fn flush(&mut self) {}

    /// Passes every sample taken since the last call to `read`.
    fn drain(&mut self, read: &mut dyn FnMut(&Sample<'_>));

    /// The files whose code the samples may hold addresses of.
    fn modules(&self) -> Arc<[Module]>;

    /// Why threads are not sampled; empty if all are.
    fn refusal(&self) -> Arc<str>;

    /// Why the kernel's part of stacks is not recorded; empty if it is, or if it is not wanted.
    fn kernel_refusal(&self) -> Arc<str> {
        Arc::default()
    }

    fn counts(&self) -> Counts;
}
