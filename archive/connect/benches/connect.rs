//! Measures what Grafana's query API and OTLP cost beyond Davy's own API.
//!
//! `cargo bench -p davy-connect`. A service pushes an hour of generated profiles (seeded), a window every ten seconds:
//! once as pprof and once as OTLP, with the same samples. Then the hour is queried over gRPC, Connect and `/api/v1`.
//! `WINDOWS` and `SAMPLES` override the size.

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use davy_archive::{Archive, ArchiveOptions};
use davy_base::{Clock, Random};
use davy_profile::wire::Writer;
use davy_profile::{Profile, gzip, pprof};
use http_body_util::BodyExt as _;
use object_store::local::LocalFileSystem;
use program::program;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use window::window;

mod otlp;
#[path = "../../benches/program/mod.rs"]
mod program;
#[path = "../../benches/program/window.rs"]
mod window;

const KIND: &str = "process_cpu:cpu:nanoseconds:cpu:nanoseconds";

/// CPU time of this process.
fn cpu() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is valid for writes of a timespec during the whole call.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn number(name: &str, default: usize) -> usize {
    let text = std::env::var(name).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// The length of the response.
async fn send(app: &Router, request: Request<Body>) -> usize {
    let response = app.clone().oneshot(request).await.expect("infallible");
    let status = response.status();
    let body = response.into_body().collect().await.expect("a body");
    let trailers = body.trailers().cloned();
    let body = body.to_bytes();
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    let grpc = trailers.and_then(|of| of.get("grpc-status").cloned());
    assert!(grpc.is_none_or(|code| code == "0"));
    body.len()
}

/// A request of the Push API with a profile.
fn pushed(profile: &Profile) -> Vec<u8> {
    let mut series = Writer::default();
    for (name, value) in [("service_name", "pprof"), ("__name__", "process_cpu")] {
        let mut pair = Writer::default();
        pair.bytes(1, name.as_bytes());
        pair.bytes(2, value.as_bytes());
        series.bytes(1, pair.as_bytes());
    }
    let mut sample = Writer::default();
    sample.bytes(1, &gzip::compress(&pprof::encode(profile)));
    series.bytes(2, sample.as_bytes());
    let mut request = Writer::default();
    request.bytes(1, series.as_bytes());
    request.into_bytes()
}

/// An archive in a folder.
struct World {
    app: Router,
    _folder: tempfile::TempDir,
    flusher: tokio::task::JoinHandle<()>,
    drain: CancellationToken,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let bucket = LocalFileSystem::new_with_prefix(folder.path()).expect("a bucket");
        let options = ArchiveOptions {
            flush_interval: Duration::from_millis(500),
            ..ArchiveOptions::new(Arc::new(bucket))
        };
        let archive = Archive::new(options, &prometheus::Registry::new()).expect("fresh");
        let drain = CancellationToken::new();
        let flusher = tokio::spawn(archive.ingest().run(drain.clone()));
        while !archive.ingest().is_accepting() {
            tokio::task::yield_now().await;
        }
        let app = archive
            .ingest_router()
            .merge(archive.query_router())
            .merge(davy_connect::router(&archive))
            .merge(davy_connect::otlp_router(&archive));
        Self {
            app,
            _folder: folder,
            flusher,
            drain,
        }
    }

    /// CPU seconds to ingest these requests.
    async fn ingest(&self, path: &str, media: &str, gzipped: bool, bodies: &[Vec<u8>]) -> f64 {
        let before = cpu();
        let sends = bodies.iter().map(|body| {
            let mut request = Request::post(path).header("content-type", media);
            if gzipped {
                request = request.header("content-encoding", "gzip");
            }
            send(
                &self.app,
                request.body(Body::from(body.clone())).expect("a request"),
            )
        });
        futures_util::future::join_all(sends).await;
        cpu().saturating_sub(before).as_secs_f64()
    }

    /// The median of the CPU milliseconds that a query takes when objects are cached, and the length of the response.
    async fn query(&self, request: impl Fn() -> Request<Body>) -> (f64, usize) {
        let length = send(&self.app, request()).await;
        let mut times = Vec::new();
        for _ in 0..9 {
            let before = cpu();
            send(&self.app, request()).await;
            times.push(cpu().saturating_sub(before).as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        (times[4], length)
    }
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let (windows, samples) = (number("WINDOWS", 360), number("SAMPLES", 700));
    let start = Clock::system()
        .now()
        .floor(Duration::from_hours(1))
        .minus(Duration::from_hours(1));
    let mut random = Random::seeded(7);
    let program = program(0, &mut random);
    let profiles: Vec<Profile> = (0..windows)
        .map(|at| {
            let time = start.plus(Duration::from_secs(at as u64 * 3_600 / windows as u64));
            window(&program, samples, time, &mut random)
        })
        .collect();
    let pprofs: Vec<Vec<u8>> = profiles.iter().map(pushed).collect();
    let otlp: Vec<Vec<u8>> = profiles
        .iter()
        .map(|profile| gzip::compress(&otlp::request(profile, "otlp")))
        .collect();
    drop(profiles);
    let size = |bodies: &[Vec<u8>]| bodies.iter().map(Vec::len).sum::<usize>() as f64 / 1e6;
    println!(
        "{windows} profiles: pprof {:.1} MB, OTLP {:.1} MB",
        size(&pprofs),
        size(&otlp)
    );
    let mut of_pprof = Vec::new();
    let mut of_otlp = Vec::new();
    let mut world = World::new().await;
    for round in 0..5 {
        if round > 0 {
            world.drain.cancel();
            (&mut world.flusher).await.expect("drained");
            world = World::new().await;
        }
        let path = "/push.v1.PusherService/Push";
        of_pprof.push(
            world
                .ingest(path, "application/proto", false, &pprofs)
                .await,
        );
        let path = "/v1development/profiles";
        of_otlp.push(
            world
                .ingest(path, "application/x-protobuf", true, &otlp)
                .await,
        );
    }
    let mut ratios: Vec<f64> = of_pprof.iter().zip(&of_otlp).map(|(a, b)| b / a).collect();
    for all in [&mut of_pprof, &mut of_otlp, &mut ratios] {
        all.sort_by(f64::total_cmp);
    }
    println!(
        "ingest of the same samples: pprof {:.3} s, OTLP {:.3} s CPU = {:.2} x",
        of_pprof[2], of_otlp[2], ratios[2]
    );

    let (from, until) = (start.millis(), start.plus(Duration::from_hours(1)).millis());
    queries(&world, from, until).await;
}

async fn queries(world: &World, from: i64, until: i64) {
    let selector = "{service_name=\"pprof\"}";
    let escaped = selector
        .replace('{', "%7B")
        .replace('}', "%7D")
        .replace('"', "%22");
    let own = |view: &str| {
        let uri = format!(
            "/api/v1/profiles/{view}type={KIND}&selector={escaped}&from={from}&until={until}"
        );
        move || Request::get(&uri).body(Body::empty()).expect("a request")
    };
    let mut message = Writer::default();
    message.bytes(1, KIND.as_bytes());
    message.bytes(2, selector.as_bytes());
    message.number(3, from as u64);
    message.number(4, until as u64);
    let plain = message.as_bytes().to_vec();
    message.number(5, 16_384);
    let limited = message.into_bytes();
    let call = |method: &str, media: &'static str, body: &[u8]| {
        let uri = format!("/querier.v1.QuerierService/{method}");
        let body = body.to_vec();
        move || {
            let request = Request::post(&uri).header("content-type", media);
            request.body(Body::from(body.clone())).expect("a request")
        }
    };
    println!(
        "{:<50} {:>10} {:>12}",
        "one service, one hour, warm", "CPU, ms", "bytes"
    );
    let proto = "application/proto";
    let rows: [(&str, (f64, usize)); 4] = [
        (
            "/api/v1/profiles/flamegraph, 16,384 nodes",
            world.query(own("flamegraph?max_nodes=16384&")).await,
        ),
        (
            "SelectMergeStacktraces, 16,384 nodes",
            world
                .query(call("SelectMergeStacktraces", proto, &limited))
                .await,
        ),
        ("/api/v1/profiles/pprof", world.query(own("pprof?")).await),
        (
            "SelectMergeProfile",
            world.query(call("SelectMergeProfile", proto, &plain)).await,
        ),
    ];
    for (name, (time, length)) in rows {
        println!("{name:<50} {time:>10.1} {length:>12}");
    }
}
