//! Answers stay the same while hours are merged into day blocks and finer levels are deleted.
#![allow(clippy::type_complexity, reason = "stacks are written as literals")]

mod support;

use davy_archive::compact::{Outcome, Retained};
use davy_archive::plan::retention::Retention;
use davy_base::{Clock, Timestamp};
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use support::{CPU, LIVE, World, cpu, options, profile};
use tokio_util::sync::CancellationToken;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// The start of the current day. Its end is after the times at which the bucket writes objects, which are those of the
/// system's clock.
fn start() -> Timestamp {
    Clock::system().now().floor(DAY)
}

fn levels() -> Retention {
    Retention {
        windows: DAY * 2,
        hours: DAY * 6,
        days: DAY * 30,
    }
}

fn world_at(start: Timestamp) -> World {
    let clock = Clock::manual(start);
    let mut options = options(Arc::new(InMemory::new()), &clock);
    options.policy.grace = Duration::ZERO;
    options.policy.late_settle = Duration::ZERO;
    options.retention = DAY;
    options.levels = levels();
    World::with(options)
}

const SERVICES: [&str; 3] = ["api", "db", "web"];

/// Pushes CPU and heap profiles of three services, every 20 minutes from 00:10 to 23:50.
async fn push_day(world: &World) {
    world.clock.advance(Duration::from_mins(10));
    for step in 0..72i64 {
        for (rank, service) in (0..).zip(SERVICES) {
            let labels = |kind| {
                [
                    ("service_name", service),
                    ("__name__", kind),
                    ("instance", "1"),
                ]
            };
            let stacks: [(&[&str], i64, &[(&str, &str)]); 2] = [
                (&["main", "work"], 1 + step, &[("member", "a")]),
                (&["main", service], 1_000 * (1 + step % 3) + rank, &[]),
            ];
            let raw = cpu(&world.clock, &stacks);
            let id = format!("{service} cpu {step}");
            assert_eq!(
                world.push("", &labels("process_cpu"), &id, &raw).await.0,
                200
            );
            let kind = ("inuse_space", "bytes");
            let raw = profile(
                &world.clock,
                kind,
                ("space", "bytes"),
                &[(&["main"], 72 * step, &[])],
            );
            let id = format!("{service} heap {step}");
            assert_eq!(world.push("", &labels("memory"), &id, &raw).await.0, 200);
        }
        world.clock.advance(Duration::from_mins(20));
    }
}

async fn compact(world: &World) -> (usize, usize) {
    let done = world.archive.compactor().once().await.expect("compaction");
    assert_eq!(done.failed, Vec::<String>::new());
    (done.merged, done.deleted)
}

fn path(view: &str, from: Timestamp, until: Timestamp, rest: &str) -> String {
    let (from, until) = (from.millis(), until.millis());
    format!("/api/v1/profiles/{view}?from={from}&until={until}&all_services=true&{rest}")
}

/// Every view of a range.
async fn views(world: &World, from: Timestamp, until: Timestamp) -> Vec<String> {
    let mut views = Vec::new();
    for rest in [
        format!("type={CPU}"),
        format!("type={CPU}&selector=%7Bservice_name%3D%22db%22%7D"),
        format!("type={CPU}&selector=%7Bmember%3D%22a%22%7D&by=service_name"),
        format!("type={LIVE}"),
    ] {
        for view in ["folded", "top"] {
            let (status, body) = world
                .get_as("anonymous", &path(view, from, until, &rest))
                .await;
            assert_eq!(status, 200);
            let text = String::from_utf8(body).expect("text");
            let mut lines: Vec<&str> = text.lines().collect();
            lines.sort_unstable();
            views.push(lines.join("\n"));
        }
        let rest = format!("{rest}&step=7200&by=service_name");
        views.push(world.json(&path("series", from, until, &rest)).await["series"].to_string());
    }
    for view in ["types", "labels"] {
        views.push(
            world
                .json(&path(view, from, until, "").replace("&all_services=true", ""))
                .await
                .to_string(),
        );
    }
    views
}

/// Reads everything; nothing is wrong.
async fn verify(world: &World) {
    for item in world.archive.verify().await.expect("listing") {
        assert_eq!(item.fault, None, "{item:?}");
    }
}

/// The keys that contain a text.
async fn keys(world: &World, part: &str) -> usize {
    world
        .keys()
        .await
        .iter()
        .filter(|key| key.contains(part))
        .count()
}

