//! Compares rendering with `inferno` and gzip, each in a process of its own.
//!
//! `cargo bench -p davy-render` writes a day block of one service with 300,000 unique stacks and an hour block of 20
//! services, and renders them from the bucket. `STACKS` and `SERVICES` override the size.

use davy_archive::format::batch::{Batch, Frame, FunctionTexts, Row, Series, Window};
use davy_archive::format::block::{BlockWriter, HourMeta};
use davy_archive::key::{Day, Hour, Keys, META, Period, SEGMENTS, Tenant};
use davy_archive::labels::Labels;
use davy_archive::query::{Ask, flame};
use davy_archive::selector::Selector;
use davy_archive::types::TypeFilter;
use davy_archive::{Archive, ArchiveOptions};
use davy_base::{Random, Timestamp};
use davy_profile::NodeId;
use davy_profile::flame::Grain;
use davy_render::{Drawer, Span, Stacks};
use object_store::local::LocalFileSystem;
use object_store::{ObjectStore, ObjectStoreExt};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

const KIND: &str = "process_cpu:cpu:nanoseconds:cpu:nanoseconds";
const DAY: Day = Day(20_000);
const HOUR: Hour = Hour(20_100 * 24);

fn number(name: &str, default: usize) -> usize {
    let text = std::env::var(name).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(default)
}

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

/// CPU time that the program `gzip -1` takes for a file.
fn gzip(file: &Path) -> f64 {
    let children = || {
        // SAFETY: all bytes of the struct may be zero.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: `usage` is valid for writes of a rusage during the whole call.
        unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage) };
        let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
        seconds(usage.ru_utime) + seconds(usage.ru_stime)
    };
    let before = children();
    let status = Command::new("gzip")
        .args(["-1", "--stdout"])
        .arg(file)
        .stdout(std::process::Stdio::null())
        .status()
        .expect("gzip");
    assert!(status.success(), "{status}");
    children() - before
}

/// Highest resident memory so far, in MiB.
fn peak() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|of| of.trim().strip_suffix(" kB")?.trim().parse().ok());
    kibibytes.unwrap_or(0u64) >> 10
}

