//! Measures queries over hours, days and years of generated blocks, with the requests that they cost.
//!
//! `cargo bench -p davy-archive --bench queries`. The blocks are written directly: those of pushed windows would take
//! hours. `SERVICES`, `HOURS`, `DAYS` and `SETS` override the size; `-- --quick` has 60 days and 2,000 label sets.

use cpu::cpu;
use davy_archive::format::batch::{Batch, Frame, FunctionTexts, Row, Series, Window};
use davy_archive::format::block::{BlockWriter, HourMeta, Written};
use davy_archive::key::{Day, Hour, Keys, META, Period, SEGMENTS, Tenant};
use davy_archive::labels::Labels;
use davy_archive::{Archive, ArchiveOptions};
use davy_base::{Clock, Random, Timestamp};
use davy_profile::{Mapping, NodeId};
use object_store::local::LocalFileSystem;
use object_store::{ObjectStore, ObjectStoreExt};
use program::{Program, program};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tower::ServiceExt;

#[path = "program/cpu.rs"]
mod cpu;
mod program;

const KIND: &str = "process_cpu:cpu:nanoseconds:cpu:nanoseconds";
/// Windows of a service in an hour.
const WINDOWS: u32 = 360;

fn number(name: &str, default: usize) -> usize {
    let text = std::env::var(name).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Resident memory in MiB.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|of| of.trim().strip_suffix(" kB")?.trim().parse().ok());
    kibibytes.unwrap_or(0u64) >> 10
}

/// Fills a block with a service: each stack is in a few of the windows.
fn fill(batch: &mut Batch, program: &Program, service: usize, starts: &[i64], random: &mut Random) {
    let labels = |pairs: &[(&str, &str)]| {
        let pairs = pairs
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        Arc::new(Labels::from_pairs(pairs))
    };
    let name = format!("service-{service}");
    let source = batch.source(&labels(&[("service_name", &name)]));
    let series = batch.one_series(Series {
        source,
        kind: KIND.into(),
        labels: labels(&[("member", "api")]),
        header: Arc::default(),
    });
    let windows: Vec<u32> = starts
        .iter()
        .map(|start| {
            let window = Window {
                source,
                id: random.next_u128(),
                start_ms: *start,
                duration_ms: 10_000,
                time_nanos: start * 1_000_000,
                duration_nanos: 10_000_000_000,
                count: 1,
            };
            batch.window(window).expect("a new window")
        })
        .collect();
    let file = batch.strings.intern("/usr/bin/service");
    let build_id = batch.strings.intern(&format!("4f6d1c2b9a8e7d{service:02}"));
    let mapping = batch.mappings.number(Mapping {
        limit: 1 << 30,
        file,
        build_id,
        ..Mapping::default()
    });
    for stack in &program.stacks {
        let mut at = NodeId::ROOT;
        for (function, line) in stack {
            let index = batch.function(FunctionTexts {
                name: &program.names[*function as usize],
                file: &format!("/src/service/module_{}.rs", function / 40),
                ..FunctionTexts::default()
            });
            let frame = batch.frame(Frame {
                function: index,
                line: *line,
                mapping,
                address: u64::from(*function) * 2_048 + u64::from(*line) * 16,
                ..Frame::default()
            });
            at = batch.stacks.child(at, frame);
        }
        for _ in 0..=random.below(2) {
            batch.rows.push(Row {
                series,
                node: at.0,
                window: windows[random.below(windows.len() as u64) as usize],
                value: 10_000_000 * (1 + random.below(9) as i64),
            });
        }
    }
}

struct World {
    bucket: Arc<dyn ObjectStore>,
    keys: Keys,
    tenant: Tenant,
}

