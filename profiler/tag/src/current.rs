//! The tag of this thread.

use crate::{Tag, account};
use std::cell::Cell;
use std::marker::PhantomData;

thread_local! {
    /// Const-initialised and without `Drop`: no first use, no destructor, so a signal handler may
    /// read it at any instant of a thread's life.
    static CURRENT: Cell<u32> = const { Cell::new(0) };
}

/// The tag of this thread. May be called from a signal handler and from an allocator.
#[inline]
pub fn current() -> Tag {
    Tag::from_index(CURRENT.with(Cell::get))
}

/// Writes down who has this thread.
#[inline]
fn hold(tag: u32) {
    CURRENT.with(|current| current.set(tag));
    #[cfg(all(
        feature = "otel",
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64")
    ))]
    crate::otel::switched(tag);
}

/// The one place where a thread changes hands: to `next`, at ticks that are answered where
/// somebody counts them; 0 where nobody does, and where the thread stays in the same hands.
#[inline]
fn switch(before: u32, next: u32) -> u64 {
    if before == next {
        return 0;
    }
    hold(next);
    if account::is_on() {
        account::switched(next)
    } else {
        0
    }
}

/// Does what is not the work of whoever has the thread: what it allocates is nobody's.
pub(crate) fn untagged<T>(work: impl FnOnce() -> T) -> T {
    let before = CURRENT.with(|current| current.replace(0));
    let done = work();
    CURRENT.with(|current| current.set(before));
    done
}

/// Holds a tag on this thread; dropping it brings back the tag before.
///
/// Guards are to be dropped in the reverse order of their making, as variables are, but neither the
/// fields of a struct nor the items of a `Vec`: the last to go brings back what was before it. Held
/// over an `.await`, a guard tags whatever the thread polls meanwhile; a future is tagged by
/// [`Tag::wrap`].
#[derive(Debug)]
#[must_use = "the tag lasts only as long as its guard"]
pub struct Guard {
    before: u32,
    is_change: bool,
    /// A guard undoes what was done to its own thread, so it can't leave it.
    not_send: PhantomData<*const ()>,
}

impl Tag {
    /// Tags this thread until the guard is dropped. Guards nest.
    #[inline]
    pub fn enter(self) -> Guard {
        let before = CURRENT.with(Cell::get);
        switch(before, self.index());
        Guard {
            before,
            is_change: before != self.index(),
            not_send: PhantomData,
        }
    }
}

impl Drop for Guard {
    #[inline]
    fn drop(&mut self) {
        // Also one that was made before accounting began: it may be all that gives the thread back.
        if self.is_change {
            hold(self.before);
            if account::is_on() {
                account::switched(self.before);
            }
        }
    }
}

/// Holds a tag on this thread for one poll, which is counted.
pub(crate) struct PollGuard {
    before: u32,
    begun: u64,
}

impl PollGuard {
    #[inline]
    pub(crate) fn enter(tag: Tag) -> Self {
        let before = CURRENT.with(Cell::get);
        // A poll within one of the same tag is a part of it, and is not counted.
        let begun = switch(before, tag.index());
        Self { before, begun }
    }
}

impl Drop for PollGuard {
    #[inline]
    fn drop(&mut self) {
        hold(self.before);
        if self.begun != 0 {
            account::polled(self.begun, self.before);
        }
    }
}
