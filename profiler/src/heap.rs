//! Heap profiles: what lives and what was allocated, by member, operation and stack.
//!
//! jemalloc samples about one in each 512 KiB that are allocated. Its hooks hand each sample to
//! tables of fixed size, which know for every live one who allocated it, and where; a sample
//! stands for `1 / (1 - exp(-size / rate))` allocations of its size, which makes the sums unbiased.

#[cfg(feature = "jemalloc")]
mod hooks;
#[cfg(feature = "jemalloc")]
mod live;
#[cfg(feature = "jemalloc")]
mod rate;
#[cfg(feature = "jemalloc")]
mod stacks;
#[cfg(feature = "jemalloc")]
mod totals;

mod history;

pub(crate) use history::History;
#[cfg(feature = "jemalloc")]
pub(crate) use hooks::{live_heap, reserve, set_rate, start, state, stats, stop};
#[cfg(feature = "jemalloc")]
#[doc(hidden)]
pub use tikv_jemallocator;
#[cfg(feature = "jemalloc")]
pub(crate) use totals::{Totals, add};

#[cfg(not(feature = "jemalloc"))]
pub(crate) use off::{Totals, add, live_heap, reserve, set_rate, start, state, stats, stop};

/// Frames of one stack: jemalloc's own default (`opt.prof_bt_max`).
pub(crate) const MAX_FRAMES: usize = 128;

/// A running heap sampler.
#[derive(Clone, Copy, Debug)]
pub(crate) struct State {
    /// Mean distance between sampled bytes.
    pub(crate) rate_bytes: i64,
}

/// Profiling is ready, and off until the profiler starts; a thread of jemalloc's own hands memory
/// that was released back to the kernel within seconds, also in a process that does nothing.
#[cfg(feature = "jemalloc")]
#[doc(hidden)]
pub const MALLOC_CONF: &[u8; 106] = b"prof:true,prof_active:false,lg_prof_sample:19,\
    background_thread:true,dirty_decay_ms:5000,muzzy_decay_ms:0\0";

/// Makes jemalloc the allocator of this program, ready for heap profiles.
///
/// Belongs into the main file of a binary, once. Sampling itself is switched on by
/// [`Builder::start`](crate::Builder::start); until then it costs next to nothing.
///
/// ```
/// davy_profiler::use_jemalloc!();
/// # fn main() {}
/// ```
#[cfg(feature = "jemalloc")]
#[macro_export]
macro_rules! use_jemalloc {
    () => {
        #[global_allocator]
        static DAVY_ALLOCATOR: $crate::heap::tikv_jemallocator::Jemalloc =
            $crate::heap::tikv_jemallocator::Jemalloc;

        // SAFETY: jemalloc reads a pointer to a text that ends with a zero byte under this name,
        // and a reference to an array is one.
        #[allow(non_upper_case_globals, missing_docs, reason = "jemalloc's own name")]
        #[unsafe(export_name = "_rjem_malloc_conf")]
        pub static malloc_conf: &[u8; $crate::heap::MALLOC_CONF.len()] = $crate::heap::MALLOC_CONF;
    };
}

#[cfg(not(feature = "jemalloc"))]
mod off {
    use super::State;
    use crate::aggregate::{Aggregate, Filter};
    use crate::stats::{HeapStats, LiveHeap};

    const REASON: &str = "davy-profiler was built without its feature `jemalloc`";

    #[derive(Clone, Debug, Default)]
    pub(crate) struct Totals;

    impl Totals {
        pub(crate) fn now() -> Self {
            Self
        }

        pub(crate) fn largest(self, _: usize) -> Self {
            self
        }

        #[expect(clippy::unused_self, reason = "as where there are some")]
        pub(super) fn len(&self) -> usize {
            0
        }
    }

    pub(crate) fn start() -> Result<(), &'static str> {
        Err(REASON)
    }

    pub(crate) fn stop() {}

    pub(crate) fn state() -> Result<State, &'static str> {
        Err(REASON)
    }

    pub(crate) fn reserve(_: usize) {}

    pub(crate) fn set_rate(_: u8) -> Result<(), &'static str> {
        Err(REASON)
    }

    pub(crate) fn live_heap() -> LiveHeap {
        LiveHeap::default()
    }

    pub(crate) fn stats() -> HeapStats {
        HeapStats {
            off_because: REASON,
            ..HeapStats::default()
        }
    }

    pub(crate) fn add(
        _: &mut Aggregate,
        _: &Filter,
        _: &Totals,
        _: Option<&Totals>,
        _: Option<&Totals>,
    ) {
    }
}