impl World {
    async fn put(&self, period: Period, written: Written) {
        let Written { name, files, meta } = written;
        let key = |file: &str| self.keys.block(&self.tenant, period, &name, file);
        let mut objects: Vec<(String, bytes::Bytes)> = files
            .into_iter()
            .map(|(table, bytes)| (table.file(), bytes))
            .collect();
        if matches!(period, Period::Day(_)) {
            objects.push((SEGMENTS.to_owned(), "{}".into()));
        }
        let text = serde_json::to_vec(&meta).expect("JSON");
        objects.push((META.to_owned(), text.into()));
        for (file, bytes) in objects {
            let put = self.bucket.put(&key(&file), bytes.into()).await;
            put.expect("written");
        }
    }

    /// An hour block of services.
    async fn hour(&self, hour: Hour, programs: &[Program], random: &mut Random) {
        let mut writer =
            BlockWriter::new("bench", vec![random.next_u128().to_string()]).expect("a writer");
        let start = hour.start().millis();
        let starts: Vec<i64> = (0..i64::from(WINDOWS))
            .map(|at| start + at * 10_000)
            .collect();
        for (service, program) in programs.iter().enumerate() {
            let mut batch = Batch::new();
            fill(&mut batch, program, service, &starts, random);
            writer.group(batch).expect("a row group");
        }
        let segments = vec![ulid::Ulid(random.next_u128()).to_string()];
        let written = writer.finish(segments).expect("a block");
        self.put(hour.into(), written).await;
    }

    /// A day block of one service.
    async fn day(&self, day: Day, program: &Program, random: &mut Random) {
        let mut writer =
            BlockWriter::new("bench", vec![random.next_u128().to_string()]).expect("a writer");
        let starts: Vec<i64> = day.hours().map(|hour| hour.start().millis()).collect();
        let mut batch = Batch::new();
        fill(&mut batch, program, 0, &starts, random);
        writer.group(batch).expect("a row group");
        let mut written = writer.finish(vec![]).expect("a block");
        written.meta.hours = day
            .hours()
            .map(|hour| {
                let blocks = vec![format!("{:032x}", random.next_u128())];
                let held = HourMeta {
                    segments: 1,
                    blocks,
                };
                (hour.to_string(), held)
            })
            .collect();
        self.put(day.into(), written).await;
    }

    /// An hour of one service with many label sets, each of which has a few stacks in two windows.
    async fn label_sets(&self, hour: Hour, sets: usize, program: &Program, random: &mut Random) {
        let mut writer =
            BlockWriter::new("bench", vec![random.next_u128().to_string()]).expect("a writer");
        let start = hour.start().millis();
        let starts: Vec<i64> = (0..i64::from(WINDOWS))
            .map(|at| start + at * 10_000)
            .collect();
        let mut batch = Batch::new();
        fill(&mut batch, program, 0, &starts, random);
        let nodes = batch.stacks.len() as u64;
        for set in 0..sets {
            let pair = ("endpoint".to_owned(), format!("/v1/object/{set}"));
            let series = batch.one_series(Series {
                source: 0,
                kind: KIND.into(),
                labels: Arc::new(Labels::from_pairs([pair])),
                header: Arc::default(),
            });
            for _ in 0..6 {
                batch.rows.push(Row {
                    series,
                    node: 1 + random.below(nodes - 1) as u32,
                    window: random.below(WINDOWS.into()) as u32,
                    value: 10_000_000,
                });
            }
        }
        writer.group(batch).expect("a row group");
        let segments = vec![ulid::Ulid(random.next_u128()).to_string()];
        let written = writer.finish(segments).expect("a block");
        self.put(hour.into(), written).await;
    }
}

/// Requests to the bucket so far: reads, and lists.
fn requests(registry: &prometheus::Registry) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    for family in registry.gather() {
        if family.name() != "davy_archive_bucket_requests_total" {
            continue;
        }
        for metric in family.get_metric() {
            let label = metric.get_label().iter().find(|of| of.name() == "request");
            let name = label.map_or("", |label| label.value()).to_owned();
            *all.entry(name).or_default() += metric.get_counter().get_value() as u64;
        }
    }
    all
}