#[tokio::test]
async fn answers_are_the_same_before_and_after_compaction_and_deletion_of_finer_levels() {
    let start = start();
    let world = world_at(start);
    push_day(&world).await;
    let ranges = [(0, 24), (0, 1), (5, 19), (22, 24)];
    let mut expected = Vec::new();
    for (from, until) in ranges {
        expected.push(views(&world, start.plus(HOUR * from), start.plus(HOUR * until)).await);
    }
    let edges = (
        start.plus(HOUR).plus(Duration::from_mins(15)),
        start.plus(HOUR * 22).plus(Duration::from_mins(35)),
    );
    let of_edges = views(&world, edges.0, edges.1).await;
    let check = async |what: &str| {
        for ((from, until), expected) in ranges.iter().zip(&expected) {
            let found = views(&world, start.plus(HOUR * *from), start.plus(HOUR * *until)).await;
            for (found, expected) in found.iter().zip(expected) {
                assert_eq!(found, expected, "{what}: hours {from} to {until}");
            }
        }
    };
    assert!(compact(&world).await.0 >= 23);
    check("hour blocks").await;

    world.clock.advance(HOUR * 7);
    let mut rounds = 0;
    while compact(&world).await != (0, 0) {
        rounds += 1;
        assert!(rounds < 5, "compaction does not end");
    }
    assert_eq!(keys(&world, "/blocks/day/").await, 10);
    check("day block").await;
    verify(&world).await;
    assert_eq!(views(&world, edges.0, edges.1).await, of_edges);

    world.clock.advance(DAY * 2);
    assert!(compact(&world).await.1 >= 24);
    assert_eq!(
        (
            keys(&world, "/blocks/hour/").await,
            keys(&world, "/segments/").await
        ),
        (0, 0)
    );
    check("without windows").await;
    verify(&world).await;
    let top = world
        .json(&path("top", edges.0, edges.1, &format!("type={CPU}")))
        .await;
    assert_eq!(top["effective_from"], start.plus(HOUR).millis());
    assert_eq!(top["effective_until"], start.plus(HOUR * 23).millis());
    let whole = world
        .json(&path(
            "top",
            start.plus(HOUR),
            start.plus(HOUR * 23),
            &format!("type={CPU}"),
        ))
        .await;
    assert_eq!(
        (&top["total"], &top["functions"]),
        (&whole["total"], &whole["functions"])
    );

    world.clock.advance(DAY * 4);
    assert_eq!(compact(&world).await, (0, 1));
    assert_eq!(
        views(&world, start, start.plus(DAY)).await[..2],
        expected[0][..2]
    );
    let hour = world
        .json(&path("top", edges.0, edges.1, &format!("type={CPU}")))
        .await;
    assert_eq!(hour["effective_from"], start.millis());
    assert_eq!(hour["effective_until"], start.plus(DAY).millis());
    let day = world
        .json(&path("top", start, start.plus(DAY), &format!("type={CPU}")))
        .await;
    assert_eq!(hour["total"], day["total"]);

    world.clock.advance(DAY * 30);
    assert_eq!(compact(&world).await, (0, 1));
    assert_eq!(world.keys().await, Vec::<String>::new());
}

#[tokio::test]
async fn widened_range_is_stated_in_every_view() {
    let start = start();
    let world = world_at(start);
    push_day(&world).await;
    for _ in 0..3 {
        world.clock.advance(DAY);
        compact(&world).await;
    }
    assert_eq!(keys(&world, "/blocks/hour/").await, 0);
    let (from, until) = (
        start.plus(Duration::from_mins(65)),
        start.plus(Duration::from_mins(90)),
    );
    let effective = format!("{} to {}", start.plus(HOUR), start.plus(HOUR * 2));
    for view in ["folded", "svg", "pprof", "flamegraph", "series"] {
        let request = axum::http::Request::get(path(view, from, until, &format!("type={CPU}")))
            .body(axum::body::Body::empty())
            .expect("a request");
        let app = world.archive.query_router();
        let response = tower::ServiceExt::oneshot(app, request)
            .await
            .expect("an answer");
        let stated = response.headers().get("davy-effective-range").expect(view);
        assert_eq!(stated.to_str().expect("text"), effective, "{view}");
    }
    let (_, svg) = world
        .get_as(
            "anonymous",
            &path("svg", from, until, &format!("type={CPU}")),
        )
        .await;
    assert!(String::from_utf8_lossy(&svg).contains(&format!("effective range: {effective}")));
    let (_, raw) = world
        .get_as(
            "anonymous",
            &path("pprof", from, until, &format!("type={CPU}")),
        )
        .await;
    let raw = davy_profile::gzip::unpack(&raw, &davy_profile::Limits::default()).expect("gzip");
    assert!(String::from_utf8_lossy(&raw).contains(&format!("effective range: {effective}")));
    let json = world
        .json(&path("flamegraph", from, until, &format!("type={CPU}")))
        .await;
    assert_eq!(json["effective_from"], start.plus(HOUR).millis());
    assert_eq!(json["partial"], Value::Array(Vec::new()));
}

