//! The body of an answer: whose work it is to make it, and how long it may take.

use super::Hold;
use super::figures::Begun;
use axum::body::{Body, Bytes};
use davy_tag::Tag;
use http_body::{Frame, SizeHint};
use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A body that is made under its endpoint's tag, and holds its place until it is sent.
pub(super) struct Accounted {
    inner: Body,
    tag: Tag,
    _begun: Begun,
    hold: Hold,
}

impl Accounted {
    pub(super) fn new(inner: Body, tag: Tag, begun: Begun, hold: Hold) -> Self {
        Self {
            inner,
            tag,
            _begun: begun,
            hold,
        }
    }
}

impl http_body::Body for Accounted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let _guard = self.tag.enter();
        if let Some(until_off) = &mut self.hold.until_off
            && until_off.as_mut().poll(context).is_ready()
        {
            let off = io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "the endpoint was switched off",
            );
            self.inner = Body::empty();
            return Poll::Ready(Some(Err(axum::Error::new(off))));
        }
        // A client that reads slowly would hold its place for as long as it likes.
        if let Some(slot) = &mut self.hold.slot
            && slot.deadline().poll(context).is_ready()
        {
            let late = io::Error::new(
                io::ErrorKind::TimedOut,
                "the answer held its slot for too long",
            );
            return Poll::Ready(Some(Err(axum::Error::new(late))));
        }
        Pin::new(&mut self.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
