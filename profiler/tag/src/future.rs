//! Futures that carry a tag.

use crate::account;
use crate::guard::{PollGuard, UncountedGuard};
use crate::table::Tag;
use crate::waiter::{KeptWaiter, PollWaker};
use std::future::Future;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A future that is polled, and dropped, with a tag. While accounting is on, work that a thread without
/// tagged futures does for it is attributed to the tag, too ([`Tag::claim`]).
#[derive(Debug)]
#[must_use = "a future does nothing unless it is polled"]
pub struct Tagged<F> {
    tag: Tag,
    waiter: KeptWaiter,
    inner: ManuallyDrop<F>,
}

/// Tags a future with a member and an operation.
pub fn tagged<F: Future>(member: &str, op: &str, future: F) -> Tagged<F> {
    Tag::new(member, op).wrap(future)
}

impl Tag {
    /// Tags a future.
    pub fn wrap<F: Future>(self, future: F) -> Tagged<F> {
        Tagged {
            tag: self,
            waiter: KeptWaiter::default(),
            inner: ManuallyDrop::new(future),
        }
    }
}

impl<F> Tagged<F> {
    /// The tag of the future.
    pub fn tag(&self) -> Tag {
        self.tag
    }
}

impl<F: Future> Future for Tagged<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: `inner` is pinned whenever `self` is: it is never moved out, `Drop` drops it in
        // place, and `Tagged` is `Unpin` only where `F` is (there is no other impl of `Unpin`).
        let (tag, waiter, inner) = unsafe {
            let this = self.get_unchecked_mut();
            let inner = Pin::new_unchecked(&mut *this.inner);
            (this.tag, &this.waiter, inner)
        };
        if account::is_on() {
            return poll_counted(tag, waiter, inner, context);
        }
        let _guard = UncountedGuard::enter(tag);
        inner.poll(context)
    }
}

/// A poll while accounting is on.
fn poll_counted<F: Future>(
    tag: Tag,
    waiter: &KeptWaiter,
    inner: Pin<&mut F>,
    context: &mut Context<'_>,
) -> Poll<F::Output> {
    let _guard = PollGuard::enter_counted(tag);
    let mut space = PollWaker::new();
    let waker = waiter.waker(tag, context.waker(), &mut space);
    inner.poll(&mut Context::from_waker(waker))
}

impl<F> Drop for Tagged<F> {
    fn drop(&mut self) {
        let _guard = self.tag.enter();
        // SAFETY: `inner` is dropped nowhere else, and this runs once; the future is dropped in place,
        // as pinning requires.
        unsafe { ManuallyDrop::drop(&mut self.inner) };
    }
}
