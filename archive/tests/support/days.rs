//! A day of profiles, and archives that merge and expire it.

use super::{World, cpu, options, profile};
use davy_archive::plan::retention::Retention;
use davy_base::{Clock, Timestamp};
use object_store::memory::InMemory;
use std::sync::Arc;
use std::time::Duration;

pub const HOUR: Duration = Duration::from_hours(1);
pub const DAY: Duration = Duration::from_hours(24);

/// The start of the current day. Its end is after the times at which the bucket writes objects, which are those of the
/// system's clock.
pub fn start() -> Timestamp {
    Clock::system().now().floor(DAY)
}

pub fn levels() -> Retention {
    Retention {
        windows: DAY * 2,
        hours: DAY * 6,
        days: DAY * 30,
    }
}

pub fn world_at(start: Timestamp) -> World {
    let clock = Clock::manual(start);
    let mut options = options(Arc::new(InMemory::new()), &clock);
    options.policy.grace = Duration::ZERO;
    options.policy.late_settle = Duration::ZERO;
    options.retention = DAY;
    options.levels = levels();
    World::with(options)
}

pub const SERVICES: [&str; 3] = ["api", "db", "web"];

/// Pushes CPU and heap profiles of three services, every 20 minutes from 00:10 to 23:50.
pub async fn push_day(world: &World) {
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

pub async fn compact(world: &World) -> (usize, usize) {
    let done = world.archive.compactor().once().await.expect("compaction");
    assert_eq!(done.failed, Vec::<String>::new());
    (done.merged, done.deleted)
}

pub fn path(view: &str, from: Timestamp, until: Timestamp, rest: &str) -> String {
    let (from, until) = (from.millis(), until.millis());
    format!("/api/v1/profiles/{view}?from={from}&until={until}&all_services=true&{rest}")
}

/// Reads everything; nothing is wrong.
pub async fn verify(world: &World) {
    for item in world.archive.verify().await.expect("listing") {
        assert_eq!(item.fault, None, "{item:?}");
    }
}

/// The keys that contain a text.
pub async fn keys(world: &World, part: &str) -> usize {
    world
        .keys()
        .await
        .iter()
        .filter(|key| key.contains(part))
        .count()
}
