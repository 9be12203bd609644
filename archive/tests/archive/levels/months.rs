//! Months, and what the archive answers about them before and after they are merged.

use super::days::*;
use crate::copies::export;
use crate::support::{CPU, LIVE, World, cpu, options};
use davy_archive::ArchiveOptions;
use davy_archive::compact::Outcome;
use davy_archive::key::{Day, Hour, Month};
use davy_archive::plan::retention::Retention;
use davy_base::Clock;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// The month after the current one, which is after the times at which the bucket writes objects.
fn month() -> Month {
    Month(Month::of(Day::of(Hour::of(Clock::system().now()))).0 + 1)
}

fn of_month(clock: &Clock) -> ArchiveOptions {
    let mut options = options(Arc::new(InMemory::new()), clock);
    options.policy.grace = Duration::ZERO;
    options.policy.late_settle = Duration::ZERO;
    options.policy.month_settle = HOUR * 8;
    options.retention = DAY * 2;
    options.levels = Retention {
        windows: DAY * 3,
        hours: DAY * 10,
        days: DAY * 60,
    };
    options
}

/// An archive with the last two days of a month, in day blocks, seven hours after its end.
async fn two_days() -> World {
    two_days_and(&[]).await
}

/// The same, with windows of these names besides.
async fn two_days_and(others: &[&str]) -> World {
    let clock = Clock::manual(month().end().minus(DAY * 2 + Duration::from_mins(10)));
    let world = World::with(of_month(&clock));
    for day in ["first ", "last "] {
        push_day_as(&world, day).await;
    }
    for name in others {
        push_late(&world, name).await;
    }
    world
        .clock
        .advance(month().end().plus(HOUR * 7).since(world.clock.now()));
    compact_all(&world).await;
    world
}

/// Pushes a window of the last hour of the month, whose value is 7.
async fn push_late(world: &World, name: &str) {
    let late = Clock::manual(month().end().minus(Duration::from_mins(10)));
    let labels = [
        ("service_name", "web"),
        ("__name__", "process_cpu"),
        ("instance", "1"),
    ];
    let raw = cpu(&late, &[(&["main", "late"], 7, &[])]);
    assert_eq!(world.push("", &labels, name, &raw).await.0, 200);
}

async fn compact_all(world: &World) {
    let mut rounds = 0;
    while compact(world).await != (0, 0) {
        rounds += 1;
        assert!(rounds < 8, "compaction does not end");
    }
}

/// Another archiver on the same bucket, whose cache is empty.
fn another(world: &World) -> World {
    merging(world, 1_000_000)
}

/// Another archiver, whose merges hold this number of rows in memory.
fn merging(world: &World, merge_rows: usize) -> World {
    World::with(ArchiveOptions {
        bucket: Arc::clone(&world.bucket),
        merge_rows,
        ..of_month(&world.clock)
    })
}

/// Every view of the month, and of the month and the days around it.
async fn views_of_month(world: &World) -> Vec<String> {
    let (from, until) = (month().start(), month().end());
    let mut all = views(world, from, until).await;
    all.extend(views(world, from.minus(DAY * 3), until.plus(HOUR * 5)).await);
    for kind in [CPU, LIVE] {
        for step in [DAY, DAY * 7] {
            let rest = format!("type={kind}&by=service_name&step={}", step.as_secs());
            let series = world.json(&path("series", from, until, &rest)).await;
            all.push(series["series"].to_string());
        }
    }
    let (base_from, base_until) = (until.minus(DAY).millis(), until.millis());
    let rest = format!("type={CPU}&base_from={base_from}&base_until={base_until}");
    let diff = world.json(&path("diff", from, until, &rest)).await;
    all.push(diff["total"].to_string());
    all.push(diff["base_total"].to_string());
    all
}

async fn total(world: &World) -> (i64, usize) {
    let rest = format!("type={CPU}");
    let top = world
        .json(&path("top", month().start(), month().end(), &rest))
        .await;
    let partial = top["partial"].as_array().map_or(0, Vec::len);
    (top["total"].as_i64().expect("a number"), partial)
}

/// Deletes a table of all blocks in a folder.
async fn without(world: &World, folder: &str, file: &str) {
    for key in world.keys().await {
        if key.contains(folder) && key.ends_with(file) {
            let deleted = world.bucket.delete(&Path::from(key.as_str())).await;
            deleted.expect("deleted");
        }
    }
}

