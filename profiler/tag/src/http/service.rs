//! Services whose requests have tags.

use super::{Connection, InFlight, TaggedBody, begin_request};
use crate::current::current;
use crate::future::Tagged;
use crate::table::Tag;
use http::Response;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A service, for hyper or tower, that tags each request, its response and the response's body.
#[derive(Clone, Copy, Debug)]
pub struct TaggedService<S, C> {
    tag_of: C,
    inner: S,
}

/// Tags the requests of a service. `tag_of` returns the tag of a request.
pub fn service<S, C>(tag_of: C, inner: S) -> TaggedService<S, C> {
    TaggedService { tag_of, inner }
}

/// Serves a connection: tags its requests, their responses and bodies, and the connection itself.
///
/// `connect` returns the future that serves the connection by the service that it gets. `tag_of` returns the tag of a
/// request. Until the first request, the connection has the tag of the caller, or `connection` of the member `http`.
///
/// ```ignore
/// davy_tag::http::serve(tag_of, service, |service| http1::Builder::new().serve_connection(io, service)).await
/// ```
pub fn serve<S, C, F: Future>(
    tag_of: C,
    inner: S,
    connect: impl FnOnce(TaggedService<S, C>) -> F,
) -> Connection<F> {
    let caller = current();
    let tag = if caller.is_untagged() {
        Tag::new("http", "connection")
    } else {
        caller
    };
    Connection::new(tag, connect(service(tag_of, inner)))
}

/// The response of a [`TaggedService`].
#[derive(Debug)]
#[must_use = "a future does nothing unless it is polled"]
pub struct ResponseFuture<F> {
    // Fields are dropped in this order: the request ends after its future has been dropped.
    inner: Tagged<F>,
    request: Option<InFlight>,
}

impl<F: Future> ResponseFuture<F> {
    fn begin(tag: Tag, call: impl FnOnce() -> F) -> Self {
        let request = begin_request(tag);
        let inner = {
            let _guard = tag.enter();
            call()
        };
        Self {
            inner: tag.wrap(inner),
            request: Some(request),
        }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<TaggedBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: `inner` is pinned whenever `self` is: it is never moved out, `ResponseFuture` has no `Drop`
        // of its own, and is `Unpin` only where `F` is. The request is not pinned.
        let (inner, request) = unsafe {
            let this = self.get_unchecked_mut();
            (Pin::new_unchecked(&mut this.inner), &mut this.request)
        };
        let tag = inner.tag();
        let response = ready!(inner.poll(context))?;
        let request = request.take().unwrap_or_else(|| begin_request(tag));
        Poll::Ready(Ok(response.map(|body| TaggedBody::new(tag, request, body))))
    }
}

#[cfg(feature = "hyper")]
impl<S, C, B, R> hyper::service::Service<http::Request<B>> for TaggedService<S, C>
where
    S: hyper::service::Service<http::Request<B>, Response = Response<R>>,
    C: Fn(&http::Request<B>) -> Tag,
{
    type Response = Response<TaggedBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn call(&self, request: http::Request<B>) -> Self::Future {
        let tag = (self.tag_of)(&request);
        ResponseFuture::begin(tag, || self.inner.call(request))
    }
}

#[cfg(feature = "tower")]
impl<S, C, B, R> tower_service::Service<http::Request<B>> for TaggedService<S, C>
where
    S: tower_service::Service<http::Request<B>, Response = Response<R>>,
    C: Fn(&http::Request<B>) -> Tag,
{
    type Response = Response<TaggedBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let tag = (self.tag_of)(&request);
        ResponseFuture::begin(tag, || self.inner.call(request))
    }
}

/// A tower layer that makes a service a [`TaggedService`].
#[cfg(feature = "tower")]
#[derive(Clone, Copy, Debug)]
pub struct TagLayer<C>(C);

/// A layer that tags requests. `tag_of` returns the tag of a request.
#[cfg(feature = "tower")]
pub fn layer<C>(tag_of: C) -> TagLayer<C> {
    TagLayer(tag_of)
}

#[cfg(feature = "tower")]
impl<S, C: Clone> tower_layer::Layer<S> for TagLayer<C> {
    type Service = TaggedService<S, C>;

    fn layer(&self, inner: S) -> Self::Service {
        service(self.0.clone(), inner)
    }
}
