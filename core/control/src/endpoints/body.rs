//! The body of an answer: whose work it is to make it, and how long it may take.

use super::figures::Begun;
use super::slots::Held;
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
    slot: Option<Held>,
}

impl Accounted {
    pub(super) fn new(inner: Body, tag: Tag, begun: Begun, slot: Option<Held>) -> Self {
        Self {
            inner,
            tag,
            _begun: begun,
            slot,
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
        // A client that reads slowly would hold its place for as long as it likes.
        if let Some(slot) = &mut self.slot
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
