//! The tag of the calling thread.

use crate::table::Tag;
use std::cell::Cell;

thread_local! {
    /// Const-initialised and without `Drop`, so it has no lazy initialisation and no destructor: a
    /// signal handler may read it at any point of a thread's life.
    static CURRENT: Cell<u32> = const { Cell::new(0) };
}

/// Returns the tag of the calling thread. May be called from a signal handler and from an allocator.
#[inline]
pub fn current() -> Tag {
    Tag::from_index(index())
}

/// The index of the calling thread's tag.
#[inline]
pub(crate) fn index() -> u32 {
    CURRENT.with(Cell::get)
}

/// Sets the tag of the calling thread.
#[inline]
pub(crate) fn set(tag: u32) {
    CURRENT.with(|current| current.set(tag));
    #[cfg(all(
        feature = "otel",
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64")
    ))]
    crate::otel::switched(tag);
}

/// Runs `work` untagged, so that its allocations are not attributed to the current tag.
pub(crate) fn untagged<T>(work: impl FnOnce() -> T) -> T {
    let before = CURRENT.with(|current| current.replace(0));
    let output = work();
    CURRENT.with(|current| current.set(before));
    output
}
