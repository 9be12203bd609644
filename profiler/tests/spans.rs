//! A server with spans of `tracing`: the samples of a request carry the ids of its trace and span.
#![cfg(target_os = "linux")]

mod archiver;
mod work;

use archiver::Archiver;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::{Router, routing::get};
use davy_profile::Profile;
use davy_profiler::Builder;
use davy_tag::SpanIds;
use davy_tag::tracing::SpanLayer;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use tracing::{Instrument as _, info_span};
use tracing_subscriber::layer::SubscriberExt as _;
use work::{burn, label, stack};

/// CPU time of a request.
const REQUEST: Duration = Duration::from_millis(400);
const TRACES: [(&str, &str); 2] = [
    ("encode", "4bf92f3577b34da6a3ce929d0e0e4736"),
    ("parse", "0af7651916cd43dd8448eb211c80319c"),
];

#[inline(never)]
fn encode() -> String {
    burn(REQUEST);
    format!("{:016x}", SpanIds::current().span)
}

#[inline(never)]
fn parse() -> String {
    burn(REQUEST);
    format!("{:016x}", SpanIds::current().span)
}

/// Runs each request in a span, with the trace that its caller states.
async fn in_span(request: Request, next: Next) -> Response {
    let header = request.headers().get("traceparent");
    let trace_id = header.and_then(|value| value.to_str().ok()?.split('-').nth(1));
    let span = info_span!("request", trace_id = trace_id.unwrap_or_default());
    next.run(request).instrument(span).await
}

/// The body of the response: the id of the request's span.
fn call(address: SocketAddr, path: &str, trace: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    let request = format!(
        "GET /{path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ntraceparent: 00-{trace}-00f067aa0ba902b7-01\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("sent");
    let mut response = String::new();
    stream.read_to_string(&mut response).expect("a response");
    let body = response.split("\r\n\r\n").nth(1);
    body.expect("a body").to_owned()
}

/// The nanoseconds of samples of a trace, and whether all of them are of a span and go through a function.
fn of_trace(profile: &Profile, trace: &str, span: &str, function: &str) -> (i64, bool) {
    let samples = (0..profile.sample_count()).filter(|at| label(profile, *at, "trace_id") == trace);
    let mut nanos = 0;
    let mut is_pure = true;
    for at in samples {
        nanos += profile.values(at)[0];
        let names = stack(profile, at).join("<");
        let is_of_function = names.contains(&format!("spans::{function}"));
        // What a request does around its handler is little.
        is_pure &= is_of_function || !names.contains("work::burn");
        is_pure &= label(profile, at, "span_id") == span;
    }
    (nanos, is_pure)
}

#[test]
fn samples_of_a_request_carry_its_trace() {
    let subscriber = tracing_subscriber::registry().with(SpanLayer::new());
    tracing::subscriber::set_global_default(subscriber).expect("the only one");
    let archiver = Archiver::start();
    let profiler = Builder::new("test")
        .hz(200)
        .archiver(archiver.url())
        .start()
        .expect("SIGPROF is free");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let router = Router::new()
        .route("/encode", get(async || encode()))
        .route("/parse", get(async || parse()))
        .layer(from_fn(in_span));
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
    let listener = listener.expect("a port");
    let address = listener.local_addr().expect("bound");
    runtime.spawn(async move { axum::serve(listener, router).await });
    // Names are known, and the threads are sampled, after the first requests.
    for _ in 0..2 {
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| call(address, "parse", TRACES[1].1));
            }
        });
    }
    let handle = profiler.handle();
    std::thread::scope(|scope| {
        let collected = scope.spawn(move || {
            let span = Duration::from_secs(5);
            handle.cpu_profile(span, &davy_profiler::Filter::default())
        });
        let spans = TRACES.map(|(path, trace)| {
            let calls = scope.spawn(move || call(address, path, trace));
            calls.join().expect("no panic")
        });
        let profile = collected.join().expect("no panic").expect("a profile");
        for ((function, trace), span) in TRACES.into_iter().zip(&spans) {
            let (nanos, is_pure) = of_trace(&profile, trace, span, function);
            let millis = nanos / 1_000_000;
            assert!(is_pure, "{function}: samples of another span");
            assert!((200..=600).contains(&millis), "{function}: {millis} ms");
        }
        assert_ne!(spans[0], spans[1]);
    });
    // What is pushed has the labels, too.
    profiler
        .shutdown(Duration::from_secs(20))
        .expect("everything is delivered");
    let pushed = archiver.all().into_iter();
    let cpu = pushed.filter(|push| push.label("__name__") == "process_cpu");
    let millis: i64 = cpu
        .map(|push| {
            let profile = &push.profile;
            let samples = (0..profile.sample_count())
                .filter(|at| label(profile, *at, "trace_id") == TRACES[0].1);
            samples.map(|at| profile.values(at)[0]).sum::<i64>() / 1_000_000
        })
        .sum();
    assert!((200..=600).contains(&millis), "{millis} ms");
}
