//! An archive with profiles, and calls of its query API.
#![allow(clippy::type_complexity, reason = "stacks are written as literals")]

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use davy_archive::{Archive, ArchiveOptions};
use davy_base::{Clock, Random};
use davy_profile::wire::Writer;
use davy_profile::{Limits, Profile, gzip, pprof};
use http_body_util::BodyExt as _;
use object_store::memory::InMemory;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

pub(crate) const CPU: &str = "process_cpu:cpu:nanoseconds:cpu:nanoseconds";
pub(crate) const HEAP: &str = "memory:inuse_space:bytes:space:bytes";

pub(crate) struct World {
    pub(crate) archive: Archive,
    pub(crate) clock: Clock,
}

/// A sample: a stack, its value and its labels.
pub(crate) type Sample<'a> = (&'a [&'a str], i64, &'a [(&'a str, &'a str)]);

impl World {
    /// An empty archive, whose clock is in the middle of an hour.
    pub(crate) fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    /// An empty archive with these limits of profiles.
    pub(crate) fn with_limits(profile: Limits) -> Self {
        let now = Clock::system().now();
        let hour = now.floor(Duration::from_hours(1));
        let clock = Clock::manual(hour.plus(Duration::from_mins(30)));
        let options = ArchiveOptions {
            clock: clock.clone(),
            random: Random::seeded(1),
            flush_interval: Duration::ZERO,
            profile,
            ..ArchiveOptions::new(Arc::new(InMemory::new()))
        };
        let metrics = prometheus::Registry::new();
        let archive = Archive::new(options, &metrics).expect("fresh registry");
        tokio::spawn(archive.ingest().run(CancellationToken::new()));
        Self { archive, clock }
    }

