//! An archive on real stores: S3 (versitygw), and OpenStack Swift by both of its APIs.

#[path = "../../bucket/tests/stores/proxy.rs"]
#[allow(dead_code, reason = "the tests of the package use the rest")]
mod proxy;

use crate::support::{CPU, WEB, World, clock, cpu, options};
use axum::http::{StatusCode, header};
use davy_archive::copy::{CopyOptions, CopySource, CopyTarget};
use davy_archive::{Archive, ArchiveOptions};
use davy_base::Clock;
use davy_bucket::{BucketSettings, ClientOptions, DiskCache, OpenBucket, Secret, Usage, open};
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use proxy::{Break, Proxy};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A prefix that no other test uses.
fn prefix() -> String {
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("archive-{}-{number}", std::process::id())
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The settings of a bucket at an address, or at that of the server.
fn s3(address: Option<&str>) -> Option<BucketSettings> {
    Some(BucketSettings {
        endpoint: address.map(str::to_owned).or_else(|| variable("DEV_S3"))?,
        access_key: variable("DEV_S3_ACCESS_KEY")?,
        secret_key: Secret(variable("DEV_S3_SECRET_KEY")?),
        ..BucketSettings::new(format!("s3://davy/{}", prefix()))
    })
}

fn swift(address: Option<&str>) -> Option<BucketSettings> {
    let address = address
        .map(str::to_owned)
        .or_else(|| variable("DEV_SWIFT"))?;
    Some(BucketSettings {
        auth_url: format!("{address}/auth/v1.0"),
        user: variable("DEV_SWIFT_USER")?,
        password: Secret(variable("DEV_SWIFT_PASSWORD")?),
        ..BucketSettings::new(format!("swift://davy/{}", prefix()))
    })
}

fn swift_s3(address: Option<&str>) -> Option<BucketSettings> {
    Some(BucketSettings {
        endpoint: address
            .map(str::to_owned)
            .or_else(|| variable("DEV_SWIFT"))?,
        access_key: variable("DEV_SWIFT_USER")?,
        secret_key: Secret(variable("DEV_SWIFT_PASSWORD")?),
        ..BucketSettings::new(format!("s3://davy/{}", prefix()))
    })
}

type Settings = fn(Option<&str>) -> Option<BucketSettings>;

/// The stores whose servers run.
fn stores() -> Vec<(&'static str, Settings)> {
    let all: [(&str, Settings); 3] = [("S3", s3), ("Swift", swift), ("Swift by S3", swift_s3)];
    let mut running = Vec::new();
    for (name, settings) in all {
        if settings(None).is_some() {
            running.push((name, settings));
        } else {
            davy_test_support::skip(&format!(
                "the server of {name} does not run; start the tests with `ops/dev/versitygw run ops/dev/swift run`"
            ));
        }
    }
    running
}

fn opened(settings: &BucketSettings, clock: &Clock) -> OpenBucket {
    open(settings, &|_| None, clock).expect("valid settings")
}

fn on(bucket: OpenBucket, clock: &Clock) -> ArchiveOptions {
    let prefix = bucket.url.prefix.clone();
    ArchiveOptions {
        prefix,
        opened: Some(bucket.clone()),
        ..options(bucket.store, clock)
    }
}

/// The path of a window, from the push to the deletion of its segment, on every store.
#[tokio::test]
async fn window_counts_once_from_push_to_deletion_on_every_store() {
    for (name, settings) in stores() {
        let clock = clock();
        let mut options = on(opened(&settings(None).expect("it runs"), &clock), &clock);
        options.policy.grace = Duration::from_hours(2);
        let world = World::with(options);
        let raw = cpu(
            &clock,
            &[(&["main", "work"], 30, &[]), (&["main"], 12, &[])],
        );
        for id in ["a", "A", "b"] {
            assert_eq!(world.push("", WEB, id, &raw).await.0, 200, "{name}");
        }
        let query = format!("type={CPU}");
        let expected = "main 24\nmain;work 60";
        assert_eq!(world.folded(&query).await, expected, "{name}");
        clock.advance(Duration::from_mins(40));
        let done = world.archive.compactor().once().await.expect("compaction");
        assert_eq!((done.merged, done.deleted), (1, 0), "{name}: {done:?}");
        assert_eq!(world.folded(&query).await, expected, "{name}");
        clock.advance(Duration::from_hours(4));
        let done = world.archive.compactor().once().await.expect("compaction");
        assert_eq!((done.merged, done.deleted), (0, 3), "{name}: {done:?}");
        let verified = world.archive.verify().await.expect("listing");
        assert!(
            verified.len() == 1 && verified[0].fault.is_none(),
            "{name}: {verified:?}"
        );

        // Another archiver, elsewhere, that knows nothing but the address of the bucket.
        let url = world.archive.bucket().keys.root();
        let again = BucketSettings {
            url: format!(
                "{}://davy/{url}",
                if name == "Swift" { "swift" } else { "s3" }
            ),
            ..settings(None).expect("it runs")
        };
        let other = Archive::new(
            on(opened(&again, &clock), &clock),
            &prometheus::Registry::new(),
        );
        let other = other.expect("a registry of its own");
        let verified = other.verify().await.expect("listing");
        assert_eq!(verified.len(), 1, "{name}");
    }
}

/// The path of an archive from memory to every store and back, with an object that is written in parts.
#[tokio::test]
async fn archive_passes_through_every_store_in_a_copy() {
    let clock = clock();
    let world = World::on(Arc::new(InMemory::new()), &clock);
    let raw = cpu(&clock, &[(&["main", "work"], 30, &[])]);
    for id in ["a", "b"] {
        assert_eq!(world.push("", WEB, id, &raw).await.0, 200);
    }
    clock.advance(Duration::from_mins(40));
    world.archive.compactor().once().await.expect("compaction");
    let key = object_store::path::Path::from("davy/anonymous/quarantine/checksum/large");
    let large: bytes::Bytes = (0..11 << 20).map(|at: u32| (at >> 10) as u8).collect();
    let put = world.bucket.put(&key, large.clone().into()).await;
    put.expect("stored");
    let options = CopyOptions::default();
    for (name, settings) in stores() {
        let settings = settings(None).expect("it runs");
        // The smallest parts that S3 accepts.
        let requests = ClientOptions {
            multipart_bytes: 5 << 20,
            ..ClientOptions::default()
        };
        let target = CopyTarget::bucket(opened(&settings, &clock), &requests);
        let exported = world.archive.export(target, &options, &|_, _| {}).await;
        let exported = exported.unwrap_or_else(|error| panic!("{name}: {error}"));
        let back = World::on(Arc::new(InMemory::new()), &clock);
        let source = CopySource::bucket(opened(&settings, &clock), &requests);
        let imported = back.archive.import(source, &options, &|_, _| {}).await;
        let imported = imported.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(imported.copied, exported.copied, "{name}");
        assert_eq!(imported.damaged, Vec::<String>::new(), "{name}");
        let query = format!("type={CPU}");
        assert_eq!(back.folded(&query).await, "main;work 60", "{name}");
        let read = back.bucket.get(&key).await.expect("copied").bytes().await;
        assert!(read.expect("read") == large, "{name}");
    }
}

/// While the store is down, pushes get 503 and when to retry. They are acknowledged when it is back, and count once.
#[tokio::test]
async fn outage_of_the_store_refuses_pushes_and_loses_nothing() {
    for (name, settings) in stores() {
        let address = if name == "S3" { "DEV_S3" } else { "DEV_SWIFT" };
        let proxy = Proxy::of(&variable(address).expect("it runs")).await;
        let clock = Clock::system();
        let mut options = on(
            opened(&settings(Some(&proxy.url)).expect("it runs"), &clock),
            &clock,
        );
        options.requests = ClientOptions {
            attempts: 2,
            ..ClientOptions::default()
        };
        let world = World::with(options);
        let raw = cpu(&clock, &[(&["main"], 5, &[])]);
        assert_eq!(world.push("", WEB, "before", &raw).await.0, 200, "{name}");
        assert_eq!(world.archive.bucket().failing(), None);

        proxy.breaks("*", usize::MAX, Break::Close);
        for at in 0..10 {
            let request = axum::http::Request::post("/push.v1.PusherService/Push")
                .header("content-type", "application/proto")
                .body(crate::support::push_request(WEB, &format!("during-{at}"), &raw).into())
                .expect("a request");
            let (status, headers, body) = world.exchange(request).await;
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{name}");
            assert!(
                headers.contains_key(header::RETRY_AFTER),
                "{name}: {headers:?}"
            );
            let text = String::from_utf8_lossy(&body);
            assert!(text.contains("cannot put"), "{name}: {text}");
        }
        let failing = world.archive.bucket().failing().expect("writes fail");
        assert!(failing.message.contains("(after"), "{failing:?}");
        // Nothing of the refused windows stays in memory.
        assert_eq!(world.archive.ingest().open_windows(), 0);

        proxy.heal();
        for at in 0..10 {
            let pushed = world.push("", WEB, &format!("during-{at}"), &raw).await;
            assert_eq!(pushed.0, 200, "{name}: {}", pushed.1);
        }
        assert_eq!(world.archive.bucket().failing(), None);
        assert_eq!(
            world.folded(&format!("type={CPU}")).await,
            "main 55",
            "{name}"
        );
    }
}

/// A PUT whose response is lost is retried with the same name, so that the window still counts once.
#[tokio::test]
async fn lost_answer_to_a_segment_counts_the_window_once() {
    for (name, settings) in stores() {
        let address = if name == "S3" { "DEV_S3" } else { "DEV_SWIFT" };
        let proxy = Proxy::of(&variable(address).expect("it runs")).await;
        let clock = Clock::system();
        let options = on(
            opened(&settings(Some(&proxy.url)).expect("it runs"), &clock),
            &clock,
        );
        let world = World::with(options);
        let raw = cpu(&clock, &[(&["main"], 5, &[])]);
        proxy.breaks("PUT", 2, Break::LoseAnswer);
        assert_eq!(world.push("", WEB, "a", &raw).await.0, 200, "{name}");
        assert_eq!(
            world.folded(&format!("type={CPU}")).await,
            "main 5",
            "{name}"
        );
        let listed = world.archive.ls().await.expect("listing");
        assert_eq!(listed.len(), 1, "{name}: {listed:?}");
    }
}

/// Bytes that are damaged on the way never change a result: the piece is read again, and nothing damaged is cached.
#[tokio::test]
async fn damaged_answers_change_no_result() {
    // By its own API, Swift's MD5 of whole objects shows the damage earlier: davy-bucket repeats the request, after a
    // pause that this test's clock would never end.
    let stores = stores().into_iter().filter(|(name, _)| *name != "Swift");
    for (name, settings) in stores {
        let address = if name == "S3" { "DEV_S3" } else { "DEV_SWIFT" };
        let proxy = Proxy::of(&variable(address).expect("it runs")).await;
        let clock = clock();
        let bucket = opened(&settings(Some(&proxy.url)).expect("it runs"), &clock);
        let cache = tempfile::tempdir().expect("a folder");
        let start = || {
            let disk = DiskCache::open(cache.path(), 1 << 30, clock.clone()).expect("a folder");
            let mut options = on(bucket.clone(), &clock);
            options.requests.hedge = false;
            World::with(ArchiveOptions {
                disk: Some(disk),
                ..options
            })
        };
        let raw = cpu(&clock, &[(&["main", "work"], 30, &[])]);
        let query = format!("type={CPU}");
        let writer = start();
        assert_eq!(writer.push("", WEB, "a", &raw).await.0, 200, "{name}");
        for (part, expected) in [(".segment", 1), ("meta.json", 1), ("nodes.parquet", 1)] {
            if part == "meta.json" {
                clock.advance(Duration::from_mins(40));
                let done = writer.archive.compactor().once().await.expect("compaction");
                assert_eq!(done.merged, 1, "{name}");
                // The compactor has read its own block.
                std::fs::remove_dir_all(cache.path()).expect("removable");
            }
            let before = proxy.count("GET");
            proxy.breaks_at(part, "GET", expected, Break::DamageAnswer);
            // What has been read is on disk, so each round reads other objects.
            assert_eq!(
                start().folded(&query).await,
                "main;work 30",
                "{name} {part}"
            );
            assert!(proxy.count("GET") > before);
            assert_eq!(proxy.unbroken(), 0, "{name}: {part} was not read");
            assert_eq!(
                start().folded(&query).await,
                "main;work 30",
                "{name} {part}"
            );
            std::fs::remove_dir_all(cache.path()).expect("removable");
        }
    }
}

/// The failure of writes ends with its cause, even if nobody pushes.
#[tokio::test]
async fn failing_writes_are_probed_until_they_succeed() {
    let Some(bucket) = s3(None) else {
        davy_test_support::skip(
            "versitygw does not run; start the tests with `ops/dev/versitygw run`",
        );
        return;
    };
    let proxy = Proxy::of(&bucket.endpoint).await;
    let clock = clock();
    let settings = BucketSettings {
        endpoint: proxy.url.clone(),
        ..bucket
    };
    let mut options = on(opened(&settings, &clock), &clock);
    options.requests.attempts = 1;
    let world = World::with(options);
    proxy.breaks("PUT", 1, Break::Answer(500, ""));
    let raw = cpu(&clock, &[(&["main"], 5, &[])]);
    assert_eq!(world.push("", WEB, "a", &raw).await.0, 503);
    assert!(world.archive.bucket().failing().is_some());
    let before = proxy.count("PUT");
    // The pause before the first probe. Time stands still while it is answered.
    clock.advance(Duration::from_secs(5));
    while world.archive.bucket().failing().is_some() {
        tokio::task::yield_now().await;
    }
    assert!(proxy.count("PUT") > before);
}

/// An archiver that starts again finds in its folder what it has read before.
#[tokio::test]
async fn cache_on_disk_answers_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let (clock, store) = (
        clock(),
        std::sync::Arc::new(object_store::memory::InMemory::new()),
    );
    let start = || {
        let disk = DiskCache::open(folder.path(), 1 << 30, clock.clone()).expect("a folder");
        World::with(ArchiveOptions {
            disk: Some(disk),
            ..options(store.clone(), &clock)
        })
    };
    let query = format!("type={CPU}");
    let world = start();
    let raw = cpu(&clock, &[(&["main"], 5, &[])]);
    assert_eq!(world.push("", WEB, "a", &raw).await.0, 200);
    assert_eq!(world.folded(&query).await, "main 5");
    let again = start();
    let usage = Usage::default();
    assert_eq!(usage.count(again.folded(&query)).await, "main 5");
    assert_eq!(usage.bytes(), 0, "{usage:?}");
    assert!(usage.hits() > 0, "{usage:?}");
    assert_eq!(
        again.counted("davy_archive_cache_hits_total", &[("tier", "memory")]),
        0
    );
    assert!(again.counted("davy_archive_cache_hits_total", &[("tier", "disk")]) > 0);
}

