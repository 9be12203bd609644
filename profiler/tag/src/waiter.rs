//! Wakers that know the tag of the future that waits.
//!
//! A thread of a pool (tokio's blocking pool, the worker of a database driver, a thread that serves a
//! channel) does not know whom its work is for. But when it is done, it wakes the future that waits for the
//! result. So a tagged future passes on wakers that claim the work of the thread that wakes them.

use crate::table::Tag;
use crate::thread;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::task::{RawWaker, RawWakerVTable, Waker};

/// The waker of a future and its tag.
struct Waiter {
    tag: Tag,
    inner: Waker,
}

/// A waker that is lent to a future for a poll. A clone is a [`Waiter`].
struct Lent<'a> {
    tag: Tag,
    inner: &'a Waker,
    kept: &'a KeptWaiter,
}

/// Wakers whose data is a `Lent` and an `Arc<Waiter>`.
static LENT: RawWakerVTable = RawWakerVTable::new(clone_lent, wake_lent, wake_lent, forget);
static OWNED: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, release);

/// The waiter of a future, from the first time that its waker is cloned: an `Arc<Waiter>`, or null.
#[derive(Debug, Default)]
pub(crate) struct KeptWaiter(AtomicPtr<Waiter>);

/// Space for the waker of a poll. Not initialised, because every poll has one.
pub(crate) struct PollWaker<'a> {
    lent: MaybeUninit<Lent<'a>>,
    waker: MaybeUninit<Waker>,
}

impl PollWaker<'_> {
    #[inline]
    pub(crate) const fn new() -> Self {
        Self {
            lent: MaybeUninit::uninit(),
            waker: MaybeUninit::uninit(),
        }
    }
}

impl KeptWaiter {
    /// The waker for a poll: one that claims work for `tag`, in `space`, or `outer` itself if that does so.
    #[inline]
    pub(crate) fn waker<'a>(
        &'a self,
        tag: Tag,
        outer: &'a Waker,
        space: &'a mut PollWaker<'a>,
    ) -> &'a Waker {
        let inner = match untagged(outer) {
            // The poll is part of one with the same tag.
            (_, Some(outer_tag)) if outer_tag == tag => return outer,
            (inner, _) => inner,
        };
        let kept = self.0.load(Ordering::Acquire);
        // SAFETY: null, or an `Arc` that `self` owns; only `clone_lent` replaces it, during a poll.
        let (data, table) =
            if unsafe { kept.as_ref() }.is_some_and(|kept| kept.inner.will_wake(inner)) {
                (kept.cast_const().cast(), &OWNED)
            } else {
                let lent = space.lent.write(Lent {
                    tag,
                    inner,
                    kept: self,
                });
                (std::ptr::from_ref(lent).cast(), &LENT)
            };
        // SAFETY: the data is a waiter that `self` keeps, or a `Lent`. Both outlive the poll, to which the
        // waker is lent; it is not dropped, and its clones are waiters of their own.
        space.waker.write(unsafe { Waker::new(data, table) })
    }

    /// Keeps a waiter for later polls, instead of the last one.
    fn keep(&self, waiter: Arc<Waiter>) {
        self.take(Arc::into_raw(waiter).cast_mut());
    }

    fn take(&self, next: *mut Waiter) {
        let before = self.0.swap(next, Ordering::AcqRel);
        if !before.is_null() {
            // SAFETY: `self` owned it, and no longer refers to it.
            drop(unsafe { Arc::from_raw(before) });
        }
    }
}

impl Drop for KeptWaiter {
    fn drop(&mut self) {
        self.take(std::ptr::null_mut());
    }
}

/// The waker within a waker of this module, and its tag. Nested futures do not nest wakers: the innermost tag
/// counts.
#[inline]
fn untagged(waker: &Waker) -> (&Waker, Option<Tag>) {
    if std::ptr::eq(waker.vtable(), &raw const OWNED) {
        // SAFETY: the data of this table is a waiter, which the waker keeps alive.
        let waiter = unsafe { &*waker.data().cast::<Waiter>() };
        (&waiter.inner, Some(waiter.tag))
    } else if std::ptr::eq(waker.vtable(), &raw const LENT) {
        // SAFETY: the data of this table is a `Lent`, which the waker's poll outlives.
        let lent = unsafe { &*waker.data().cast::<Lent<'_>>() };
        (lent.inner, Some(lent.tag))
    } else {
        (waker, None)
    }
}

unsafe fn clone_lent(data: *const ()) -> RawWaker {
    // SAFETY: the data is a `Lent`, which outlives the poll that lends the waker.
    let lent = unsafe { &*data.cast::<Lent<'_>>() };
    let waiter = Arc::new(Waiter {
        tag: lent.tag,
        inner: lent.inner.clone(),
    });
    lent.kept.keep(Arc::clone(&waiter));
    RawWaker::new(Arc::into_raw(waiter).cast(), &OWNED)
}

unsafe fn wake_lent(data: *const ()) {
    // SAFETY: as in `clone_lent`.
    let lent = unsafe { &*data.cast::<Lent<'_>>() };
    thread::wake(lent.tag, lent.inner);
}

unsafe fn forget(_: *const ()) {}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: the data is from `Arc::into_raw`, and the waker keeps one reference.
    unsafe { Arc::increment_strong_count(data.cast::<Waiter>()) };
    RawWaker::new(data, &OWNED)
}

unsafe fn wake(data: *const ()) {
    // SAFETY: as in `clone`; this takes the waker's reference.
    let waiter = unsafe { Arc::from_raw(data.cast::<Waiter>()) };
    thread::wake(waiter.tag, &waiter.inner);
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: as in `clone`.
    let waiter = unsafe { &*data.cast::<Waiter>() };
    thread::wake(waiter.tag, &waiter.inner);
}

unsafe fn release(data: *const ()) {
    // SAFETY: as in `clone`; this takes the waker's reference.
    drop(unsafe { Arc::from_raw(data.cast::<Waiter>()) });
}
