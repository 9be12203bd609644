//! Measures the first view of a profile of a million nodes, from segments that nothing has read yet.
//!
//! `cargo bench -p davy-archive --bench large`. The tree is that of the page's benchmark: 20,000 functions, each node below a
//! random one, most often the newest, at most 100 levels. It is pushed as pprof in parts of 100,000 samples. `NODES` overrides
//! the size. Each run has an archive of its own; `again` is another width of the same selection, from the merged tree.

#[path = "program/cpu.rs"]
mod cpu;

use cpu::cpu;
use davy_archive::ingest::{Format, Push, SampleTypes, WindowIdentity};
use davy_archive::key::Tenant;
use davy_archive::{Archive, ArchiveOptions};
use davy_base::{Clock, Random, Timestamp};
use davy_profile::{Function, LabelSetId, Line, NodeId, Profile, pprof};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// Elapsed time, and CPU time.
type Timing = (Duration, Duration);

const RUNS: usize = 7;
const SAMPLES: usize = 100_000;
const FUNCTIONS: u64 = 20_000;
const LEVELS: u32 = 100;

/// The parent, the level and the function of each node.
fn tree(nodes: usize, random: &mut Random) -> Vec<(u32, u32, u32)> {
    let mut tree = vec![(0u32, 0u32, 0u32)];
    for at in 1..nodes {
        let mut parent = if random.unit() < 0.72 {
            at as u32 - 1
        } else {
            random.below(at as u64) as u32
        };
        while tree[parent as usize].1 >= LEVELS {
            parent = tree[parent as usize].0;
        }
        let function = (random.unit().powi(2) * (FUNCTIONS - 1) as f64) as u32;
        tree.push((parent, tree[parent as usize].1 + 1, function));
    }
    tree
}