#[tokio::test]
async fn late_window_counts_before_and_after_it_is_in_a_day_block() {
    let start = start();
    let world = world_at(start);
    push_day(&world).await;
    world.clock.advance(HOUR * 7);
    while compact(&world).await != (0, 0) {}
    let total = async || {
        let all = path("top", start, start.plus(DAY), &format!("type={CPU}"));
        world.json(&all).await["total"].as_i64().expect("a number")
    };
    let before = total().await;
    // A window of 23:50 and one that is in the day block, pushed to another segment.
    let late = Clock::manual(start.plus(HOUR * 23).plus(Duration::from_mins(50)));
    let labels = [
        ("service_name", "web"),
        ("__name__", "process_cpu"),
        ("instance", "1"),
    ];
    let raw = cpu(&late, &[(&["main", "late"], 7, &[])]);
    assert_eq!(world.push("", &labels, "late", &raw).await.0, 200);
    assert_eq!(total().await, before + 7);
    assert_eq!(world.push("", &labels, "web cpu 71", &raw).await.0, 200);
    assert_eq!(total().await, before + 7);
    let mut rounds = 0;
    while compact(&world).await != (0, 0) {
        assert_eq!(total().await, before + 7);
        rounds += 1;
        assert!(rounds < 6, "compaction does not end");
    }
    // The day block with the late window has replaced the first one.
    assert_eq!(keys(&world, "/blocks/day/").await, 10);
    world.clock.advance(DAY * 3);
    compact(&world).await;
    assert_eq!(keys(&world, "/blocks/hour/").await, 0);
    assert_eq!(total().await, before + 7);
}

#[tokio::test]
async fn retention_states_what_it_would_delete_and_deletes_exactly_that() {
    let start = start();
    let world = world_at(start);
    push_day(&world).await;
    let compactor = world.archive.compactor();
    assert_eq!(compactor.retain(true).await.expect("listing"), []);
    world.clock.advance(DAY * 3);
    // Nothing has their sums yet.
    let kept = compactor.retain(false).await.expect("listing");
    assert_eq!(kept.len(), 432);
    assert!(
        kept.iter().all(|of| of.outcome == Outcome::Kept),
        "{kept:?}"
    );
    while compact(&world).await.0 > 0 {}
    assert_eq!(keys(&world, "/segments/").await, 0);
    world.clock.advance(DAY * 5);
    let keys = world.keys().await;
    let due = compactor.retain(true).await.expect("listing");
    assert_eq!(world.keys().await, keys);
    assert!(due.iter().all(|of| of.outcome == Outcome::Due), "{due:?}");
    let deleted = compactor.retain(false).await.expect("listing");
    let names = |all: &[Retained]| -> Vec<(String, &str, u64)> {
        let of = all.iter();
        of.map(|of| (of.name.clone(), of.kind, of.bytes)).collect()
    };
    assert_eq!(names(&deleted), names(&due));
    assert_eq!(deleted.len(), 1);
    assert_eq!(
        (deleted[0].kind, deleted[0].bytes > 0),
        ("hourly sums", true)
    );
}

/// Flips a bit in the middle of the only object whose key contains both texts.
async fn damage(world: &World, folder: &str, file: &str) {
    let keys = world.keys().await;
    let key = keys
        .iter()
        .find(|key| key.contains(folder) && key.ends_with(file));
    let key = Path::from(key.expect("an object").as_str());
    let read = world.bucket.get(&key).await.expect("read").bytes().await;
    let mut bytes = read.expect("read").to_vec();
    bytes[5] ^= 1;
    world.bucket.put(&key, bytes.into()).await.expect("written");
}

#[tokio::test]
async fn damaged_hour_block_is_quarantined_and_does_not_hold_up_its_day() {
    let start = start();
    let world = world_at(start);
    push_day(&world).await;
    assert!(compact(&world).await.0 > 0);
    damage(&world, "/blocks/hour/", "nodes.parquet").await;
    // Another archiver, whose cache is empty.
    let world = World::with({
        let mut options = options(Arc::clone(&world.bucket), &world.clock);
        options.policy.grace = Duration::ZERO;
        options.retention = DAY;
        options.levels = levels();
        options
    });
    let faults = async || {
        let items = world.archive.verify().await.expect("listing");
        let faults: Vec<String> = items.into_iter().filter_map(|of| of.fault).collect();
        faults.join("\n")
    };
    assert!(faults().await.contains("checksum"));
    world.clock.advance(HOUR * 7);
    let merged = world.archive.compactor().once().await.expect("compaction");
    assert_eq!(merged.failed, Vec::<String>::new());
    assert_eq!(keys(&world, "/blocks/day/").await, 10);
    assert_eq!(keys(&world, "/quarantine/checksum/blocks/hour/").await, 9);
    world.clock.advance(DAY * 2);
    compact(&world).await;
    assert_eq!(keys(&world, "/blocks/hour/").await, 9);
    let top = path("top", start, start.plus(DAY), &format!("type={CPU}"));
    let top = world.json(&top).await;
    let partial = top["partial"][0].as_str().expect("a sentence");
    assert!(
        partial.contains("quarantine") && partial.contains("checksum"),
        "{partial}"
    );
    assert_eq!(top["windows"], 3 * 69);
    assert!(
        faults().await.contains("1 inputs were damaged"),
        "{}",
        faults().await
    );
}

