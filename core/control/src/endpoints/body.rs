//! Response bodies that are produced under their endpoint's tag and hold a slot until they are sent.
//!
//! hyper takes a whole frame at once and polls for no more while the client reads nothing. So large
//! frames are sliced, and the slot is held until the last slice is about to be sent. A separate task
//! waits for the reasons to end a long response and closes the connection.

use super::slots::HeldSlot;
use super::statistics::InFlight;
use axum::body::{Body, Bytes};
use http_body::{Frame, SizeHint};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

/// The size of a slice.
const SLICE_BYTES: usize = 64 << 10;

/// Closes the connection of a request, even if its client reads nothing. The server puts one into the
/// extensions of each request.
#[derive(Clone, Debug, Default)]
pub struct Disconnect(CancellationToken);

impl Disconnect {
    /// Completes when the connection must be closed, even if the response is not sent completely.
    pub async fn requested(&self) {
        self.0.cancelled().await;
    }
}

/// Completes when an endpoint is disabled.
pub(super) type Disabled = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The slot that a response holds while it is sent, and the event that aborts it.
#[derive(Default)]
pub(super) struct Hold {
    pub(super) slot: Option<HeldSlot>,
    pub(super) disabled: Option<Disabled>,
}

/// A body that is produced under its endpoint's tag and holds its slot until it is sent.
pub(super) struct MeteredBody {
    inner: Body,
    /// The part of the last frame of `inner` that is not sent yet.
    rest: Bytes,
    _in_flight: InFlight,
    hold: Hold,
    disconnect: Option<Disconnect>,
    watch: Option<AbortHandle>,
}

impl MeteredBody {
    pub(super) fn new(
        inner: Body,
        in_flight: InFlight,
        hold: Hold,
        disconnect: Option<Disconnect>,
    ) -> Self {
        Self {
            inner,
            rest: Bytes::new(),
            _in_flight: in_flight,
            hold,
            disconnect,
            watch: None,
        }
    }

    fn slice(&mut self) -> Bytes {
        let length = self.rest.len().min(SLICE_BYTES);
        self.rest.split_to(length)
    }

    /// Closes the connection when the endpoint is disabled or the slot expires, even if the body is not
    /// polled any more.
    fn watch(&mut self) {
        let Some(disconnect) = self.disconnect.take() else {
            return;
        };
        let disabled = self.hold.disabled.take();
        let expiry = self.hold.slot.as_ref().map(HeldSlot::expiry_timer);
        if disabled.is_none() && expiry.is_none() {
            return;
        }
        let watch = davy_tag::spawn(async move {
            tokio::select! {
                () = completed(disabled) => {}
                () = completed(expiry) => {}
            }
            disconnect.0.cancel();
        });
        self.watch = Some(watch.abort_handle());
    }
}

/// Completes when the future does; without a future it never completes.
async fn completed(future: Option<impl Future<Output = ()>>) {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

impl Drop for MeteredBody {
    fn drop(&mut self) {
        if let Some(watch) = &self.watch {
            watch.abort();
        }
    }
}

impl http_body::Body for MeteredBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Some(disabled) = &mut self.hold.disabled
            && disabled.as_mut().poll(context).is_ready()
        {
            let error = io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "the endpoint was disabled",
            );
            self.inner = Body::empty();
            return Poll::Ready(Some(Err(axum::Error::new(error))));
        }
        // A client that reads slowly would otherwise hold its slot indefinitely.
        if let Some(slot) = &mut self.hold.slot
            && Pin::new(slot.expiry()).poll(context).is_ready()
        {
            let error = io::Error::new(
                io::ErrorKind::TimedOut,
                "the response exceeded its slot time",
            );
            return Poll::Ready(Some(Err(axum::Error::new(error))));
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
