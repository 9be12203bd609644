//! Views before and after compaction and deletion.

use super::days::*;
use crate::support::{CPU, cpu};
use davy_archive::compact::{Outcome, Retained};
use davy_base::{Clock, Timestamp};
use serde_json::Value;
use std::time::Duration;

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
    assert_eq!(keys(&world, "/blocks/day/").await, 11);
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
    assert_eq!(keys(&world, "/blocks/day/").await, 11);
    world.clock.advance(DAY * 3);
    compact(&world).await;
    assert_eq!(keys(&world, "/blocks/hour/").await, 0);
    assert_eq!(total().await, before + 7);
}

/// A window without a time of its own is in the hour of its arrival, and so in two days.
#[tokio::test]
async fn window_that_was_pushed_twice_around_midnight_counts_once() {
    let start = start();
    let world = world_at(start);
    let labels = [("service_name", "web"), ("__name__", "process_cpu")];
    let raw = cpu(&Clock::manual(Timestamp::EPOCH), &[(&["main"], 7, &[])]);
    world.clock.advance(Duration::from_mins(24 * 60 - 1));
    assert_eq!(world.push("", &labels, "twice", &raw).await.0, 200);
    world.clock.advance(Duration::from_mins(2));
    assert_eq!(world.push("", &labels, "twice", &raw).await.0, 200);
    assert_eq!(keys(&world, "/segments/").await, 2);
    let total = async || {
        let both = path("top", start, start.plus(DAY * 2), &format!("type={CPU}"));
        let top = world.json(&both).await;
        (
            top["total"].as_i64(),
            top["partial"].as_array().map(Vec::len),
        )
    };
    assert_eq!(total().await, (Some(7), Some(0)));
    world.clock.advance(DAY + HOUR * 7);
    while compact(&world).await != (0, 0) {
        assert_eq!(total().await, (Some(7), Some(0)));
    }
    assert_eq!(keys(&world, "/blocks/day/").await, 22);
    world.clock.advance(DAY * 3);
    compact(&world).await;
    assert_eq!(keys(&world, "/blocks/hour/").await, 0);
    assert_eq!(total().await, (Some(7), Some(0)));
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
