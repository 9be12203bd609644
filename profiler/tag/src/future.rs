//! Futures that carry a tag.

use crate::guard::PollGuard;
use crate::table::Tag;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A future that is polled, and dropped, with a tag.
#[derive(Debug)]
#[must_use = "a future does nothing unless it is polled"]
pub struct Tagged<F> {
    tag: Tag,
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
        let (tag, inner) = unsafe {
            let this = self.get_unchecked_mut();
            (this.tag, Pin::new_unchecked(&mut *this.inner))
        };
        let _guard = PollGuard::enter(tag);
        inner.poll(context)
    }
}

impl<F> Drop for Tagged<F> {
    fn drop(&mut self) {
        let _guard = self.tag.enter();
        // SAFETY: `inner` is dropped nowhere else, and this runs once; the future is dropped in place,
        // as pinning requires.
        unsafe { ManuallyDrop::drop(&mut self.inner) };
    }
}