#[tokio::test]
async fn views_of_a_month_are_the_same_before_and_after_it_is_merged() {
    let world = two_days().await;
    assert_eq!(keys(&world, "/blocks/day/").await, 22);
    let expected = views_of_month(&world).await;
    assert_eq!(keys(&world, "/blocks/month/").await, 0);

    world.clock.advance(HOUR * 2);
    compact_all(&world).await;
    // Eight tables and the meta object.
    assert_eq!(keys(&world, "/blocks/month/").await, 9);
    let merged = views_of_month(&world).await;
    for (merged, expected) in merged.iter().zip(&expected) {
        assert_eq!(merged, expected);
    }
    verify(&world).await;
    let items = world.archive.ls().await.expect("listing");
    let read: Vec<_> = items.iter().filter(|of| of.kind == "month").collect();
    assert_eq!(read.len(), 1, "{read:?}");
    assert!(read[0].read && read[0].segments > 100, "{read:?}");
    let levels = world.archive.levels().await.expect("listing");
    let level = levels[0].levels.last().expect("a level");
    assert_eq!((level.level, level.pieces), ("month", 1));
    assert_eq!(level.first, month().to_string());

    // Windows and sums by hour have expired.
    world.clock.advance(DAY * 12);
    compact_all(&world).await;
    assert_eq!(keys(&world, "samples.parquet").await, 0);
    let expired = another(&world);
    let found = views_of_month(&expired).await;
    for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
        // Each third one of the first of both ranges is a series by two hours, which have expired.
        let is_by_hours = at < 28 && at % 14 < 12 && at % 14 % 3 == 2;
        assert!(found == expected || is_by_hours, "{at}: {found} {expected}");
    }
    verify(&expired).await;
}

#[tokio::test]
async fn month_that_is_merged_in_parts_has_the_same_views() {
    let world = two_days().await;
    let expected = views_of_month(&world).await;
    world.clock.advance(HOUR * 2);
    let other = merging(&world, 1);
    compact_all(&other).await;
    let mut all = other.keys().await.into_iter();
    let key = all.rfind(|key| key.contains("/blocks/month/") && key.ends_with("meta.json"));
    let read = world.bucket.get(&Path::from(key.expect("a block"))).await;
    let meta = read.expect("read").bytes().await.expect("read");
    let meta: Value = serde_json::from_slice(&meta).expect("JSON");
    assert!(
        meta["groups"].as_array().expect("groups").len() > 3,
        "{meta}"
    );
    verify(&other).await;
    let found = views_of_month(&other).await;
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
}

#[tokio::test]
async fn whole_month_is_read_from_its_month_block_and_its_days_from_day_blocks() {
    let world = two_days().await;
    let expected = total(&world).await;
    world.clock.advance(HOUR * 2);
    compact_all(&world).await;
    without(&world, "/blocks/day/", "nodes.parquet").await;
    let reader = another(&world);
    assert_eq!(total(&reader).await, expected);
    let last = month().end().minus(DAY);
    let day = path("top", last, month().end(), &format!("type={CPU}"));
    assert_eq!(reader.get_as("anonymous", &day).await.0, 503);
}

#[tokio::test]
async fn unreadable_month_block_is_found_and_its_days_are_read_instead() {
    let world = two_days().await;
    let expected = total(&world).await;
    world.clock.advance(HOUR * 2);
    compact_all(&world).await;
    without(&world, "/blocks/month/", "sums.parquet").await;
    let reader = another(&world);
    assert_eq!(total(&reader).await, expected);
    let items = reader.archive.verify().await.expect("listing");
    let faults: Vec<_> = items.iter().filter(|of| of.fault.is_some()).collect();
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!(faults[0].kind, "month");
}

