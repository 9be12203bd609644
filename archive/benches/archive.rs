//! Measures ingestion, storage and queries as ratios to a lower bound of the same run.
//!
//! `cargo bench -p davy-archive` pushes an hour of generated profiles (seeded): 20 services with
//! thousands of distinct stacks each, distributed by Zipf's law, and a window every ten seconds.
//! `-- --quick` pushes 100 windows per service; `SERVICES`, `WINDOWS` and `SAMPLES` override the size.

use bytes::Bytes;
use cpu::cpu;
use davy_archive::ingest::{Format, Push, SampleTypes, WindowIdentity};
use davy_archive::key::Tenant;
use davy_archive::query::{Ask, flame};
use davy_archive::selector::Selector;
use davy_archive::types::TypeFilter;
use davy_archive::{Archive, ArchiveOptions};
use davy_base::{Clock, Random};
use davy_profile::flame::Grain;
use davy_profile::{Limits, gzip, pprof};
use futures_util::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::{ObjectStore, ObjectStoreExt};
use program::program;
use prost::Message;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use window::window;

#[path = "program/cpu.rs"]
mod cpu;
mod program;
#[path = "program/window.rs"]
mod window;

/// Messages of pprof for a plain decoder, to which ingestion is compared.
mod wire {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Profile {
        #[prost(message, repeated, tag = "1")]
        pub(crate) sample_type: Vec<ValueType>,
        #[prost(message, repeated, tag = "2")]
        pub(crate) sample: Vec<Sample>,
        #[prost(message, repeated, tag = "3")]
        pub(crate) mapping: Vec<Mapping>,
        #[prost(message, repeated, tag = "4")]
        pub(crate) location: Vec<Location>,
        #[prost(message, repeated, tag = "5")]
        pub(crate) function: Vec<Function>,
        #[prost(string, repeated, tag = "6")]
        pub(crate) string_table: Vec<String>,
        #[prost(int64, tag = "9")]
        pub(crate) time_nanos: i64,
        #[prost(int64, tag = "10")]
        pub(crate) duration_nanos: i64,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct ValueType {
        #[prost(int64, tag = "1")]
        pub(crate) kind: i64,
        #[prost(int64, tag = "2")]
        pub(crate) unit: i64,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Sample {
        #[prost(uint64, repeated, tag = "1")]
        pub(crate) location_id: Vec<u64>,
        #[prost(int64, repeated, tag = "2")]
        pub(crate) value: Vec<i64>,
        #[prost(message, repeated, tag = "3")]
        pub(crate) label: Vec<Label>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Label {
        #[prost(int64, tag = "1")]
        pub(crate) key: i64,
        #[prost(int64, tag = "2")]
        pub(crate) text: i64,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Mapping {
        #[prost(uint64, tag = "1")]
        pub(crate) id: u64,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Location {
        #[prost(uint64, tag = "1")]
        pub(crate) id: u64,
        #[prost(uint64, tag = "3")]
        pub(crate) address: u64,
        #[prost(message, repeated, tag = "4")]
        pub(crate) line: Vec<Line>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Line {
        #[prost(uint64, tag = "1")]
        pub(crate) function_id: u64,
        #[prost(int64, tag = "2")]
        pub(crate) line: i64,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Function {
        #[prost(uint64, tag = "1")]
        pub(crate) id: u64,
        #[prost(int64, tag = "2")]
        pub(crate) name: i64,
        #[prost(int64, tag = "3")]
        pub(crate) system_name: i64,
        #[prost(int64, tag = "4")]
        pub(crate) filename: i64,
    }
}

fn status(key: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text
        .lines()
        .find(|line| line.starts_with(key))
        .unwrap_or("");
    line.split_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse().ok())
        .unwrap_or(0)
        / 1_024
}

fn number(name: &str, default: usize) -> usize {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// CPU seconds since `before`.
fn cpu_since(before: Duration) -> f64 {
    cpu().saturating_sub(before).as_secs_f64()
}

fn measured<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let before = cpu();
    let result = work();
    (result, cpu_since(before))
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let (services, windows, samples) = (
        number("SERVICES", 20),
        number("WINDOWS", if quick { 100 } else { 360 }),
        number("SAMPLES", 700),
    );
    // A closed hour, so that the compactor merges all of it.
    let clock = Clock::system();
    let now = clock.now().floor(Duration::from_hours(1));
    let hour = now.minus(Duration::from_hours(2));
    let mut random = Random::seeded(7);
    let mut profiles = Vec::new();
    for service in 0..services {
        let program = program(service, &mut random);
        for at in 0..windows {
            let time = hour.plus(Duration::from_secs(3_500 * at as u64 / windows as u64));
            // Sizes vary as for busy and idle services.
            let size = samples / 10 + (samples as f64 * random.unit() * 1.8) as usize;
            let packed: Bytes =
                gzip::compress(&pprof::encode(&window(&program, size, time, &mut random))).into();
            profiles.push((service, packed));
        }
    }
    profiles.sort_by_key(|(service, raw)| (raw.len() * 2_654_435_761) ^ service);
    let packed: usize = profiles.iter().map(|(_, raw)| raw.len()).sum();
    let limits = Limits::default();

    // Gunzip of the floor is flate2 with zlib-rs, as most programs have it.
    let gunzip = |profile: &[u8]| {
        let mut bytes = Vec::with_capacity(profile.len() * 4);
        let mut decoder = flate2::bufread::MultiGzDecoder::new(profile);
        decoder.read_to_end(&mut bytes).expect("gzip");
        bytes
    };
    let decode_all = || {
        let (mut raw, mut rows) = (0, 0);
        for (_, profile) in &profiles {
            let bytes = gunzip(profile);
            raw += bytes.len();
            rows += wire::Profile::decode(&*bytes).expect("pprof").sample.len();
        }
        (raw, rows)
    };
    let ((raw, rows), floor) = measured(decode_all);
    let ((), streamed) = measured(|| {
        for (_, profile) in &profiles {
            std::hint::black_box(gunzip(profile));
        }
    });
    let ((), at_once) = measured(|| {
        for (_, profile) in &profiles {
            std::hint::black_box(gzip::unpack(profile, &limits).expect("gzip"));
        }
    });
    let ((), model) = measured(|| {
        for (_, profile) in &profiles {
            let bytes = gzip::unpack(profile, &limits).expect("gzip");
            std::hint::black_box(pprof::decode(&bytes, &limits).expect("pprof"));
        }
    });
    let mib = |bytes: usize| bytes as f64 / f64::from(1 << 20);
    println!(
        "{} profiles, {:.1} MiB packed, {:.1} MiB raw, {rows} rows",
        profiles.len(),
        mib(packed),
        mib(raw)
    );
    println!(
        "floor: gunzip {streamed:.3} s, gunzip + protobuf decode {floor:.3} s CPU; davy-profile: gunzip {at_once:.3} s, gunzip + decode {model:.3} s CPU"
    );

    let folder = tempfile::tempdir().expect("a folder");
    let bucket: Arc<dyn ObjectStore> =
        Arc::new(LocalFileSystem::new_with_prefix(folder.path()).expect("a bucket"));
    let options = ArchiveOptions {
        clock,
        flush_interval: Duration::from_millis(500),
        ..ArchiveOptions::new(Arc::clone(&bucket))
    };
    let archive = Archive::new(options.clone(), &prometheus::Registry::new()).expect("fresh");
    let drain = CancellationToken::new();
    let flusher = tokio::spawn(archive.ingest().run(drain.clone()));
    let tenant = Tenant::anonymous();
    while !archive.ingest().is_accepting() {
        tokio::task::yield_now().await;
    }
    let before = cpu();
    let pushes = profiles.iter().enumerate().map(|(at, (service, raw))| {
        let push = Push {
            labels: [
                ("service_name".into(), format!("service-{service}")),
                ("__name__".into(), "process_cpu".into()),
            ]
            .into(),
            identity: WindowIdentity::Client(at.to_string()),
            span: None,
            format: Format::Pprof(SampleTypes::default()),
            body: raw.clone(),
        };
        let (ingest, tenant) = (archive.ingest(), tenant.clone());
        async move { ingest.push(&tenant, vec![(String::new(), push)]).await }
    });
    futures_util::stream::iter(pushes.map(Ok))
        .try_for_each_concurrent(number("CLIENTS", 200), |push| async {
            push.await.map(|_| ())
        })
        .await
        .expect("pushed");
    let ingest = cpu_since(before);
    drain.cancel();
    flusher.await.expect("drained");
    let peak = status("VmHWM");
    // Measured before and after the ingestion, because the speed of the machine varies.
    let floor = f64::midpoint(floor, measured(decode_all).1);
    println!(
        "ingest: {ingest:.3} s CPU = {:.2} x floor; {:.0} profiles per CPU second; peak RSS {} MiB",
        ingest / floor,
        profiles.len() as f64 / ingest,
        peak
    );

    let sizes = async |what: &str| {
        let objects: Vec<_> = bucket.list(None).try_collect().await.expect("listing");
        let chosen: Vec<_> = objects
            .into_iter()
            .filter(|object| object.location.as_ref().contains(what))
            .collect();
        (
            chosen.len(),
            chosen.iter().map(|object| object.size).sum::<u64>(),
            chosen,
        )
    };
    let (count, bytes, _) = sizes("segments/").await;
    println!(
        "segments: {count}, {:.2} MiB, {:.2} B per row",
        mib(bytes as usize),
        bytes as f64 / rows as f64
    );
    let ask = |selector: &str| Ask {
        tenant: tenant.clone(),
        kind: TypeFilter::parse("cpu"),
        selector: Selector::parse(selector).expect("selector"),
        from: hour,
        until: hour.plus(Duration::from_hours(1)),
        by: vec![],
    };
    let mut expected = None;
    let mut run = async |archive: &Archive, name: &str, ask: &Ask, all: bool| {
        let (wall, before) = (clock_now(), cpu());
        let (flame, report) = flame(&archive.query(), ask, Grain::Function)
            .await
            .expect("answer");
        let (wall, cpu) = (clock_now().saturating_sub(wall), cpu_since(before));
        let total: i64 = flame.tree.values.iter().sum();
        println!(
            "{name}: {:.1} ms wall, {:.1} ms CPU, {} windows, {} nodes, peak RSS {} MiB",
            wall.as_secs_f64() * 1e3,
            cpu * 1e3,
            report.windows,
            flame.tree.stacks.len(),
            status("VmHWM")
        );
        if all {
            assert_eq!(*expected.get_or_insert(total), total, "every window once");
        }
        cpu
    };
    run(&archive, "merge of segments, all services", &ask(""), true).await;

    let (done, compaction) = {
        let before = cpu();
        let done = archive.compactor().once().await.expect("compaction");
        (done, cpu_since(before))
    };
    let (_, bytes, objects) = sizes("blocks/").await;
    println!(
        "compaction: {compaction:.3} s CPU = {:.2} x floor, {} merged, peak RSS {} MiB",
        compaction / floor,
        done.merged,
        status("VmHWM")
    );
    for object in &objects {
        println!(
            "  {:<16} {:>9} B  {:.2} B per row",
            object.location.filename().unwrap_or(""),
            object.size,
            object.size as f64 / rows as f64
        );
    }
    println!(
        "block: {:.2} MiB, {:.2} B per row ({:.0} x smaller than pprof.gz)",
        mib(bytes as usize),
        bytes as f64 / rows as f64,
        packed as f64 / bytes as f64
    );

    let ((), read) = {
        let before = cpu();
        for object in &objects {
            let _ = bucket
                .get(&object.location)
                .await
                .expect("read")
                .bytes()
                .await
                .expect("read");
        }
        ((), cpu_since(before))
    };
    let cold = Archive::new(options, &prometheus::Registry::new()).expect("fresh");
    let merge = run(
        &cold,
        "merge of the block, all services (sums)",
        &ask(""),
        true,
    )
    .await;
    println!(
        "  reading the same bytes: {:.1} ms CPU; merge = {:.1} x",
        read * 1e3,
        merge / read
    );
    run(&cold, "again, cached", &ask(""), true).await;
    run(
        &cold,
        "one service",
        &ask("{service_name=\"service-3\"}"),
        false,
    )
    .await;
    let part = Ask {
        until: hour.plus(Duration::from_secs(3_599)),
        from: hour.plus(Duration::from_secs(1)),
        ..ask("")
    };
    run(&cold, "all services by windows (no sums)", &part, false).await;
}

fn clock_now() -> Duration {
    use std::sync::OnceLock;
    static CLOCK: OnceLock<Clock> = OnceLock::new();
    CLOCK.get_or_init(Clock::system).monotonic()
}