    /// An archive with two services, of which one has two instances, two windows of CPU time and heap, and spans.
    pub(crate) async fn filled() -> Self {
        let world = Self::new();
        for minute in [10, 5] {
            for instance in ["a", "b"] {
                let labels = [("service_name", "web"), ("instance", instance)];
                let samples: &[Sample<'_>] = &[
                    (&["main", "serve", "encode"], 3_000, &[("op", "Get")]),
                    (&["main", "serve"], 1_000, &[("op", "Get")]),
                    (
                        &["main", "serve", "parse"],
                        500,
                        &[("op", "Put"), ("span_id", "00f067aa0ba902b7")],
                    ),
                    (&["main", "gc"], 250, &[]),
                ];
                world.push("anonymous", &labels, CPU, minute, samples).await;
                let heap: &[Sample<'_>] = &[
                    (&["main", "cache"], 100 * minute, &[]),
                    (&["main", "serve"], 10, &[]),
                ];
                world.push("anonymous", &labels, HEAP, minute, heap).await;
            }
        }
        let other: &[Sample<'_>] = &[(&["start", "work"], 7_000, &[])];
        world
            .push("anonymous", &[("service_name", "api")], CPU, 4, other)
            .await;
        let secret: &[Sample<'_>] = &[(&["secret"], 9, &[("secret_label", "secret")])];
        world
            .push("other", &[("service_name", "secret")], CPU, 4, secret)
            .await;
        world
    }

    /// Pushes a window of ten seconds that began some minutes ago.
    pub(crate) async fn push(
        &self,
        tenant: &str,
        labels: &[(&str, &str)],
        kind: &str,
        minutes: i64,
        samples: &[Sample<'_>],
    ) {
        let parts: Vec<&str> = kind.split(':').collect();
        let mut profile = Profile::new();
        profile.add_sample_type(parts[1], parts[2]);
        profile.period_type.kind = profile.strings.intern(parts[3]);
        profile.period_type.unit = profile.strings.intern(parts[4]);
        profile.period = 10_000_000;
        profile.time_nanos = self.clock.now().nanos() - minutes * 60_000_000_000;
        profile.duration_nanos = 10_000_000_000;
        for (stack, value, labels) in samples {
            let locations: Vec<u32> = stack
                .iter()
                .map(|name| profile.named_location(name))
                .collect();
            let stack = profile.stack(locations);
            let labels = profile.text_labels(labels);
            profile.add_sample(stack, labels, &[*value]);
        }
        let mut series = Writer::default();
        for (name, value) in labels.iter().chain(&[("__name__", parts[0])]) {
            let mut pair = Writer::default();
            pair.bytes(1, name.as_bytes());
            pair.bytes(2, value.as_bytes());
            series.bytes(1, pair.as_bytes());
        }
        let mut sample = Writer::default();
        sample.bytes(1, &gzip::compress(&pprof::encode(&profile)));
        series.bytes(2, sample.as_bytes());
        let mut request = Writer::default();
        request.bytes(1, series.as_bytes());
        let request = Request::post("/push.v1.PusherService/Push")
            .header("content-type", "application/proto")
            .header("x-scope-orgid", tenant)
            .body(Body::from(request.into_bytes()))
            .expect("a request");
        let (status, _, body) = self.exchange(request).await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    }

    /// Waits until pushes are accepted.
    pub(crate) async fn accepting(&self) {
        while !self.archive.ingest().is_accepting() {
            tokio::task::yield_now().await;
        }
    }

    /// The routes of the archive.
    pub(crate) fn app(&self) -> Router {
        let query = self.archive.query_router();
        let app = self.archive.ingest_router().merge(query);
        app.merge(davy_connect::router(&self.archive))
            .merge(davy_connect::otlp_router(&self.archive))
    }

    pub(crate) async fn exchange(
        &self,
        request: Request<Body>,
    ) -> (StatusCode, HeaderMap, Vec<u8>) {
        self.accepting().await;
        let response = self.app().oneshot(request).await;
        let (parts, body) = response.expect("routers do not fail").into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        (parts.status, parts.headers, body.to_vec())
    }

    /// Calls a method over Connect with JSON.
    pub(crate) async fn call(&self, tenant: &str, method: &str, request: &Value) -> (u16, Value) {
        let request = Request::post(format!("/querier.v1.QuerierService/{method}"))
            .header("content-type", "application/json")
            .header("x-scope-orgid", tenant)
            .body(Body::from(request.to_string()))
            .expect("a request");
        let (status, _, body) = self.exchange(request).await;
        let text = String::from_utf8_lossy(&body).into_owned();
        let body = serde_json::from_str(&text);
        (status.as_u16(), body.unwrap_or(Value::String(text)))
    }

    /// The answer of a method.
    pub(crate) async fn ask(&self, method: &str, request: Value) -> Value {
        let (status, body) = self.call("anonymous", method, &request).await;
        assert_eq!(status, 200, "{method} {request}: {body}");
        body
    }

    /// The fields of a range from two hours ago until now, and `more`.
    pub(crate) fn over(&self, more: Value) -> Value {
        let now = self.clock.now().millis();
        let mut request = json!({ "start": (now - 7_200_000).to_string(), "end": now });
        let fields = request.as_object_mut().expect("an object");
        fields.extend(more.as_object().expect("an object").clone());
        request
    }

    /// The answer of `/api/v1/profiles/...` in the same range.
    pub(crate) async fn api(&self, path: &str) -> Value {
        let now = self.clock.now().millis();
        let from = now - 7_200_000;
        let request = Request::get(format!("/api/v1/profiles/{path}&from={from}&until={now}"))
            .header("accept", "application/json")
            .body(Body::empty())
            .expect("a request");
        let (status, _, body) = self.exchange(request).await;
        let text = String::from_utf8_lossy(&body);
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).expect("JSON")
    }
}

/// A number that JSON has as text.
#[track_caller]
pub(crate) fn int(value: &Value) -> i64 {
    let text = value.as_str().expect("a number as text");
    text.parse().expect("a number")
}

/// The bars of a flame graph: level, start, total, own value and name, of one side of `sides`.
pub(crate) fn bars(
    graph: &Value,
    sides: usize,
    side: usize,
) -> Vec<(usize, i64, i64, i64, String)> {
    let mut bars = Vec::new();
    for (depth, level) in graph["levels"]
        .as_array()
        .expect("levels")
        .iter()
        .enumerate()
    {
        let values: Vec<i64> = match &level["values"] {
            Value::Null => level.as_array().map_or_else(Vec::new, |of| {
                of.iter()
                    .map(|value| value.as_i64().expect("a number"))
                    .collect()
            }),
            values => values.as_array().expect("values").iter().map(int).collect(),
        };
        let mut end = 0;
        for bar in values.chunks_exact(3 * sides + 1) {
            let [distance, total, own] = [0, 1, 2].map(|at| bar[3 * side + at]);
            let start = end + distance;
            end = start + total;
            let name = &graph["names"][bar[3 * sides] as usize];
            bars.push((
                depth,
                start,
                total,
                own,
                name.as_str().expect("a name").to_owned(),
            ));
        }
    }
    bars
}
