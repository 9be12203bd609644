//! A connection has the tag of the request that it serves.

mod work;

use ::http::{Request, Response};
use davy_tag::http::{Connection, TaggedBody, begin_request, serve, service};
use davy_tag::{Origin, Tag, current, usage};
use http_body::{Body, Frame};
use hyper::service::{Service as _, service_fn};
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use work::burn;

fn millis_of(member: &str, op: &str) -> f64 {
    let tag = Tag::new(member, op);
    let usage = usage().into_iter().find(|usage| usage.tag == tag);
    usage.map_or(0.0, |usage| usage.cpu_nanos as f64 / 1e6)
}

#[track_caller]
fn check(member: &str, op: &str, expected: f64) {
    let found = millis_of(member, op);
    assert!(
        (found - expected).abs() < 1.5,
        "{op}: {found} ms, expected {expected} ms"
    );
}

/// A body of one frame that shows its tag.
#[derive(Debug)]
struct Echo(Option<u64>);

impl Body for Echo {
    type Data = &'static [u8];
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<&'static [u8]>, Infallible>>> {
        let frame = self.0.take().map(|millis| {
            burn(Duration::from_millis(millis));
            Ok(Frame::data(current().op().as_bytes()))
        });
        Poll::Ready(frame)
    }
}

async fn frame<B: Body<Data = &'static [u8], Error = Infallible>>(body: B) -> &'static [u8] {
    let mut body = pin!(body);
    let frame = poll_fn(|context| body.as_mut().poll_frame(context)).await;
    let frame = frame.expect("a frame").expect("infallible");
    frame.into_data().expect("data")
}

/// Polls a future once, as an executor does.
fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

async fn pause() {
    let mut is_first = true;
    poll_fn(|_| {
        if std::mem::take(&mut is_first) {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
}

#[test]
fn connection_work_is_attributed_to_the_request_it_reads_or_answers() {
    davy_tag::start_accounting();
    let tag_of = |request: &Request<String>| Tag::new("served", &request.uri().path()[1..]);
    let service = service(
        tag_of,
        service_fn(async |_: Request<String>| {
            burn(Duration::from_millis(4));
            Ok::<_, Infallible>(Response::new(Echo(Some(2))))
        }),
    );
    let request = |path| {
        Request::builder()
            .uri(path)
            .body(String::new())
            .expect("valid")
    };
    let connection = Connection::new(Tag::new("served", "connection"), async {
        burn(Duration::from_millis(3));
        pause().await;
        for path in ["/first", "/second"] {
            burn(Duration::from_millis(10));
            let read = Origin::of_this_thread();
            let response = service.call(request(path)).await.expect("infallible");
            assert_eq!(read.tag().map(Tag::op), Some(&path[1..]), "read");
            burn(Duration::from_millis(10));
            let body = response.into_body();
            pause().await;
            assert_eq!(current().op(), &path[1..], "writing");
            assert_eq!(frame(body).await, &path.as_bytes()[1..], "body");
            burn(Duration::from_millis(10));
            pause().await;
            assert_eq!(
                Origin::of_this_thread().tag(),
                None,
                "reads the next request"
            );
        }
        burn(Duration::from_millis(5));
    });
    let mut connection = pin!(connection);
    while poll(connection.as_mut()).is_pending() {
        assert!(current().is_untagged());
        burn(Duration::from_millis(20));
    }
    check("served", "connection", 3.0);
    check("served", "first", 36.0);
    // The poll that read nothing more counts for the last request.
    check("served", "second", 36.0 + 5.0);
}

#[test]
fn served_connection_tags_its_requests_and_has_the_tag_of_its_caller_before_them() {
    let requests = Tag::new("shop", "list");
    let serve_one = || {
        let echo = service_fn(async |_: Request<String>| {
            Ok::<_, Infallible>(Response::new(Echo(Some(0))))
        });
        serve(
            move |_: &Request<String>| requests,
            echo,
            async |service| {
                let before = current();
                let response = service.call(Request::new(String::new()));
                let within = current();
                let body = response.await.expect("infallible").into_body();
                assert_eq!(frame(body).await, b"list");
                (before, within)
            },
        )
    };
    let mut alone = pin!(serve_one());
    let connection = Tag::new("http", "connection");
    assert_eq!(poll(alone.as_mut()), Poll::Ready((connection, requests)));
    let caller = Tag::new("shop", "accept");
    let mut called = pin!({
        let _guard = caller.enter();
        serve_one()
    });
    assert_eq!(poll(called.as_mut()), Poll::Ready((caller, requests)));
}

#[test]
fn request_ends_with_its_body_or_with_its_cancelled_response() {
    let tag = Tag::new("ends", "request");
    let connection = Connection::new(Tag::new("ends", "connection"), async {
        let body = TaggedBody::new(tag, begin_request(tag), Echo(None));
        assert_eq!(current(), tag);
        pause().await;
        assert_eq!(current(), tag);
        drop(body);
        pause().await;
        assert_eq!(Origin::of_this_thread().tag(), None);
        let cancelled = service(
            move |_: &Request<String>| tag,
            service_fn(async |_: Request<String>| Ok::<_, Infallible>(Response::new(Echo(None)))),
        );
        let response = cancelled.call(Request::new(String::new()));
        pause().await;
        assert_eq!(current(), tag);
        drop(response);
        pause().await;
        assert_eq!(Origin::of_this_thread().tag(), None);
    });
    let mut connection = pin!(connection);
    while poll(connection.as_mut()).is_pending() {}
}

#[test]
fn request_outside_of_a_connection_tags_its_own_work_only() {
    let tag = Tag::new("alone", "request");
    let layer = davy_tag::http::layer(move |_: &Request<String>| tag);
    let mut service = tower_layer::Layer::layer(&layer, Inner);
    let response = tower_service::Service::call(&mut service, Request::new(String::new()));
    assert!(current().is_untagged());
    let mut served = pin!(async { frame(response.await.expect("infallible").into_body()).await });
    assert_eq!(poll(served.as_mut()), Poll::Ready(&b"request"[..]));
}

struct Inner;

impl tower_service::Service<Request<String>> for Inner {
    type Response = Response<Echo>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<Echo>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<String>) -> Self::Future {
        assert_eq!(current().op(), "request");
        std::future::ready(Ok(Response::new(Echo(Some(0)))))
    }
}
