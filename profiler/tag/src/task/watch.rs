//! Where a task waits: the stack at which its waker was taken.
//!
//! A future that answers `Pending` has cloned the waker, or has one from before. For one poll it
//! is shown another waker, so that it has to take it anew; the clone that it gets is of the
//! task's own waker, and nothing of ours outlives the poll.

use super::slot::Slot;
use super::{ASKED, StackSource};
use std::cell::Cell;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

thread_local! {
    /// Only its address is of interest: it tells threads apart.
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

/// Polls once with a waker that notes who takes it.
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
    slot.asked
        .store(ASKED.load(Ordering::Relaxed), Ordering::Relaxed);
    // SAFETY: the table's functions take `data` for a `Watch`, which lives until after the poll; a
    // waker is only lent to the future, and what it clones is not of this table.
    let waker =
        ManuallyDrop::new(unsafe { Waker::new(std::ptr::from_ref(&watch).cast(), &VTABLE) });
    future.poll(&mut Context::from_waker(&waker))
}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: the waker that is cloned was lent for the poll that the watch lives for.
    let watch = unsafe { &*data.cast::<Watch<'_>>() };
    watch.note();
    let waker = ManuallyDrop::new(watch.inner.clone());
    RawWaker::new(waker.data(), waker.vtable())
}

unsafe fn wake(data: *const ()) {
    // SAFETY: as for `clone`.
    unsafe { &*data.cast::<Watch<'_>>() }.inner.wake_by_ref();
}

unsafe fn forget(_: *const ()) {}

impl Watch<'_> {
    /// The first to take the waker is where the task waits: what is around it takes it later.
    #[cold]
    fn note(&self) {
        // A future may lend the waker to other threads, whose stacks tell nothing of it.
        let is_here = HERE.with(|here| std::ptr::from_ref(here) as usize) == self.thread;
        if is_here && !self.is_done.swap(true, Ordering::Relaxed) {
            self.slot.note(|frames| (self.source)(self.below, frames));
        }
    }
}
