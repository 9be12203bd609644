//! Finds where a task waits: the stack at which its waker is cloned.
//!
//! A future that returns `Pending` has cloned the waker, now or at an earlier poll. For one poll, the
//! future gets a different waker, so that it has to clone it again. The clone is one of the task's own
//! waker, so nothing from here outlives the poll.

use super::slot::Slot;
use super::stack_source::{StackSource, latest_request};
use std::cell::Cell;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

thread_local! {
    /// Its address identifies the thread.
    static HERE: Cell<u8> = const { Cell::new(0) };
}

struct Watch<'a> {
    inner: &'a Waker,
    slot: &'a Slot,
    source: StackSource,
    thread: usize,
    below: usize,
    is_done: AtomicBool,
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake, forget);

/// Polls once with a waker that records the stack at which it is cloned.
#[inline(never)]
pub(super) fn poll<F: Future>(
    slot: &Slot,
    source: StackSource,
    future: Pin<&mut F>,
    context: &mut Context<'_>,
) -> Poll<F::Output> {
    let watch = Watch {
        inner: context.waker(),
        slot,
        source,
        thread: HERE.with(|here| std::ptr::from_ref(here) as usize),
        below: std::ptr::from_ref(&context) as usize,
        is_done: AtomicBool::new(false),
    };
    slot.answer(latest_request());
    // SAFETY: the functions of the table expect `data` to be a `Watch`, which outlives the poll: the
    // future only borrows the waker, and its clones do not use this table.
    let waker =
        ManuallyDrop::new(unsafe { Waker::new(std::ptr::from_ref(&watch).cast(), &VTABLE) });
    future.poll(&mut Context::from_waker(&waker))
}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: the cloned waker was lent for a poll, which the watch outlives.
    let watch = unsafe { &*data.cast::<Watch<'_>>() };
    watch.record();
    let waker = ManuallyDrop::new(watch.inner.clone());
    RawWaker::new(waker.data(), waker.vtable())
}

unsafe fn wake(data: *const ()) {
    // SAFETY: as in `clone`.
    unsafe { &*data.cast::<Watch<'_>>() }.inner.wake_by_ref();
}

unsafe fn forget(_: *const ()) {}

impl Watch<'_> {
    /// Records the first clone: the innermost future waits there, those around it clone later.
    #[cold]
    fn record(&self) {
        // A future may lend the waker to other threads, whose stacks are unrelated.
        let is_here = HERE.with(|here| std::ptr::from_ref(here) as usize) == self.thread;
        if is_here && !self.is_done.swap(true, Ordering::Relaxed) {
            self.slot.record(|frames| (self.source)(self.below, frames));
        }
    }
}
