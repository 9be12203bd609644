//! Bodies that are produced with the tag of their request.

use super::InFlight;
use crate::account;
use crate::guard::{PollGuard, UncountedGuard};
use crate::table::Tag;
use crate::waiter::{KeptWaiter, PollWaker};
use http_body::{Body, Frame, SizeHint};
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The body of a response, which is polled, and dropped, with a tag.
#[derive(Debug)]
pub struct TaggedBody<B> {
    tag: Tag,
    waiter: KeptWaiter,
    inner: ManuallyDrop<B>,
    /// Ends the request when the body is dropped.
    _request: InFlight,
}

impl<B> TaggedBody<B> {
    /// Tags the body of a response to `request`.
    pub fn new(tag: Tag, request: InFlight, inner: B) -> Self {
        Self {
            tag,
            waiter: KeptWaiter::default(),
            inner: ManuallyDrop::new(inner),
            _request: request,
        }
    }
}

impl<B: Body> Body for TaggedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        // SAFETY: `inner` is pinned whenever `self` is: it is never moved out, `Drop` drops it in place, and
        // `TaggedBody` is `Unpin` only where `B` is.
        let (tag, waiter, inner) = unsafe {
            let this = self.get_unchecked_mut();
            let inner = Pin::new_unchecked(&mut *this.inner);
            (this.tag, &this.waiter, inner)
        };
        if account::is_on() {
            let _guard = PollGuard::enter_counted(tag);
            let mut space = PollWaker::new();
            let waker = waiter.waker(tag, context.waker(), &mut space);
            return inner.poll_frame(&mut Context::from_waker(waker));
        }
        let _guard = UncountedGuard::enter(tag);
        inner.poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B> Drop for TaggedBody<B> {
    fn drop(&mut self) {
        let _guard = self.tag.enter();
        // SAFETY: `inner` is dropped nowhere else, and this runs once; the body is dropped in place.
        unsafe { ManuallyDrop::drop(&mut self.inner) };
    }
}
