//! Guards that tag the calling thread.

use crate::account::{self, ledger};
use crate::current;
use crate::parking;
use crate::table::Tag;
use std::marker::PhantomData;

/// Changes the tag of the calling thread.
#[inline]
fn switch(before: u32, next: u32) {
    if before != next {
        current::set(next);
        if account::is_on() {
            ledger::switched(next);
        }
    }
}

/// Tags the calling thread until it is dropped, which restores the previous tag.
///
/// Guards must be dropped in reverse order of their creation, as local variables are; fields of a struct
/// and items of a `Vec` are not. Held across an `.await`, a guard tags everything that the thread polls
/// meanwhile; tag a future with [`Tag::wrap`] instead.
#[derive(Debug)]
#[must_use = "the tag lasts only as long as its guard"]
pub struct Guard {
    before: u32,
    is_change: bool,
    /// A guard restores the tag of its own thread, so it must not be sent to another.
    not_send: PhantomData<*const ()>,
}

impl Tag {
    /// Tags the calling thread until the guard is dropped. Guards nest.
    #[inline]
    pub fn enter(self) -> Guard {
        let before = current::index_or_base();
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
        // Not by `switch`, so that a guard from before the start of accounting ends its segment, too.
        if self.is_change {
            current::set(self.before);
            if account::is_on() {
                ledger::switched(self.before);
            }
        }
    }
}

/// Tags the calling thread for one poll while accounting is on, and counts the poll.
pub(crate) struct PollGuard {
    before: u32,
    begun: u64,
}

impl PollGuard {
    #[inline]
    pub(crate) fn enter_counted(tag: Tag) -> Self {
        if current::may_have_parked() {
            parking::ends();
            parking::assign(tag);
        }
        let before = current::index_or_base();
        // A poll nested in one of the same tag is part of it and not counted.
        let begun = if before == tag.index() {
            0
        } else {
            current::set(tag.index());
            ledger::switched(tag.index())
        };
        Self { before, begun }
    }
}

impl Drop for PollGuard {
    #[inline]
    fn drop(&mut self) {
        current::set(self.before);
        if self.begun != 0 {
            ledger::polled(self.begun, self.before);
        }
    }
}

/// Tags the calling thread for one poll while accounting is off.
pub(crate) struct UncountedGuard {
    before: u32,
}

impl UncountedGuard {
    #[inline]
    pub(crate) fn enter(tag: Tag) -> Self {
        let before = current::index_or_base();
        current::set(tag.index());
        Self { before }
    }
}

impl Drop for UncountedGuard {
    #[inline]
    fn drop(&mut self) {
        current::set(self.before);
    }
}
