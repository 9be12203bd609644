//! An archive on a scratch bucket, profiles to push, and what renderers write.

use axum::body::Body;
use axum::http::Request;
use davy_archive::{Archive, ArchiveOptions};
use davy_base::{Clock, Random, Timestamp};
use davy_profile::wire::Writer;
use davy_profile::{Function, Limits, Line, Profile, gzip, pprof};
use davy_render::{RenderOptions, Renderer};
use futures_util::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{Attribute, ObjectStore, ObjectStoreExt};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

pub(crate) const HOUR: Duration = Duration::from_hours(1);
pub(crate) const MINUTE: Duration = Duration::from_mins(1);

/// A stack, its nanoseconds and its labels.
pub(crate) type Sample<'a> = (&'a [&'a str], i64, &'a [(&'a str, &'a str)]);

/// What renderers write, by key.
pub(crate) type Objects = BTreeMap<String, Vec<u8>>;

pub(crate) struct World {
    pub(crate) archive: Archive,
    pub(crate) bucket: Arc<dyn ObjectStore>,
    pub(crate) clock: Clock,
}

/// A manual clock that begins in the middle of yesterday, before the modification times of objects.
pub(crate) fn clock() -> Clock {
    let today = Clock::system().now().floor(HOUR * 24);
    Clock::manual(today.minus(HOUR * 12).plus(MINUTE * 30))
}

impl World {
    pub(crate) fn new() -> Self {
        Self::on(Arc::new(InMemory::new()), &clock())
    }

    pub(crate) fn on(bucket: Arc<dyn ObjectStore>, clock: &Clock) -> Self {
        let options = ArchiveOptions {
            prefix: "davy".to_owned(),
            ..ArchiveOptions::new(bucket)
        };
        Self::with(options, clock)
    }

    pub(crate) fn with(options: ArchiveOptions, clock: &Clock) -> Self {
        let options = ArchiveOptions {
            clock: clock.clone(),
            random: Random::system(),
            flush_interval: Duration::ZERO,
            ..options
        };
        let bucket = Arc::clone(&options.bucket);
        let metrics = prometheus::Registry::new();
        let archive = Archive::new(options, &metrics).expect("fresh registry");
        tokio::spawn(archive.ingest().run(CancellationToken::new()));
        Self {
            archive,
            bucket,
            clock: clock.clone(),
        }
    }

    pub(crate) fn options(&self) -> RenderOptions {
        RenderOptions {
            clock: self.clock.clone(),
            ..RenderOptions::default()
        }
    }

    pub(crate) fn renderer(&self, options: RenderOptions) -> Renderer {
        Renderer::new(&self.archive, options, &prometheus::Registry::new()).expect("fresh registry")
    }

    /// Renders what is due when no more windows arrive, which must succeed, and returns the periods.
    pub(crate) async fn render(&self) -> Vec<String> {
        self.clock.advance(MINUTE * 2);
        self.render_with(&self.renderer(self.options())).await
    }

    /// Renders what is due now.
    pub(crate) async fn render_with(&self, renderer: &Renderer) -> Vec<String> {
        let all = renderer.once().await.expect("a round");
        let period = |of: davy_render::Rendered| {
            assert_eq!(of.error, None, "{}", of.period);
            of.period
        };
        all.into_iter().map(period).collect()
    }

