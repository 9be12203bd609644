//! Futures that are counted while they live.

use crate::table::MAX_TAGS;
use crate::{Tag, Tagged};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

static BEGUN: [AtomicU64; MAX_TAGS] = [const { AtomicU64::new(0) }; MAX_TAGS];
static ENDED: [AtomicU64; MAX_TAGS] = [const { AtomicU64::new(0) }; MAX_TAGS];

/// Tasks of this tag that live, and that ever lived.
pub(super) fn counts(tag: Tag) -> (u64, u64) {
    let ended = ENDED[tag.index() as usize].load(Ordering::Acquire);
    let begun = BEGUN[tag.index() as usize].load(Ordering::Acquire);
    (begun.saturating_sub(ended), begun)
}

/// Counts as one task of its tag until it is dropped.
#[derive(Debug)]
pub(crate) struct Counted(Tag);

impl Counted {
    pub(crate) fn new(tag: Tag) -> Self {
        BEGUN[tag.index() as usize].fetch_add(1, Ordering::Relaxed);
        Self(tag)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        ENDED[self.0.index() as usize].fetch_add(1, Ordering::Release);
    }
}

/// A [`Tagged`] future that counts as a task of its tag for as long as it lives.
#[derive(Debug)]
#[must_use = "a future does nothing unless it is polled"]
pub struct Task<F> {
    // Dropped in this order: a task lives until its future has been dropped.
    future: Tagged<F>,
    _counted: Counted,
}

impl Tag {
    /// `future` under this tag, as a task: for whoever spawns it. The task lives from here until
    /// the future is dropped.
    pub fn task<F: Future>(self, future: F) -> Task<F> {
        Task {
            future: self.wrap(future),
            _counted: Counted::new(self),
        }
    }
}

impl<F: Future> Future for Task<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: `future` is pinned whenever `self` is: it is never moved out, `Task` has no
        // `Drop` of its own, and is `Unpin` only where `F` is.
        let future = unsafe { self.map_unchecked_mut(|this| &mut this.future) };
        future.poll(context)
    }
}