/// What an archive has read is counted by level and member, and the cache is counted as well.
#[tokio::test]
async fn requests_are_counted_by_kind_level_and_member() {
    let world = World::new();
    let raw = cpu(&world.clock, &[(&["main"], 5, &[])]);
    let pushed = davy_tag::tagged("archive.ingest", "Push", world.push("", WEB, "a", &raw));
    assert_eq!(pushed.await.0, 200);
    // Two selections, which do not share a merge.
    for kind in [CPU, "cpu"] {
        let rest = format!("type={kind}");
        let query = davy_tag::tagged("archive.query", "QueryFolded", world.folded(&rest));
        assert_eq!(query.await, "main 5");
    }
    let counted = |name, labels: &[(&str, &str)]| world.counted(name, labels);
    let requests = "davy_archive_bucket_requests_total";
    assert_eq!(
        counted(requests, &[("request", "put"), ("level", "segments")]),
        1
    );
    let reads = [
        ("request", "get"),
        ("level", "segments"),
        ("member", "archive.query"),
    ];
    assert_eq!(
        counted(requests, &reads),
        1,
        "the second query hits the cache"
    );
    assert!(counted("davy_archive_bucket_bytes_total", &reads) > 100);
    assert!(counted("davy_archive_cache_hits_total", &[]) >= 1);
}

