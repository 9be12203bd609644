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
mod stacks;

#[cfg(feature = "jemalloc")]
pub(crate) use hooks::{Totals, snapshot, start, state, stats, stop};
#[cfg(feature = "jemalloc")]
#[doc(hidden)]
pub use tikv_jemallocator;

#[cfg(not(feature = "jemalloc"))]
pub(crate) use off::{Totals, snapshot, start, state, stats, stop};

/// Frames of one stack: jemalloc's own default (`opt.prof_bt_max`).
pub(crate) const MAX_FRAMES: usize = 128;

/// A running heap sampler.
#[derive(Clone, Copy, Debug)]
pub(crate) struct State {
    /// Mean distance between sampled bytes.
    pub(crate) rate_bytes: i64,
}

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
        pub static malloc_conf: &[u8; 46] = b"prof:true,prof_active:false,lg_prof_sample:19\0";
    };
}

#[cfg(not(feature = "jemalloc"))]
mod off {
    use super::State;
    use crate::aggregate::{Aggregate, Filter};
    use crate::stats::HeapStats;

    const REASON: &str = "davy-profiler was built without its feature `jemalloc`";

    pub(crate) struct Totals;

    impl Totals {
        pub(crate) fn now() -> Self {
            Self
        }
    }

    pub(crate) fn start() -> Result<(), &'static str> {
        Err(REASON)
    }

    pub(crate) fn stop() {}

    pub(crate) fn state() -> Result<State, &'static str> {
        Err(REASON)
    }

    pub(crate) fn stats() -> HeapStats {
        HeapStats {
            off_because: REASON,
            ..HeapStats::default()
        }
    }

    pub(crate) fn snapshot(_: &mut Aggregate, _: &Filter, _: Option<&mut Totals>) {}
}
