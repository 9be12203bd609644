//! Wakes a thread each time a number of bytes has been allocated.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::Thread;

/// Allocated bytes, estimated from samples, since the thread was last woken.
static ALLOCATED: AtomicU64 = AtomicU64::new(0);
static THRESHOLD: AtomicU64 = AtomicU64::new(u64::MAX);
static THREAD: Mutex<Option<Thread>> = Mutex::new(None);

/// Sets the thread to wake.
pub(crate) fn set_thread(thread: Thread) {
    *THREAD.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
}

/// Removes the thread from the alarm and wakes it a last time.
pub(crate) fn remove_thread() {
    if let Some(thread) = THREAD.lock().unwrap_or_else(PoisonError::into_inner).take() {
        thread.unpark();
    }
}

/// Sets the number of allocated bytes after which the thread is woken.
pub(crate) fn set_threshold(bytes: u64) {
    THRESHOLD.store(bytes, Ordering::Relaxed);
}

/// Called by the allocator's hook for every sample. Neither allocates nor waits.
#[cfg_attr(
    not(feature = "jemalloc"),
    expect(dead_code, reason = "only jemalloc's hooks report allocations")
)]
pub(crate) fn on_allocated(bytes: u64) {
    if ALLOCATED.fetch_add(bytes, Ordering::Relaxed) < THRESHOLD.load(Ordering::Relaxed) {
        return;
    }
    ALLOCATED.store(0, Ordering::Relaxed);
    if let Ok(thread) = THREAD.try_lock()
        && let Some(thread) = &*thread
    {
        thread.unpark();
    }
}