#[tokio::test]
async fn day_block_that_differs_from_its_hours_is_found() {
    let start = start();
    let world = world_at(start);
    push_day(&world).await;
    world.clock.advance(HOUR * 7);
    while compact(&world).await.0 > 0 {}
    verify(&world).await;
    // The block of another hour, with the name of this one.
    let keys = world.keys().await;
    let of_hour = |hh: &str| -> Vec<&String> {
        let part = format!("/{hh}/");
        keys.iter()
            .filter(|key| key.contains("/blocks/hour/") && key.contains(&part))
            .collect()
    };
    let mut from = of_hour("11");
    from.retain(|key| !key.ends_with("segments.json"));
    for (from, to) in from.into_iter().zip(of_hour("10")) {
        if to.ends_with("meta.json") {
            let meta = |key: &str| Path::from(key);
            let get = async |key: Path| {
                world
                    .bucket
                    .get(&key)
                    .await
                    .expect("read")
                    .bytes()
                    .await
                    .expect("read")
            };
            let mut new: Value = serde_json::from_slice(&get(meta(from)).await).expect("JSON");
            let old: Value = serde_json::from_slice(&get(meta(to)).await).expect("JSON");
            new["segments"] = old["segments"].clone();
            world
                .bucket
                .put(&meta(to), new.to_string().into())
                .await
                .expect("written");
        } else {
            let (from, to) = (Path::from(from.as_str()), Path::from(to.as_str()));
            world.bucket.copy(&from, &to).await.expect("copied");
        }
    }
    let other = World::on(Arc::clone(&world.bucket), &world.clock);
    let items = other.archive.verify().await.expect("listing");
    let faults: Vec<_> = items.iter().filter(|item| item.fault.is_some()).collect();
    assert_eq!(faults.len(), 1, "{faults:?}");
    let fault = faults[0].fault.as_deref().expect("a fault");
    assert_eq!(faults[0].kind, "day");
    assert!(fault.contains("in the pieces with windows"), "{fault}");
}

#[tokio::test]
async fn archivers_share_the_work_and_a_leaving_one_is_forgotten() {
    let start = start();
    let first = world_at(start);
    push_day(&first).await;
    first.clock.advance(HOUR * 7);
    let second = World::with({
        let mut options = options(Arc::clone(&first.bucket), &first.clock);
        options.retention = DAY;
        options.levels = levels();
        options
    });
    let drains: [CancellationToken; 2] = std::array::from_fn(|_| CancellationToken::new());
    let runs: Vec<_> = [&first, &second]
        .into_iter()
        .zip(&drains)
        .map(|(world, drain)| tokio::spawn(world.archive.compactor().run(drain.clone())))
        .collect();
    // Each has written its presence object, and they have merged the day together.
    while keys(&first, "/.archivers/").await < 2 || keys(&first, "/blocks/day/").await < 10 {
        first.clock.advance(Duration::from_secs(10));
        tokio::task::yield_now().await;
    }
    assert_eq!(
        first
            .archive
            .ls()
            .await
            .expect("listing")
            .iter()
            .filter(|of| of.kind == "day")
            .count(),
        1
    );
    for drain in &drains {
        drain.cancel();
    }
    for run in runs {
        run.await.expect("no panic");
    }
    assert_eq!(keys(&first, "/.archivers/").await, 0);
    let top = path("top", start, start.plus(DAY), &format!("type={CPU}"));
    assert_eq!(first.json(&top).await["windows"], 3 * 72);
}

#[tokio::test]
async fn requests_do_not_grow_with_the_number_of_days_that_are_listed() {
    let start = start();
    let world = world_at(start);
    push_day(&world).await;
    world.clock.advance(HOUR * 7);
    while compact(&world).await.0 > 0 {}
    let count = async |days: u32| {
        let before = world.bucket_requests();
        let until = start.plus(DAY);
        world
            .json(&path(
                "top",
                until.minus(DAY * days),
                until,
                &format!("type={CPU}"),
            ))
            .await;
        world.bucket_requests() - before
    };
    count(730).await;
    // One for each level; the rest is cached.
    assert_eq!((count(4).await, count(730).await), (3.0, 3.0));
}
