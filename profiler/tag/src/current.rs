//! The tag of this thread.

use crate::Tag;
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

/// The one place where a thread changes hands: from the tag that is returned to `next`.
///
/// Exact accounting of CPU time and allocations belongs here and nowhere else.
#[inline]
fn switch(next: Tag) -> Tag {
    Tag::from_index(CURRENT.with(|current| current.replace(next.index())))
}

/// Holds a tag on this thread; dropping it brings back the tag before.
#[derive(Debug)]
#[must_use = "the tag lasts only as long as its guard"]
pub struct Guard {
    before: Tag,
    /// A guard undoes what was done to its own thread, so it can't leave it.
    not_send: PhantomData<*const ()>,
}

impl Tag {
    /// Tags this thread until the guard is dropped. Guards nest.
    #[inline]
    pub fn enter(self) -> Guard {
        Guard {
            before: switch(self),
            not_send: PhantomData,
        }
    }
}

impl Drop for Guard {
    #[inline]
    fn drop(&mut self) {
        switch(self.before);
    }
}
