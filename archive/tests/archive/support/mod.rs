//! An archive on a scratch bucket, and profiles to push.
#![allow(clippy::type_complexity, reason = "stacks are written as literals")]

pub(crate) mod drawn;
pub(crate) mod gate;
pub(crate) mod hooked;
pub(crate) mod requests;
pub(crate) mod symbols;

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use davy_archive::{Archive, ArchiveOptions};
use davy_base::{Clock, Random};
use davy_profile::wire::Writer;
use davy_profile::{Function, Line, Profile, gzip, pprof};
use http_body_util::BodyExt;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

pub(crate) const CPU: &str = "process_cpu:cpu:nanoseconds:cpu:nanoseconds";
pub(crate) const LIVE: &str = "memory:inuse_space:bytes:space:bytes";

pub(crate) struct World {
    pub(crate) archive: Archive,
    pub(crate) bucket: Arc<dyn ObjectStore>,
    pub(crate) metrics: prometheus::Registry,
    pub(crate) clock: Clock,
    pub(crate) drain: CancellationToken,
}

/// A manual clock in the middle of the current hour of the system's clock, so that the modification
/// times of objects match it.
pub(crate) fn clock() -> Clock {
    let now = Clock::system().now();
    Clock::manual(
        now.floor(Duration::from_hours(1))
            .plus(Duration::from_mins(30)),
    )
}

pub(crate) fn options(bucket: Arc<dyn ObjectStore>, clock: &Clock) -> ArchiveOptions {
    ArchiveOptions {
        prefix: "davy".to_owned(),
        clock: clock.clone(),
        random: Random::system(),
        flush_interval: Duration::ZERO,
        ..ArchiveOptions::new(bucket)
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::on(Arc::new(InMemory::new()), &clock())
    }

    pub(crate) fn on(bucket: Arc<dyn ObjectStore>, clock: &Clock) -> Self {
        Self::with(options(bucket, clock))
    }

    pub(crate) fn with(options: ArchiveOptions) -> Self {
        let (bucket, clock) = (Arc::clone(&options.bucket), options.clock.clone());
        let metrics = prometheus::Registry::new();
        let archive = Archive::new(options, &metrics).expect("fresh registry");
        let drain = CancellationToken::new();
        tokio::spawn(archive.ingest().run(drain.clone()));
        Self {
            archive,
            bucket,
            metrics,
            clock,
            drain,
        }
    }

    pub(crate) async fn call(&self, request: Request<Body>) -> (StatusCode, Vec<u8>) {
        let (status, _, body) = self.exchange(request).await;
        (status, body)
    }

    pub(crate) async fn exchange(
        &self,
        request: Request<Body>,
    ) -> (StatusCode, HeaderMap, Vec<u8>) {
        while !self.archive.ingest().is_accepting() && !self.drain.is_cancelled() {
            tokio::task::yield_now().await;
        }
        let app = self
            .archive
            .ingest_router()
            .merge(self.archive.query_router());
        let response = app.oneshot(request).await.expect("routers do not fail");
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response
            .into_body()
            .collect()
            .await
            .expect("whole")
            .to_bytes()
            .to_vec();
        (status, headers, body)
    }

    pub(crate) async fn push(
        &self,
        tenant: &str,
        labels: &[(&str, &str)],
        id: &str,
        raw: &[u8],
    ) -> (StatusCode, String) {
        let request = Request::post("/push.v1.PusherService/Push")
            .header("content-type", "application/proto")
            .header("x-scope-orgid", tenant)
            .body(Body::from(push_request(labels, id, raw)))
            .expect("a request");
        let (status, body) = self.call(request).await;
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    pub(crate) async fn get_as(&self, tenant: &str, path: &str) -> (StatusCode, Vec<u8>) {
        let request = Request::get(path)
            .header("x-scope-orgid", tenant)
            .header("accept", "application/json")
            .body(Body::empty())
            .expect("a request");
        self.call(request).await
    }

    pub(crate) async fn json(&self, path: &str) -> serde_json::Value {
        let (status, body) = self.get_as("anonymous", path).await;
        assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).expect("JSON")
    }

    pub(crate) async fn folded(&self, rest: &str) -> String {
        let (status, body) = self
            .get_as(
                "anonymous",
                &format!("/api/v1/profiles/folded?{}", self.range(rest)),
            )
            .await;
        assert_eq!(status, 200, "{rest}: {}", String::from_utf8_lossy(&body));
        let mut lines: Vec<&str> = std::str::from_utf8(&body).expect("text").lines().collect();
        lines.sort_unstable();
        lines.join("\n")
    }

    /// Requests to the bucket so far.
    pub(crate) fn bucket_requests(&self) -> f64 {
        self.counted("davy_archive_bucket_requests_total", &[]) as f64
    }

    /// The sum of a counter over all metrics with these labels.
    pub(crate) fn counted(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let families = self.metrics.gather();
        let family = families.iter().filter(|family| family.name() == name);
        let metrics = family.flat_map(prometheus::proto::MetricFamily::get_metric);
        let matching = metrics.filter(|metric| {
            let has = |(name, value): &(&str, &str)| {
                let pairs = metric.get_label().iter();
                pairs
                    .clone()
                    .any(|pair| pair.name() == *name && pair.value() == *value)
            };
            labels.iter().all(has)
        });
        matching
            .map(|metric| metric.get_counter().get_value() as u64)
            .sum()
    }

    /// Parameters of a range from two hours before the clock's time to ten minutes after it, and `rest`.
    pub(crate) fn range(&self, rest: &str) -> String {
        let now = self.clock.now().millis();
        format!("from={}&until={}&{rest}", now - 7_200_000, now + 600_000)
    }

    pub(crate) async fn keys(&self) -> Vec<String> {
        use futures_util::TryStreamExt;
        let mut keys: Vec<String> = self
            .bucket
            .list(None)
            .map_ok(|object| object.location.to_string())
            .try_collect()
            .await
            .expect("listing");
        keys.sort();
        keys
    }
}

