//! The allocator's count of the bytes that a thread has allocated.

use std::sync::atomic::{AtomicPtr, Ordering};

/// A `fn() -> *const u64`, or null.
static ALLOCATED_SOURCE: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());

/// Sets the function that locates a thread's count of allocated bytes, such as jemalloc's
/// `thread.allocatedp`.
///
/// `source` is called once on each thread. It returns null if there is no count.
///
/// # Safety
/// The pointer that `source` returns is null, or readable by the calling thread until that thread's
/// thread-locals are destroyed.
pub unsafe fn set_allocated_source(source: fn() -> *const u64) {
    ALLOCATED_SOURCE.store(source as *mut (), Ordering::Release);
}

pub(super) fn allocated_source() -> Option<fn() -> *const u64> {
    let source = ALLOCATED_SOURCE.load(Ordering::Acquire);
    // SAFETY: a pointer other than null was stored by `set_allocated_source`, from this type.
    (!source.is_null())
        .then(|| unsafe { std::mem::transmute::<*mut (), fn() -> *const u64>(source) })
}
