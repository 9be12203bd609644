//! Days of profiles, and what the archive answers about them.

use crate::support::{CPU, LIVE, World, cpu, options, profile};
use davy_archive::plan::retention::Retention;
use davy_base::{Clock, Timestamp};
use object_store::memory::InMemory;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

pub(crate) const HOUR: Duration = Duration::from_hours(1);
pub(crate) const DAY: Duration = Duration::from_hours(24);

/// The start of the current day. Its end is after the times at which the bucket writes objects, which are those of the
/// system's clock.
pub(crate) fn start() -> Timestamp {
    Clock::system().now().floor(DAY)
}

pub(crate) fn levels() -> Retention {
    Retention {
        windows: DAY * 2,
        hours: DAY * 6,
        days: DAY * 30,
    }
}

pub(crate) fn world_at(start: Timestamp) -> World {
    let clock = Clock::manual(start);
    let mut options = options(Arc::new(InMemory::new()), &clock);
    options.policy.grace = Duration::ZERO;
    options.policy.late_settle = Duration::ZERO;
    options.retention = DAY;
    options.levels = levels();
    World::with(options)
}

pub(crate) const SERVICES: [&str; 3] = ["api", "db", "web"];

/// Pushes CPU and heap profiles of three services, every 20 minutes from 00:10 to 23:50.
pub(crate) async fn push_day(world: &World) {
    push_day_as(world, "").await;
}

/// The same, with this text before the ids of the windows.
pub(crate) async fn push_day_as(world: &World, of: &str) {
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
            let id = format!("{of}{service} cpu {step}");
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
            let id = format!("{of}{service} heap {step}");
            assert_eq!(world.push("", &labels("memory"), &id, &raw).await.0, 200);
        }
        world.clock.advance(Duration::from_mins(20));
    }
}

pub(crate) async fn compact(world: &World) -> (usize, usize) {
    let done = world.archive.compactor().once().await.expect("compaction");
    assert_eq!(done.failed, Vec::<String>::new());
    (done.merged, done.deleted)
}

pub(crate) fn path(view: &str, from: Timestamp, until: Timestamp, rest: &str) -> String {
    let (from, until) = (from.millis(), until.millis());
    format!("/api/v1/profiles/{view}?from={from}&until={until}&all_services=true&{rest}")
}

/// Every view of a range.
pub(crate) async fn views(world: &World, from: Timestamp, until: Timestamp) -> Vec<String> {
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
            let mut text = String::from_utf8(body).expect("text");
            if view == "top" {
                let mut top: Value = serde_json::from_str(&text).expect("JSON");
                // Finer levels cost more.
                top["cost"].take();
                text = top.to_string();
            }
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
pub(crate) async fn verify(world: &World) {
    for item in world.archive.verify().await.expect("listing") {
        assert_eq!(item.fault, None, "{item:?}");
    }
}

/// The keys that contain a text.
pub(crate) async fn keys(world: &World, part: &str) -> usize {
    world
        .keys()
        .await
        .iter()
        .filter(|key| key.contains(part))
        .count()
}
