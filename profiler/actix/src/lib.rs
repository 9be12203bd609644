#![doc = include_str!("../README.md")]

use actix_web::Error;
use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::web::Bytes;
use davy_tag::{Tag, Tagged};
use std::future::{Future, Ready, poll_fn, ready};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The operation of a request that matches no route.
const UNKNOWN: &str = "(unknown)";

/// Middleware that tags requests by their route; see [`tag_by_route`].
#[derive(Clone, Debug)]
pub struct RouteTags {
    member: String,
}

/// Middleware that gives each request the tag of `member` and, as its operation, the pattern of its route. Add it by
/// `App::wrap`, after all other middleware that should be tagged.
pub fn tag_by_route(member: impl Into<String>) -> RouteTags {
    RouteTags {
        member: member.into(),
    }
}

impl<S, B> Transform<S, ServiceRequest> for RouteTags
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    type Response = ServiceResponse<TaggedBody<B>>;
    type Error = Error;
    type Transform = TaggedRoutes<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        ready(Ok(TaggedRoutes {
            member: self.member.clone(),
            inner,
        }))
    }
}

/// A service whose requests have the tags of their routes.
#[derive(Debug)]
pub struct TaggedRoutes<S> {
    member: String,
    inner: S,
}

impl<S, B> Service<ServiceRequest> for TaggedRoutes<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    type Response = ServiceResponse<TaggedBody<B>>;
    type Error = Error;
    type Future = TaggedResponse<S::Future>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let route = request.match_pattern();
        let tag = Tag::new(&self.member, route.as_deref().unwrap_or(UNKNOWN));
        let _guard = tag.enter();
        TaggedResponse {
            inner: Box::pin(tag.wrap(self.inner.call(request))),
        }
    }
}

/// The response of a request with a tag.
#[must_use = "a future does nothing unless it is polled"]
pub struct TaggedResponse<F> {
    inner: Pin<Box<Tagged<F>>>,
}

impl<F, B> Future for TaggedResponse<F>
where
    F: Future<Output = Result<ServiceResponse<B>, Error>>,
{
    type Output = Result<ServiceResponse<TaggedBody<B>>, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let tag = self.inner.tag();
        let response = ready!(self.inner.as_mut().poll(context))?;
        let body = |_: &mut _, inner| TaggedBody {
            tag,
            inner: Box::pin(inner),
        };
        Poll::Ready(Ok(response.map_body(body)))
    }
}

/// The body of a response, which is produced with the tag of its request.
pub struct TaggedBody<B> {
    tag: Tag,
    inner: Pin<Box<B>>,
}

impl<B: MessageBody> MessageBody for TaggedBody<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.inner.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, B::Error>>> {
        let tag = self.tag;
        let inner = &mut self.inner;
        let next = tag.wrap(poll_fn(|context| inner.as_mut().poll_next(context)));
        std::pin::pin!(next).poll(context)
    }
}