struct Bench {
    options: ArchiveOptions,
    tenant: &'static str,
}

impl Bench {
    /// Runs a query on a fresh archive, then again `warm` times with another range each, and prints the first and the
    /// median of the others.
    async fn run(&self, name: &str, path: impl Fn(i64) -> String) {
        let registry = prometheus::Registry::new();
        let archive = Archive::new(self.options.clone(), &registry).expect("fresh");
        let router = archive.query_router();
        let before_memory = resident();
        let mut runs = Vec::new();
        for run in 0..8i64 {
            let before = requests(&registry);
            let (wall, used) = (self.options.clock.monotonic(), cpu());
            let request = axum::http::Request::get(path(run))
                .header("x-scope-orgid", self.tenant)
                .body(axum::body::Body::empty())
                .expect("a request");
            let Ok(response) = router.clone().oneshot(request).await;
            let status = response.status();
            let body = axum::body::to_bytes(response.into_body(), usize::MAX).await;
            let body = body.expect("a body");
            assert!(
                status.is_success(),
                "{name}: {}",
                String::from_utf8_lossy(&body)
            );
            let wall = self.options.clock.monotonic().saturating_sub(wall);
            let used = cpu().saturating_sub(used);
            let after = requests(&registry);
            let of = |kind: &str| {
                let at = |all: &BTreeMap<String, u64>| all.get(kind).copied().unwrap_or(0);
                at(&after) - at(&before)
            };
            runs.push((used, wall, of("get"), of("list"), body.len()));
        }
        let (used, wall, gets, lists, _) = runs[0];
        let mut warm = runs[1..].to_vec();
        warm.sort_unstable();
        let (used_warm, wall_warm, gets_warm, lists_warm, bytes) = warm[warm.len() / 2];
        let ms = |of: Duration| of.as_secs_f64() * 1e3;
        println!(
            "{name:<44} cold {:7.1} ms CPU {:7.1} ms {gets:5} GET {lists:3} LIST | warm {:7.1} ms CPU {:7.1} ms {gets_warm:5} GET {lists_warm:3} LIST | {:8.1} KiB, memory +{} MiB",
            ms(used),
            ms(wall),
            ms(used_warm),
            ms(wall_warm),
            bytes as f64 / 1_024.0,
            resident().saturating_sub(before_memory),
        );
    }
}