    /// Pushes a CPU profile whose window begins at a time.
    pub(crate) async fn push(
        &self,
        tenant: &str,
        service: &str,
        at: Timestamp,
        samples: &[Sample<'_>],
    ) {
        while !self.archive.ingest().is_accepting() {
            tokio::task::yield_now().await;
        }
        let labels = [("service_name", service), ("__name__", "process_cpu")];
        let request = Request::post("/push.v1.PusherService/Push")
            .header("content-type", "application/proto")
            .header("x-scope-orgid", tenant)
            .body(Body::from(push_request(&labels, &cpu(at, samples))))
            .expect("a request");
        let response = self.archive.ingest_router().oneshot(request).await;
        let response = response.expect("an answer");
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await;
        assert_eq!(status, 200, "{body:?}");
    }

    /// The objects below the folders of graphs and logs.
    pub(crate) async fn written(&self) -> Objects {
        let listed: Vec<_> = self.bucket.list(None).try_collect().await.expect("listed");
        let mut objects = Objects::new();
        for object in listed {
            let key = object.location.to_string();
            if key.contains("/flamegraphs/") || key.contains("/logs/") {
                objects.insert(key, self.read(&object.location).await);
            }
        }
        objects
    }

    async fn read(&self, key: &Path) -> Vec<u8> {
        let got = self.bucket.get(key).await.expect("an object");
        got.bytes().await.expect("its bytes").to_vec()
    }

    pub(crate) async fn text(&self, key: &str) -> String {
        let bytes = self.read(&Path::parse(key).expect("a key")).await;
        String::from_utf8(unpacked(&bytes)).expect("UTF-8")
    }

    /// The media type and the encoding of an object.
    pub(crate) async fn served(&self, key: &str) -> [Option<String>; 2] {
        let got = self.bucket.get(&Path::parse(key).expect("a key")).await;
        let attributes = got.expect("an object").attributes;
        [Attribute::ContentType, Attribute::ContentEncoding]
            .map(|of| attributes.get(&of).map(|value| value.to_string()))
    }

    /// `YYYY-MM-DD/HH` and `YYYY-MM-DD_HH` of a time.
    pub(crate) fn hour(at: Timestamp) -> (String, String) {
        let hour = davy_archive::key::Hour::of(at).to_string();
        (hour.clone(), hour.replace('/', "_"))
    }
}

/// The bytes of an object without gzip.
pub(crate) fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let limits = Limits::default();
    gzip::unpack(bytes, &limits).expect("whole").into_owned()
}

/// Where a link of a page leads to.
pub(crate) fn resolved(page: &str, link: &str) -> String {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The links of a page.
pub(crate) fn links(html: &str) -> Vec<String> {
    let found = html.split("href=\"").skip(1);
    found
        .map(|rest| rest.split_once('"').expect("quoted").0.to_owned())
        .collect()
}

fn push_request(labels: &[(&str, &str)], raw: &[u8]) -> Vec<u8> {
    let mut series = Writer::default();
    for (name, value) in labels {
        let mut pair = Writer::default();
        pair.bytes(1, name.as_bytes());
        pair.bytes(2, value.as_bytes());
        series.bytes(1, pair.as_bytes());
    }
    let mut sample = Writer::default();
    sample.bytes(1, raw);
    series.bytes(2, sample.as_bytes());
    let mut request = Writer::default();
    request.bytes(1, series.as_bytes());
    request.into_bytes()
}

fn cpu(at: Timestamp, samples: &[Sample<'_>]) -> Vec<u8> {
    let mut profile = Profile::new();
    profile.add_sample_type("cpu", "nanoseconds");
    profile.period_type = profile.sample_types[0];
    profile.period = 10_000_000;
    profile.time_nanos = at.nanos();
    profile.duration_nanos = 10_000_000_000;
    for (stack, value, labels) in samples {
        let locations: Vec<u32> = stack
            .iter()
            .map(|name| {
                let name = profile.strings.intern(name);
                let function = profile.function(Function {
                    name,
                    system_name: name,
                    ..Function::default()
                });
                let line = Line {
                    function,
                    ..Line::default()
                };
                profile.location(None, 0, &[line])
            })
            .collect();
        let stack = profile.stack(locations);
        let labels = profile.text_labels(labels);
        profile.add_sample(stack, labels, &[*value]);
    }
    gzip::compress(&pprof::encode(&profile))
}

/// Whether a key has an extension.
pub(crate) fn has_extension(key: &str, extension: &str) -> bool {
    key.rsplit_once('.')
        .is_some_and(|(_, end)| end == extension)
}