/// Profiles of a sample for each node.
fn profiles(nodes: usize, time: Timestamp) -> Vec<Profile> {
    const CRATES: [&str; 6] = ["tokio", "hyper", "davy_archive", "serde_json", "core", "h2"];
    const NOUNS: [&str; 6] = ["Reader", "Service", "Pool", "Decoder", "Frame", "Segment"];
    const VERBS: [&str; 6] = ["poll", "read", "merge", "decode", "flush", "scan"];
    let mut random = Random::seeded(1);
    let tree = tree(nodes, &mut random);
    let pick = |of: &[&'static str; 6], random: &mut Random| of[random.below(6) as usize];
    let names: Vec<(String, String)> = (0..FUNCTIONS)
        .map(|at| {
            let of = pick(&CRATES, &mut random);
            let (noun, verb) = (pick(&NOUNS, &mut random), pick(&VERBS, &mut random));
            let first = pick(&VERBS, &mut random);
            let name = format!("{of}::{first}::{noun}::{verb}_{at}");
            (name, format!("/src/{of}/src/lib.rs"))
        })
        .collect();
    let values: Vec<i64> = (0..nodes)
        .map(|_| (-(1.0 - random.unit()).ln() * 1e7) as i64 + 1)
        .collect();
    let empty = || {
        let mut profile = Profile::new();
        profile.add_sample_type("cpu", "nanoseconds");
        profile.period_type = profile.sample_types[0];
        profile.period = 10_000_000;
        profile.time_nanos = time.nanos();
        profile.duration_nanos = 10_000_000_000;
        let mut locations = Vec::new();
        for (at, (name, file)) in (1..).zip(&names) {
            let name = profile.strings.intern(name);
            let file = profile.strings.intern(file);
            let function = profile.function(Function {
                name,
                file,
                ..Function::default()
            });
            let line = Line {
                function,
                line: at,
                column: 0,
            };
            locations.push(profile.location(None, 0, &[line]));
        }
        (profile, locations)
    };
    let mut all = Vec::new();
    let numbers: Vec<usize> = (1..nodes).collect();
    for part in numbers.chunks(SAMPLES) {
        let (mut profile, locations) = empty();
        for node in part {
            let mut path = Vec::new();
            let mut at = *node;
            while at != 0 {
                path.push(locations[tree[at].2 as usize]);
                at = tree[at].0 as usize;
            }
            let stack = path.iter().rev().fold(NodeId::ROOT, |at, location| {
                profile.stacks.child(at, *location)
            });
            profile.add_sample(stack, LabelSetId(0), &[values[*node]]);
        }
        all.push(profile);
    }
    all
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let nodes = std::env::var("NODES")
        .ok()
        .and_then(|text| text.parse().ok());
    let nodes = nodes.unwrap_or(1_000_000);
    let folder = tempfile::tempdir().expect("a folder");
    let bucket: Arc<dyn ObjectStore> =
        Arc::new(LocalFileSystem::new_with_prefix(folder.path()).expect("a bucket"));
    let clock = Clock::system();
    let options = ArchiveOptions {
        flush_interval: Duration::from_millis(50),
        ..ArchiveOptions::new(bucket)
    };
    let start = clock.now().minus(Duration::from_mins(1));
    let archive = Archive::new(options.clone(), &prometheus::Registry::new()).expect("fresh");
    let drain = CancellationToken::new();
    let flusher = tokio::spawn(archive.ingest().run(drain.clone()));
    while !archive.ingest().is_accepting() {
        tokio::task::yield_now().await;
    }
    let tenant = Tenant::anonymous();
    let mut parts = 0;
    for profile in profiles(nodes, start) {
        let push = Push {
            labels: [
                ("service_name".into(), "big".into()),
                ("__name__".into(), "process_cpu".into()),
            ]
            .into(),
            identity: WindowIdentity::Client(parts.to_string()),
            span: None,
            format: Format::Pprof(SampleTypes::default()),
            body: pprof::encode(&profile).into(),
        };
        let ingest = archive.ingest();
        let pushed = ingest.push(&tenant, vec![(String::new(), push)]);
        pushed.await.expect("pushed");
        parts += 1;
    }
    drain.cancel();
    flusher.await.expect("drained");

    let until = clock.now();
    let mut runs = Vec::new();
    let mut size = 0;
    for _ in 0..RUNS {
        let archive = Archive::new(options.clone(), &prometheus::Registry::new()).expect("fresh");
        let router = archive.query_router();
        let mut run: [Timing; 2] = Default::default();
        for (timing, width) in run.iter_mut().zip([1_600, 1_599]) {
            let (wall, used) = (clock.monotonic(), cpu());
            let path = format!(
                "/api/v1/profiles/flamegraph?type=process_cpu:cpu:nanoseconds:cpu:nanoseconds&selector=%7Bservice_name%3D%22big%22%7D&from={}&until={}&width={width}&max_nodes=20000",
                until.minus(Duration::from_hours(1)).millis(),
                until.millis()
            );
            let request = axum::http::Request::get(path).header("accept-encoding", "gzip");
            let request = request.body(axum::body::Body::empty()).expect("a request");
            let Ok(response) = router.clone().oneshot(request).await;
            let status = response.status();
            let body = axum::body::to_bytes(response.into_body(), usize::MAX).await;
            let body = body.expect("a body");
            assert!(status.is_success(), "{}", String::from_utf8_lossy(&body));
            size = body.len();
            *timing = (
                clock.monotonic().saturating_sub(wall),
                cpu().saturating_sub(used),
            );
        }
        runs.push(run);
    }
    let median = |of: fn(&[Timing; 2]) -> Duration| {
        let mut all: Vec<Duration> = runs.iter().map(of).collect();
        all.sort_unstable();
        all[RUNS / 2].as_secs_f64() * 1e3
    };
    println!(
        "{nodes} nodes in {parts} parts: first {:.0} ms, CPU {:.0} ms; again {:.0} ms; {} KiB",
        median(|run| run[0].0),
        median(|run| run[0].1),
        median(|run| run[1].0),
        size >> 10,
    );
}
