//! The body of an answer: whose work it is to make it, and how long it may take.
//!
//! A server takes a whole frame at once and asks for nothing more while its client reads nothing. So
//! large frames go out in slices: the place is held until the last of them is about to be sent. And
//! what ends a long answer is waited for beside it, and cuts the connection.

use super::Hold;
use super::figures::Begun;
use axum::body::{Body, Bytes};
use davy_tag::Tag;
use http_body::{Frame, SizeHint};
use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

/// What is handed to the server at once.
const SLICE_BYTES: usize = 64 << 10;

/// The way to end a connection whose client reads nothing; a request carries that of its own.
#[derive(Clone, Debug, Default)]
pub struct Cut(CancellationToken);

impl Cut {
    /// Ends when the connection is to be closed, whatever is still to be sent.
    pub async fn wished(&self) {
        self.0.cancelled().await;
    }
}

/// A body that is made under its endpoint's tag, and holds its place until it is sent.
pub(super) struct Accounted {
    inner: Body,
    /// Of the last frame of `inner` what has not been handed on yet.
    rest: Bytes,
    tag: Tag,
    _begun: Begun,
    hold: Hold,
    cut: Option<Cut>,
    watch: Option<AbortHandle>,
}

impl Accounted {
    pub(super) fn new(inner: Body, tag: Tag, begun: Begun, hold: Hold, cut: Option<Cut>) -> Self {
        Self {
            inner,
            rest: Bytes::new(),
            tag,
            _begun: begun,
            hold,
            cut,
            watch: None,
        }
    }

    fn slice(&mut self) -> Bytes {
        let length = self.rest.len().min(SLICE_BYTES);
        self.rest.split_to(length)
    }

    /// Cuts the connection when the time of this answer is over, even if nobody asks for more of it.
    fn watch(&mut self) {
        let Some(cut) = self.cut.take() else { return };
        let until_off = self.hold.until_off.take();
        let deadline = self.hold.slot.as_ref().map(super::slots::Held::ends_at);
        if until_off.is_none() && deadline.is_none() {
            return;
        }
        let watch = davy_tag::spawn(async move {
            let off = async {
                match until_off {
                    Some(until_off) => until_off.await,
                    None => std::future::pending().await,
                }
            };
            let late = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! { () = off => {}, () = late => {} }
            cut.0.cancel();
        });
        self.watch = Some(watch.abort_handle());
    }
}

impl Drop for Accounted {
    fn drop(&mut self) {
        if let Some(watch) = &self.watch {
            watch.abort();
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
                "the endpoint was disabled",
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
        if self.rest.is_empty() {
            let frame = match ready!(Pin::new(&mut self.inner).poll_frame(context)) {
                Some(Ok(frame)) => frame,
                end => return Poll::Ready(end),
            };
            match frame.into_data() {
                Ok(data) => self.rest = data,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
        let slice = self.slice();
        if !http_body::Body::is_end_stream(&*self) {
            self.watch();
        }
        Poll::Ready(Some(Ok(Frame::data(slice))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (inner, rest) = (self.inner.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + rest);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}
