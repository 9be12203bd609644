//! Heap profiles: live and allocated memory by member, operation and stack.
//!
//! jemalloc samples about one allocation per 512 KiB. Its hooks pass each sample to tables of fixed size,
//! which know the tag and the stack of every live one. A sample stands for `1 / (1 - exp(-size / rate))`
//! allocations of its size, which makes the sums unbiased.

mod history;
#[cfg(feature = "jemalloc")]
mod hooks;
#[cfg(feature = "jemalloc")]
mod live;
#[cfg(not(feature = "jemalloc"))]
mod off;
#[cfg(feature = "jemalloc")]
mod rate;
#[cfg(feature = "jemalloc")]
mod stacks;
#[cfg(feature = "jemalloc")]
mod totals;
#[cfg(feature = "jemalloc")]
mod unclaimed;

pub(crate) use history::History;
#[cfg(feature = "jemalloc")]
pub(crate) use hooks::{
    is_allocator_code, live_heap, rate_bytes, reserve, set_rate, start, stats, stop,
};
#[cfg(not(feature = "jemalloc"))]
pub(crate) use off::{
    Totals, add, is_allocator_code, live_heap, rate_bytes, reserve, set_rate, settle, start, stats,
    stop,
};
#[cfg(feature = "jemalloc")]
#[doc(hidden)]
pub use tikv_jemallocator;
#[cfg(feature = "jemalloc")]
pub(crate) use totals::{Totals, add};
#[cfg(feature = "jemalloc")]
pub(crate) use unclaimed::settle;

/// Enables profiling, inactive until the profiler starts, and a background thread of jemalloc that returns
/// freed memory to the kernel within seconds, even in an idle process.
#[cfg(feature = "jemalloc")]
#[doc(hidden)]
pub const MALLOC_CONF: &[u8; 106] = b"prof:true,prof_active:false,lg_prof_sample:19,\
    background_thread:true,dirty_decay_ms:5000,muzzy_decay_ms:0\0";

/// The same, with one arena for each processor instead of four. Each arena keeps freed memory until it is returned.
#[cfg(feature = "jemalloc")]
#[doc(hidden)]
pub const FEW_ARENAS_CONF: &[u8; 122] = b"prof:true,prof_active:false,lg_prof_sample:19,\
    background_thread:true,narenas_ratio:1,dirty_decay_ms:5000,muzzy_decay_ms:0\0";

/// Makes jemalloc the allocator of this program, configured for heap profiles.
///
/// Use it once, in the main file of a binary. Sampling starts with
/// [`Builder::start`](crate::Builder::start); until then it costs next to nothing.
///
/// ```
/// davy_profiler::use_jemalloc!();
/// # fn main() {}
/// ```
///
/// `use_jemalloc!(few_arenas)` makes one arena for each processor instead of four, which is jemalloc's default. The
/// process needs less memory, and its threads wait more often for each other if many of them allocate at the same time.
#[cfg(feature = "jemalloc")]
#[macro_export]
macro_rules! use_jemalloc {
    () => {
        $crate::use_jemalloc!(@configured MALLOC_CONF);
    };
    (few_arenas) => {
        $crate::use_jemalloc!(@configured FEW_ARENAS_CONF);
    };
    (@configured $conf:ident) => {
        #[global_allocator]
        static DAVY_ALLOCATOR: $crate::heap::tikv_jemallocator::Jemalloc =
            $crate::heap::tikv_jemallocator::Jemalloc;

        // SAFETY: jemalloc reads a pointer to a zero-terminated text under this name, and a reference to
        // an array is one.
        #[allow(
            non_upper_case_globals,
            missing_docs,
            reason = "the name is jemalloc's"
        )]
        #[unsafe(export_name = "_rjem_malloc_conf")]
        pub static malloc_conf: &[u8; $crate::heap::$conf.len()] = $crate::heap::$conf;
    };
}

/// Needs the feature `jemalloc`.
#[cfg(not(feature = "jemalloc"))]
#[macro_export]
macro_rules! use_jemalloc {
    () => {
        compile_error!(
            "use_jemalloc! needs the feature `jemalloc` of davy-profiler: \
             davy-profiler = { ..., features = [\"jemalloc\"] }"
        );
    };
}
