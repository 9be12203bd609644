//! Connections, whose tag is that of the request that they serve.

use crate::account::{self, ledger};
use crate::claim;
use crate::current;
use crate::parking;
use crate::table::Tag;
use std::cell::Cell;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};

/// The requests of a connection.
#[derive(Debug)]
struct Requests {
    /// The tag of the last request; that of the connection before the first one.
    tag: AtomicU32,
    /// Requests whose response has not ended.
    in_flight: AtomicU32,
}

thread_local! {
    /// The requests of the connection that the thread is polling, or null.
    static POLLED: Cell<*const Requests> = const { Cell::new(std::ptr::null()) };
}

/// A future that serves a connection. It has the tag of the request that it serves; work before the first
/// request has a tag of its own.
///
/// On an HTTP/2 connection, requests are served at the same time. What the connection itself does then counts
/// for the latest of them, and each request's own work for that request.
#[derive(Debug)]
#[must_use = "a future does nothing unless it is polled"]
pub struct Connection<F> {
    requests: Arc<Requests>,
    inner: ManuallyDrop<F>,
}

impl<F: Future> Connection<F> {
    /// Wraps the future of a connection. `tag` is that of its work before the first request.
    pub fn new(tag: Tag, inner: F) -> Self {
        let requests = Requests {
            tag: AtomicU32::new(tag.index()),
            in_flight: AtomicU32::new(0),
        };
        Self {
            requests: Arc::new(requests),
            inner: ManuallyDrop::new(inner),
        }
    }
}

impl<F: Future> Future for Connection<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: `inner` is pinned whenever `self` is: it is never moved out, `Drop` drops it in place, and
        // `Connection` is `Unpin` only where `F` is.
        let (requests, inner) = unsafe {
            let this = self.get_unchecked_mut();
            (&this.requests, Pin::new_unchecked(&mut *this.inner))
        };
        let _guard = Entered::enter(requests);
        inner.poll(context)
    }
}

impl<F> Drop for Connection<F> {
    fn drop(&mut self) {
        let _guard = Tag::from_index(self.requests.tag.load(Ordering::Relaxed)).enter();
        // SAFETY: `inner` is dropped nowhere else, and this runs once; the future is dropped in place.
        unsafe { ManuallyDrop::drop(&mut self.inner) };
    }
}

/// The thread is polling a connection.
struct Entered<'a> {
    requests: &'a Requests,
    outer: *const Requests,
    before: u32,
    base: u32,
    begun: u64,
}

impl<'a> Entered<'a> {
    fn enter(requests: &'a Arc<Requests>) -> Self {
        parking::ends();
        let before = current::index_or_base();
        let last = requests.tag.load(Ordering::Relaxed);
        // Without a request in flight, the poll reads the next one. Until its tag is known, the last one is the
        // default.
        let next = if requests.in_flight.load(Ordering::Relaxed) == 0 {
            current::base_of(last)
        } else {
            parking::assign(Tag::from_index(last));
            last
        };
        let base = current::replace_base(current::base_of(last));
        current::set(next);
        let begun = if account::is_on() {
            ledger::switched(next)
        } else {
            0
        };
        let outer = POLLED.with(|polled| polled.replace(Arc::as_ptr(requests)));
        Self {
            requests,
            outer,
            before,
            base,
            begun,
        }
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        POLLED.with(|polled| polled.set(self.outer));
        assign(self.requests.tag.load(Ordering::Relaxed));
        current::replace_base(self.base);
        current::set(self.before);
        if self.begun != 0 {
            ledger::polled(self.begun, self.before);
        }
    }
}

/// Gives the work of the thread since the last change of its tag this tag, if it has none.
fn assign(tag: u32) {
    if !current::is_tagged() {
        let tag = Tag::from_index(tag);
        claim::file(tag);
        parking::assign(tag);
        if account::is_on() {
            ledger::relabel(tag.index());
        }
    }
}

/// A request that a connection serves, until this is dropped.
#[derive(Debug)]
#[must_use = "the request ends when this is dropped"]
pub struct InFlight(Option<Arc<Requests>>);

/// The connection that the calling thread is polling, if any, has read a request with this tag. The
/// connection has the tag from then on. Keep the result until the response has ended.
///
/// The services of `service` and `layer` call this.
pub fn begin_request(tag: Tag) -> InFlight {
    let polled = POLLED.with(Cell::get);
    if polled.is_null() {
        return InFlight(None);
    }
    // SAFETY: from an `Arc` of a connection that is being polled further up on this thread's stack, and that
    // keeps its own reference.
    let requests = unsafe {
        Arc::increment_strong_count(polled);
        Arc::from_raw(polled)
    };
    requests.tag.store(tag.index(), Ordering::Relaxed);
    requests.in_flight.fetch_add(1, Ordering::Relaxed);
    let was_tagged = current::is_tagged();
    assign(tag.index());
    current::set(tag.index());
    if was_tagged && account::is_on() {
        ledger::switched(tag.index());
    }
    InFlight(Some(requests))
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(requests) = &self.0 {
            requests.in_flight.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
