//! The function that reads a thread's stack, and requests to read stacks.

use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// Number of requests. Every task records its stack at its first poll, and at the first poll after each
/// request.
static REQUESTS: AtomicU64 = AtomicU64::new(1);
/// A [`StackSource`], or null.
static STACK_SOURCE: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());

/// Writes the calling thread's return addresses to `frames`, leaf first, as far as their frames are below
/// the stack address `below`. Returns the number of frames. Must not allocate, lock or panic.
pub type StackSource = fn(below: usize, frames: &mut [u64]) -> usize;

/// Sets the function that reads a stack. Without it, listed tasks have no stacks.
pub fn set_stack_source(source: StackSource) {
    STACK_SOURCE.store(source as *mut (), Ordering::Release);
}

/// Requests every task to record at its next poll where it waits. That poll takes about 200 ns longer.
pub fn ask_tasks() {
    REQUESTS.fetch_add(1, Ordering::Relaxed);
}

/// Number of the latest request.
#[inline]
pub(super) fn latest_request() -> u64 {
    REQUESTS.load(Ordering::Relaxed)
}

pub(super) fn stack_source() -> Option<StackSource> {
    let source = STACK_SOURCE.load(Ordering::Acquire);
    // SAFETY: a pointer other than null was stored by `set_stack_source`, from this type.
    (!source.is_null()).then(|| unsafe { std::mem::transmute::<*mut (), StackSource>(source) })
}
