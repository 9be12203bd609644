//! Answers stay the same while hours are merged into day blocks and finer levels are deleted.
#![allow(clippy::type_complexity, reason = "stacks are written as literals")]

mod support;

use davy_archive::plan::retention::Retention;
use davy_base::{Clock, Timestamp};
use object_store::memory::InMemory;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use support::{CPU, LIVE, World, cpu, options, profile};

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