/// A block with a row group for each of three services is read by one request for its meta object and one for each table.
#[tokio::test]
async fn cold_query_reads_each_table_of_a_block_by_one_request() {
    let world = World::new();
    let names: Vec<String> = (0..8_200).map(|number| format!("work_{number}")).collect();
    let stacks: Vec<[&str; 2]> = names.iter().map(|name| ["main", name.as_str()]).collect();
    let samples: Vec<(&[&str], i64, &[_])> = stacks
        .iter()
        .map(|stack| (&stack[..], 1, &[][..]))
        .collect();
    for service in ["a", "b", "c"] {
        let raw = cpu(&world.clock, &samples);
        let labels = [("service_name", service), ("__name__", "process_cpu")];
        assert_eq!(world.push("", &labels, service, &raw).await.0, 200);
    }
    world.clock.advance(Duration::from_hours(1));
    let done = world.archive.compactor().once().await.expect("compaction");
    assert_eq!(done.merged, 1, "{done:?}");
    let (bucket, clock) = (Arc::clone(&world.bucket), world.clock.clone());
    for (selector, total) in [("", 3), ("&selector=%7Bservice_name%3D%22b%22%7D", 1)] {
        let cold = World::on(Arc::clone(&bucket), &clock);
        let rest = format!("type=cpu&all_services=true{selector}");
        let folded = cold.folded(&rest).await;
        assert_eq!(folded.lines().count(), names.len());
        let value = |line: &str| line.rsplit(' ').next().map(str::parse::<usize>);
        assert_eq!(folded.lines().next().and_then(value), Some(Ok(total)));
        let reads = [("request", "get"), ("level", "hour")];
        // Series, windows, sums, nodes, frames, functions and mappings.
        let gets = cold.counted("davy_archive_bucket_requests_total", &reads);
        assert_eq!(gets, 1 + 7, "{selector}");
    }
}