/// Merges all months, and prints what it takes.
async fn merge_months(bench: &Bench) {
    let day = Duration::from_hours(24);
    let mut options = bench.options.clone();
    options.policy.month_settle = Duration::ZERO;
    // Some days more than two years are stored.
    options.levels.days = day * 1_000;
    let archive = Archive::new(options, &prometheus::Registry::new()).expect("fresh");
    let (before, mut merged) = (cpu(), 0);
    loop {
        let done = archive.compactor().once().await.expect("compaction");
        if done.merged == 0 {
            break;
        }
        merged += done.merged;
    }
    let used = cpu().saturating_sub(before);
    println!(
        "merge of {merged} blocks, most of them of months: {:.1} s CPU, memory {} MiB",
        used.as_secs_f64(),
        resident()
    );
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let services = number("SERVICES", 20);
    let hours = number("HOURS", 24) as i64;
    let days = number("DAYS", if quick { 60 } else { 730 }) as i64;
    let sets = number("SETS", if quick { 2_000 } else { 20_000 });
    let folder = tempfile::tempdir().expect("a folder");
    let bucket: Arc<dyn ObjectStore> =
        Arc::new(LocalFileSystem::new_with_prefix(folder.path()).expect("a bucket"));
    let clock = Clock::system();
    let mut random = Random::seeded(11);
    let programs: Vec<Program> = (0..services).map(|at| program(at, &mut random)).collect();
    let world = |tenant: &str| World {
        bucket: Arc::clone(&bucket),
        keys: Keys::new(""),
        tenant: Tenant::new(tenant).expect("a name"),
    };
    // Whole days before today.
    let today = Day::of(Hour::of(clock.now()));
    let first = Day(today.0 - 2).first();
    let recent = world("anonymous");
    for at in 0..hours {
        // All services in the first seven hours.
        let of_hour = if at < 7 {
            &programs[..]
        } else {
            &programs[..1]
        };
        recent.hour(Hour(first.0 + at), of_hour, &mut random).await;
    }
    for at in 1..=days {
        recent
            .day(Day(today.0 - 2 - at), &programs[0], &mut random)
            .await;
    }
    let many = world("many");
    many.label_sets(first, sets, &programs[0], &mut random)
        .await;

    let bench = Bench {
        options: ArchiveOptions {
            clock,
            cache_bytes: 256 << 20,
            ..ArchiveOptions::new(Arc::clone(&bucket))
        },
        tenant: "anonymous",
    };
    let path = |view: &str, from: Timestamp, until: Timestamp, rest: &str| {
        format!(
            "/api/v1/profiles/{view}?type=cpu&from={}&until={}{rest}",
            from.millis(),
            until.millis()
        )
    };
    let after = |hours: i64| Hour(first.0 + hours).start();
    // Each run has another selector of the same series, because merged trees of a selection are cached.
    let matching = |of: &str, run: i64| format!("&selector=%7B{of}run%21%3D%22{run}%22%7D");
    let one = |run: i64| matching("service_name%3D%22service-0%22%2C", run);
    let all = |run: i64| format!("&all_services=true{}", matching("", run));
    for (span, nodes) in [(1, 1_000_000), (1, 16_384), (7, 16_384)] {
        let name = format!("merge of {services} services x {span} h, {nodes} nodes");
        bench
            .run(&name, |run| {
                let rest = format!("{}&max_nodes={nodes}", all(run));
                path("flamegraph", after(0), after(span), &rest)
            })
            .await;
    }
    for (name, span) in [("1 h", 1), ("24 h", hours)] {
        let name = format!("merge of 1 service x {name}");
        bench
            .run(&name, |run| {
                path("flamegraph", after(0), after(span), &one(run))
            })
            .await;
    }
    for span in [30, days].into_iter().filter(|span| *span <= days) {
        let from = Day(today.0 - 2 - span).first().start();
        let name = format!("merge of 1 service x {span} days");
        bench
            .run(&name, |run| path("flamegraph", from, after(0), &one(run)))
            .await;
    }
    for span in [1, 7] {
        let name = format!("series of {services} services x {span} h");
        bench
            .run(&name, |run| {
                let rest = format!("{}&by=service_name&step={}", all(run), 15 + run);
                path("series", after(0), after(span), &rest)
            })
            .await;
    }
    merge_months(&bench).await;
    for span in [30, days].into_iter().filter(|span| *span <= days) {
        let from = Day(today.0 - 2 - span).first().start();
        let name = format!("merge of 1 service x {span} days, with month blocks");
        bench
            .run(&name, |run| path("flamegraph", from, after(0), &one(run)))
            .await;
        let name = format!("series of 1 service x {span} days, with month blocks");
        let step = "&step=86400";
        bench
            .run(&name, |run| {
                path("series", from, after(0), &format!("{}{step}", one(run)))
            })
            .await;
    }
    let bench = Bench {
        tenant: "many",
        ..bench
    };
    let name = format!("series by a label, {sets} label sets");
    bench
        .run(&name, |run| {
            path(
                "series",
                after(0),
                after(1),
                &format!("&by=endpoint&step={}", 15 + run),
            )
        })
        .await;
    let name = format!("merge of one of {sets} label sets");
    bench
        .run(&name, |run| {
            let set = run * 7;
            let selector = format!("&selector=%7Bendpoint%3D%22%2Fv1%2Fobject%2F{set}%22%7D");
            path("flamegraph", after(0), after(1), &selector)
        })
        .await;
}