#[tokio::test]
async fn month_block_that_differs_from_its_days_is_found() {
    let (world, other) = (two_days().await, two_days_and(&["other"]).await);
    let mut folders = Vec::new();
    for of in [&world, &other] {
        of.clock.advance(HOUR * 2);
        compact_all(of).await;
        let all = of.keys().await;
        let meta = all.iter().find(|key| key.contains("/blocks/month/"));
        let (folder, _) = meta.and_then(|key| key.rsplit_once('/')).expect("a block");
        folders.push(folder.to_owned());
    }
    let read = async |of: &World, folder: &str, file: &str| {
        let key = Path::from(format!("{folder}/{file}"));
        let read = of.bucket.get(&key).await.expect("read").bytes().await;
        read.expect("read")
    };
    // The tables of the other month block, with the days of this one.
    let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).expect("JSON");
    let mut meta = json(&read(&other, &folders[1], "meta.json").await);
    meta["days"] = json(&read(&world, &folders[0], "meta.json").await)["days"].take();
    for table in meta["tables"].as_object().expect("tables").keys() {
        let file = format!("{table}.parquet");
        let bytes = read(&other, &folders[1], &file).await;
        let key = Path::from(format!("{}/{file}", folders[0]));
        world.bucket.put(&key, bytes.into()).await.expect("written");
    }
    let key = Path::from(format!("{}/meta.json", folders[0]));
    let put = world.bucket.put(&key, meta.to_string().into()).await;
    put.expect("written");
    let items = another(&world).archive.verify().await.expect("listing");
    let faults: Vec<_> = items.iter().filter(|of| of.fault.is_some()).collect();
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!(faults[0].kind, "month");
    let fault = faults[0].fault.as_deref().expect("a fault");
    assert!(fault.contains("in the day block"), "{fault}");
}

#[tokio::test]
async fn late_window_counts_before_and_after_its_month_is_merged_again() {
    let world = two_days().await;
    world.clock.advance(HOUR * 2);
    compact_all(&world).await;
    let (before, _) = total(&world).await;
    push_late(&world, "late").await;
    assert_eq!(total(&world).await, (before + 7, 0));
    let mut rounds = 0;
    while compact(&world).await != (0, 0) {
        assert_eq!(total(&world).await, (before + 7, 0));
        rounds += 1;
        assert!(rounds < 8, "compaction does not end");
    }
    assert_eq!(keys(&world, "/blocks/month/").await, 9);
    // It is in the month block.
    without(&world, "/blocks/day/", "nodes.parquet").await;
    assert_eq!(total(&another(&world)).await, (before + 7, 0));
}

#[tokio::test]
async fn month_block_is_kept_as_long_as_its_first_day() {
    let world = two_days().await;
    world.clock.advance(HOUR * 2);
    compact_all(&world).await;
    let end = month().end().minus(DAY).plus(DAY * 60);
    world
        .clock
        .advance(end.minus(HOUR).since(world.clock.now()));
    compact_all(&world).await;
    assert_eq!(keys(&world, "/blocks/month/").await, 9);
    world.clock.advance(HOUR);
    let compactor = world.archive.compactor();
    let due = compactor.retain(true).await.expect("listing");
    let kinds: Vec<&str> = due.iter().map(|of| of.kind).collect();
    assert_eq!(kinds, ["day", "month"]);
    assert!(
        due.iter()
            .all(|of| of.outcome == Outcome::Due && of.bytes > 0)
    );
    assert_eq!(due[1].period, month().to_string());
    let deleted = compactor.retain(false).await.expect("listing");
    assert_eq!(deleted.len(), 2);
    assert_eq!(keys(&world, "/blocks/month/").await, 0);
    // The other day is not merged alone.
    compact_all(&world).await;
    assert_eq!(keys(&world, "/blocks/").await, 10);
}

#[tokio::test]
async fn query_of_months_opens_no_object_of_days() {
    let world = two_days().await;
    world.clock.advance(DAY * 12);
    compact_all(&world).await;
    let reader = another(&world);
    let requests = |request: &str, level: &str| {
        let labels = [("request", request), ("level", level)];
        reader.counted("davy_archive_bucket_requests_total", &labels)
    };
    let rest = format!("type={CPU}");
    let from = month().end().minus(DAY * 700);
    reader.json(&path("top", from, month().end(), &rest)).await;
    assert_eq!(requests("get", "day"), 0);
    let lists = ["segments", "hour", "day", "month"].map(|level| requests("list", level));
    assert_eq!(lists, [1; 4]);
}

#[tokio::test]
async fn copy_has_the_month_block_and_reads_it() {
    let world = two_days().await;
    world.clock.advance(HOUR * 2);
    compact_all(&world).await;
    let expected = total(&world).await;
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let report = export(&world, &store).await.expect("exported");
    assert!(report.conflicts.is_empty() && report.damaged.is_empty());
    let copy = World::with(ArchiveOptions {
        prefix: "copy/of".to_owned(),
        bucket: store,
        ..of_month(&world.clock)
    });
    assert_eq!(keys(&copy, "/blocks/month/").await, 9);
    without(&copy, "/blocks/day/", "nodes.parquet").await;
    assert_eq!(total(&copy).await, expected);
}
