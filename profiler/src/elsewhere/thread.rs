//! Threads need not be known.

/// Tells the profiler about the calling thread, which on this system it need not know.
pub fn register_thread() {
    crate::drain::nudge();
}

/// Stacks are not read on this system.
#[cfg(feature = "jemalloc")]
pub(crate) fn learn_bounds() {}