/// A service with this many unique stacks of about 35 frames.
fn fill(batch: &mut Batch, service: usize, stacks: usize, starts: &[i64], random: &mut Random) {
    let labels = |name: &str, value: &str| {
        Arc::new(Labels::from_pairs([(name.to_owned(), value.to_owned())]))
    };
    let source = batch.source(&labels("service_name", &format!("service-{service}")));
    let series = batch.one_series(Series {
        source,
        kind: KIND.into(),
        labels: labels("member", "api"),
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
    let frames: Vec<u32> = (0..4_000)
        .map(|function| {
            let name = format!(
                "MediaWiki\\Module{:02}\\Class{:03}::function{function:04}",
                function % 60,
                function % 300
            );
            let index = batch.function(FunctionTexts {
                name: &name,
                file: "/srv/mediawiki/index.php",
                ..FunctionTexts::default()
            });
            batch.frame(Frame {
                function: index,
                ..Frame::default()
            })
        })
        .collect();
    let mut known: Vec<Vec<u32>> = vec![(0..25).collect()];
    let mut count = 0;
    while count < stacks {
        let like = &known[random.below(known.len() as u64) as usize];
        let kept = like.len() / 2 + random.below(like.len() as u64 / 2 + 1) as usize;
        let mut stack = like[..kept.max(1)].to_vec();
        let more = 1 + random.below(8);
        for _ in 0..more {
            let caller = u64::from(stack[stack.len() - 1]);
            let call = random.below(12);
            stack.push(((caller * 31 + call * call * 977 + 17) * 0x9e37_79b9 % 4_000) as u32);
        }
        if stack.len() > 60 {
            continue;
        }
        let nodes = batch.stacks.len();
        let mut at = NodeId::ROOT;
        for function in &stack {
            at = batch.stacks.child(at, frames[*function as usize]);
        }
        if batch.stacks.len() == nodes {
            continue;
        }
        batch.rows.push(Row {
            series,
            node: at.0,
            window: windows[random.below(windows.len() as u64) as usize],
            value: 10_000_000 * (1 + (1.0 / (random.unit() + 1e-4)) as i64),
        });
        count += 1;
        if known.len() < 20_000 {
            known.push(stack);
        }
    }
}

async fn write(bucket: &dyn ObjectStore, span: Span, services: usize, stacks: usize) {
    let mut random = Random::seeded(7);
    let starts: Vec<i64> = match span {
        Span::Hour(hour) => (0..360)
            .map(|at| hour.start().millis() + at * 10_000)
            .collect(),
        Span::Day(day) => day.hours().map(|hour| hour.start().millis()).collect(),
    };
    let mut writer =
        BlockWriter::new("bench", vec![random.next_u128().to_string()]).expect("a writer");
    for service in 0..services {
        let mut batch = Batch::new();
        fill(&mut batch, service, stacks, &starts, &mut random);
        writer.group(batch).expect("a row group");
    }
    let leaf = ulid::Ulid(random.next_u128()).to_string();
    let mut written = writer
        .finish(match span {
            Span::Hour(_) => vec![leaf],
            Span::Day(_) => vec![],
        })
        .expect("a block");
    let mut objects: Vec<(String, bytes::Bytes)> = Vec::new();
    if let Span::Day(day) = span {
        let hour = |hour: Hour| {
            let blocks = vec![format!("{:032x}", random.next_u128())];
            (
                hour.to_string(),
                HourMeta {
                    segments: 1,
                    blocks,
                },
            )
        };
        written.meta.hours = day.hours().map(hour).collect();
        objects.push((SEGMENTS.to_owned(), "{}".into()));
    }
    for (table, bytes) in written.files {
        objects.push((table.file(), bytes));
    }
    let meta = serde_json::to_vec(&written.meta).expect("JSON");
    objects.push((META.to_owned(), meta.into()));
    let period = match span {
        Span::Hour(hour) => Period::Hour(hour),
        Span::Day(day) => Period::Day(day),
    };
    let keys = Keys::new("davy");
    for (file, bytes) in objects {
        let key = keys.block(&Tenant::anonymous(), period, &written.name, &file);
        bucket.put(&key, bytes.into()).await.expect("written");
    }
}

/// Merges a service.
async fn merged(archive: &Archive, span: Span, service: usize) -> Stacks {
    let (from, until) = match span {
        Span::Hour(hour) => (hour.start(), hour.end()),
        Span::Day(day) => (day.first().start(), day.end()),
    };
    let ask = Ask {
        tenant: Tenant::anonymous(),
        kind: TypeFilter::parse("cpu"),
        selector: Selector::of_service(&format!("service-{service}")),
        from,
        until,
        by: vec!["member".to_owned()],
    };
    let query = archive.query().with_nodes(10_000_000);
    let (flame, report) = flame(&query, &ask, Grain::Function).await.expect("merged");
    assert!(report.partial.is_empty(), "{:?}", report.partial);
    Stacks::of(flame.tree)
}

fn drawer() -> Drawer {
    Drawer {
        title: "a title".to_owned(),
        unit: "nanoseconds".to_owned(),
        ..Drawer::default()
    }
}

/// Counts bytes.
#[derive(Default)]
struct Counted(u64);

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What a child process measured: CPU in seconds, peak memory in MiB, bytes.
#[derive(Debug)]
struct Measured {
    cpu: f64,
    peak: u64,
    bytes: u64,
}

fn child(part: &str, folder: &Path) -> Measured {
    let program = std::env::current_exe().expect("this program");
    let output = Command::new(program)
        .args([part, folder.to_str().expect("UTF-8")])
        .output()
        .expect("a child");
    let text = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    let last = text.lines().last().unwrap_or_default().to_owned();
    let numbers: Vec<f64> = last
        .split(' ')
        .filter_map(|part| part.parse().ok())
        .collect();
    let [cpu, peak, bytes] = numbers[..] else {
        panic!("{part}: {text}{error}");
    };
    Measured {
        cpu,
        peak: peak as u64,
        bytes: bytes as u64,
    }
}

fn archive(folder: &str) -> Archive {
    let bucket = Arc::new(LocalFileSystem::new_with_prefix(folder).expect("a store"));
    let options = ArchiveOptions {
        prefix: "davy".to_owned(),
        ..ArchiveOptions::new(bucket)
    };
    Archive::new(options, &prometheus::Registry::new()).expect("fresh registry")
}

/// Renders in this process; the last argument of the parent.
fn run(part: &str, folder: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let log = Path::new(folder).join("day.log");
    let start = cpu();
    let bytes = match part {
        "day" => {
            let stacks = runtime.block_on(merged(&archive(folder), DAY.into(), 0));
            let drawn = drawer().draw(&stacks).expect("drawn");
            std::fs::write(Path::new(folder).join("day.svg"), &drawn.graph).expect("written");
            std::fs::write(Path::new(folder).join("day.reversed.svg"), &drawn.reversed)
                .expect("written");
            let mut counted = Counted::default();
            Drawer::log(&stacks, &mut counted).expect("counted");
            counted.0
        }
        "text" => {
            let stacks = runtime.block_on(merged(&archive(folder), DAY.into(), 0));
            let file = std::io::BufWriter::new(std::fs::File::create(&log).expect("a file"));
            Drawer::log(&stacks, file).expect("written");
            0
        }
        "inferno" => {
            let mut options = inferno::flamegraph::Options::default();
            let mut svg = Vec::new();
            inferno::flamegraph::from_files(&mut options, &[log], &mut svg).expect("drawn");
            svg.len() as u64
        }
        "hour" => {
            let mut counted = Counted::default();
            for service in 0..number("SERVICES", 20) {
                let stacks = runtime.block_on(merged(&archive(folder), HOUR.into(), service));
                drawer().draw(&stacks).expect("drawn");
                Drawer::log(&stacks, &mut counted).expect("counted");
            }
            counted.0
        }
        "hour-text" => {
            let mut text =
                std::fs::File::create(Path::new(folder).join("hour.log")).expect("a file");
            for service in 0..number("SERVICES", 20) {
                let stacks = runtime.block_on(merged(&archive(folder), HOUR.into(), service));
                Drawer::log(&stacks, std::io::BufWriter::new(&mut text)).expect("written");
            }
            0
        }
        other => panic!("unknown part {other}"),
    };
    println!(
        "{:.3} {} {bytes}",
        cpu().saturating_sub(start).as_secs_f64(),
        peak()
    );
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, part, folder] = arguments.as_slice()
        && !part.starts_with('-')
    {
        return run(part, folder);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let bucket = LocalFileSystem::new_with_prefix(folder.path()).expect("a store");
    let (stacks, services) = (number("STACKS", 300_000), number("SERVICES", 20));
    runtime.block_on(write(&bucket, DAY.into(), 1, stacks));
    runtime.block_on(write(&bucket, HOUR.into(), services, stacks / 40));
    let now = Timestamp::EPOCH;
    assert!(now < HOUR.start());
    child("text", folder.path());
    let (day, inferno) = (child("day", folder.path()), child("inferno", folder.path()));
    println!(
        "a day of {stacks} unique stacks, {} MB of folded text",
        day.bytes / 1_000_000
    );
    println!(
        "  block to graph, reversed graph and folded text: {:.2} s of CPU, {} MiB",
        day.cpu, day.peak
    );
    println!(
        "  inferno, one graph from the folded text:        {:.2} s of CPU, {} MiB",
        inferno.cpu, inferno.peak
    );
    println!(
        "  gzip -1 of the folded text:                     {:.2} s of CPU",
        gzip(&folder.path().join("day.log"))
    );
    println!("  ratio to inferno: {:.2}", day.cpu / inferno.cpu);
    child("hour-text", folder.path());
    let hour = child("hour", folder.path());
    let gzip = gzip(&folder.path().join("hour.log"));
    println!(
        "an hour of {services} services with {} stacks each, {} MB of folded text",
        stacks / 40,
        hour.bytes / 1_000_000
    );
    println!(
        "  blocks to graphs, reversed graphs and folded text: {:.2} s of CPU, {} MiB",
        hour.cpu, hour.peak
    );
    println!("  gzip -1 of the folded text:                        {gzip:.2} s of CPU");
    println!("  ratio to gzip: {:.2}", hour.cpu / gzip);
}