pub(crate) fn push_request(labels: &[(&str, &str)], id: &str, raw: &[u8]) -> Vec<u8> {
    let mut series = Writer::default();
    for (name, value) in labels {
        let mut pair = Writer::default();
        pair.bytes(1, name.as_bytes());
        pair.bytes(2, value.as_bytes());
        series.bytes(1, pair.as_bytes());
    }
    let mut sample = Writer::default();
    sample.bytes(1, raw);
    sample.bytes(2, id.as_bytes());
    series.bytes(2, sample.as_bytes());
    let mut request = Writer::default();
    request.bytes(1, series.as_bytes());
    request.into_bytes()
}

/// A CPU profile from stacks with nanoseconds and labels.
pub(crate) fn cpu(clock: &Clock, samples: &[(&[&str], i64, &[(&str, &str)])]) -> Vec<u8> {
    profile(
        clock,
        ("cpu", "nanoseconds"),
        ("cpu", "nanoseconds"),
        samples,
    )
}

pub(crate) fn profile(
    clock: &Clock,
    kind: (&str, &str),
    period: (&str, &str),
    samples: &[(&[&str], i64, &[(&str, &str)])],
) -> Vec<u8> {
    let mut profile = Profile::new();
    profile.add_sample_type(kind.0, kind.1);
    profile.period_type.kind = profile.strings.intern(period.0);
    profile.period_type.unit = profile.strings.intern(period.1);
    profile.period = 10_000_000;
    profile.time_nanos = clock.now().nanos();
    profile.duration_nanos = 10_000_000_000;
    for (stack, value, labels) in samples {
        let locations: Vec<u32> = stack
            .iter()
            .enumerate()
            .map(|(depth, name)| {
                let id = profile.strings.intern(name);
                let file = profile.strings.intern("main.rs");
                let function = profile.function(Function {
                    name: id,
                    system_name: id,
                    file,
                    start_line: 7,
                });
                profile.location(
                    None,
                    0,
                    &[Line {
                        function,
                        line: 10 + depth as i64,
                        column: 0,
                    }],
                )
            })
            .collect();
        let stack = profile.stack(locations);
        let labels = profile.text_labels(labels);
        profile.add_sample(stack, labels, &[*value]);
    }
    gzip::compress(&pprof::encode(&profile))
}

pub(crate) const WEB: &[(&str, &str)] = &[("service_name", "web"), ("__name__", "process_cpu")];
