//! A window is counted once from its acknowledgement through compaction and deletion of its segment.

use crate::support::{CPU, LIVE, WEB, World, clock, cpu, options, profile};
use davy_base::Random;
use object_store::ObjectStoreExt;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use std::sync::Arc;
use std::time::Duration;

#[tokio::test]
async fn acknowledged_window_counts_once_before_and_after_compaction() {
    let folder = tempfile::tempdir().expect("a folder");
    let bucket = Arc::new(LocalFileSystem::new_with_prefix(folder.path()).expect("a bucket"));
    let mut options = options(bucket, &clock());
    options.policy.grace = Duration::from_hours(2);
    let world = World::with(options);
    let raw = cpu(
        &world.clock,
        &[(&["main", "work"], 30, &[]), (&["main"], 12, &[])],
    );
    assert_eq!(world.push("", WEB, "id-1", &raw).await.0, 200);
    let keys = world.keys().await;
    assert_eq!(keys.len(), 1);
    assert!(keys[0].starts_with("davy/anonymous/segments/"), "{keys:?}");
    let expected = "main 12\nmain;work 30";
    assert_eq!(world.folded(&format!("type={CPU}")).await, expected);

    // The same window again, in another segment.
    assert_eq!(world.push("", WEB, "ID-1", &raw).await.0, 200);
    assert_eq!(world.keys().await.len(), 2);
    assert_eq!(world.folded(&format!("type={CPU}")).await, expected);

    world.clock.advance(Duration::from_mins(40));
    let done = world.archive.compactor().once().await.expect("compaction");
    assert_eq!((done.merged, done.deleted), (1, 0), "{done:?}");
    assert_eq!(world.keys().await.len(), 12);
    assert_eq!(world.folded(&format!("type={CPU}")).await, expected);

    // The next round merges nothing, and inputs are deleted only after the grace period.
    assert_eq!(
        world
            .archive
            .compactor()
            .once()
            .await
            .expect("compaction")
            .merged,
        0
    );
    world.clock.advance(Duration::from_hours(4));
    let done = world.archive.compactor().once().await.expect("compaction");
    assert_eq!((done.merged, done.deleted), (0, 2), "{done:?}");
    assert_eq!(world.keys().await.len(), 10);
    let verified = world.archive.verify().await.expect("listing");
    assert!(
        verified.len() == 1 && verified[0].fault.is_none() && verified[0].read,
        "{verified:?}"
    );
    let wide = format!("from=now-9h&until=now&type={CPU}");
    let (_, body) = world
        .get_as("anonymous", &format!("/api/v1/profiles/folded?{wide}"))
        .await;
    assert_eq!(String::from_utf8_lossy(&body).lines().count(), 2);
}

#[tokio::test]
async fn block_without_its_meta_object_does_not_exist() {
    let world = World::new();
    let raw = cpu(&world.clock, &[(&["main"], 5, &[])]);
    assert_eq!(
        world.push("", WEB, "a", &raw).await,
        (axum::http::StatusCode::OK, String::new())
    );
    world.clock.advance(Duration::from_mins(40));
    assert_eq!(
        world
            .archive
            .compactor()
            .once()
            .await
            .expect("compaction")
            .merged,
        1
    );
    let keys = world.keys().await;
    let meta = keys
        .iter()
        .find(|key| key.ends_with("meta.json"))
        .expect("a block");
    world
        .bucket
        .delete(&Path::from(meta.as_str()))
        .await
        .expect("deleted");
    let other = World::on(Arc::clone(&world.bucket), &world.clock);
    assert_eq!(other.folded(&format!("type={CPU}")).await, "main 5");
    // The next round merges the same segment into the same block.
    assert_eq!(
        other
            .archive
            .compactor()
            .once()
            .await
            .expect("compaction")
            .merged,
        1
    );
    assert_eq!(other.keys().await, keys);
}

/// Two archivers push, retry, compact and delete in random order.
#[tokio::test]
async fn every_window_counts_once_in_any_history() {
    for seed in 0..12 {
        let mut random = Random::seeded(seed);
        let bucket = Arc::new(InMemory::new());
        let clock = clock();
        let worlds: Vec<World> = (0..2)
            .map(|_| {
                let mut options = options(Arc::clone(&bucket) as _, &clock);
                options.policy.segments = 3;
                options.policy.grace = Duration::from_mins(10);
                options.merge_rows = 4;
                World::with(options)
            })
            .collect();
        let mut expected = 0i64;
        let mut sent: Vec<(String, Vec<u8>)> = Vec::new();
        for step in 0..40 {
            let world = &worlds[random.below(2) as usize];
            match random.below(5) {
                0 | 1 => {
                    let name = ["a", "b", "c"][random.below(3) as usize];
                    let raw = cpu(
                        &clock,
                        &[(&["main", name], 1i64 << step, &[]), (&["idle"], 1, &[])],
                    );
                    expected += (1i64 << step) + 1;
                    assert_eq!(world.push("", WEB, &step.to_string(), &raw).await.0, 200);
                    sent.push((step.to_string(), raw));
                }
                2 if !sent.is_empty() => {
                    let (id, raw) = &sent[random.below(sent.len() as u64) as usize];
                    assert_eq!(world.push("", WEB, id, raw).await.0, 200);
                }
                3 => {
                    let done = world.archive.compactor().once().await.expect("compaction");
                    assert_eq!(done.failed, Vec::<String>::new());
                }
                _ => clock.advance(Duration::from_mins(random.below(6))),
            }
            let answer = &worlds[random.below(2) as usize];
            let top = answer
                .json(
                    &format!("/api/v1/profiles/top?from=now-6h&until=now%2B&type={CPU}")
                        .replace("now%2B", &(clock.now().millis() + 1).to_string()),
                )
                .await;
            assert_eq!(top["total"], expected, "seed {seed}, step {step}: {top}");
            assert_eq!(top["partial"].as_array().map(Vec::len), Some(0), "{top}");
        }
    }
}

#[tokio::test]
async fn part_of_an_hour_counts_only_its_windows() {
    let world = World::new();
    let mut starts = Vec::new();
    for minute in 0..4 {
        starts.push(world.clock.now().millis());
        let raw = cpu(&world.clock, &[(&["main"], 1 << minute, &[])]);
        assert_eq!(world.push("", WEB, &minute.to_string(), &raw).await.0, 200);
        world.clock.advance(Duration::from_mins(1));
    }
    for round in 0..2 {
        let total = async |from: i64, until: i64| {
            world
                .json(&format!(
                    "/api/v1/profiles/top?type={CPU}&from={from}&until={until}"
                ))
                .await["total"]
                .clone()
        };
        assert_eq!(total(starts[0], starts[0] + 1).await, 1, "round {round}");
        assert_eq!(total(starts[1], starts[3]).await, 6, "round {round}");
        assert_eq!(
            total(starts[0] - 1, starts[3] + 1).await,
            15,
            "round {round}"
        );
        let path = format!(
            "/api/v1/profiles/series?type={CPU}&from={}&until={}&step=120",
            starts[0],
            starts[3] + 60_000
        );
        let series = world.json(&path).await;
        let points = &series["series"][0]["points"];
        assert_eq!(points[0][1], 3, "{series}");
        assert_eq!(points[1][1], 12, "{series}");
        world.clock.advance(Duration::from_mins(45));
        world.archive.compactor().once().await.expect("compaction");
    }
}

#[tokio::test]
async fn a_series_with_a_focus_has_the_values_of_the_stacks_that_match() {
    let world = World::new();
    let mut starts = Vec::new();
    for minute in 0..3i64 {
        starts.push(world.clock.now().millis());
        let stacks: [(&[&str], i64, &[_]); 3] = [
            (&["main", "serve", "encode"], 10 + minute, &[]),
            (&["main", "encode", "serve"], 100, &[]),
            (&["main", "idle"], 1_000, &[]),
        ];
        let raw = cpu(&world.clock, &stacks);
        assert_eq!(world.push("", WEB, &minute.to_string(), &raw).await.0, 200);
        world.clock.advance(Duration::from_mins(1));
    }
    let range = format!("type={CPU}&from={}&until={}", starts[0], starts[2] + 60_000);
    for round in 0..2 {
        let points = async |focus: &str| {
            let path = format!("/api/v1/profiles/series?{range}&step=60&focus={focus}");
            let series = world.json(&path).await;
            let points = series["series"][0]["points"].as_array().cloned();
            let points = points.unwrap_or_default().into_iter();
            points
                .map(|point| point[1].as_i64().unwrap_or(-1))
                .collect::<Vec<_>>()
        };
        assert_eq!(points("^encode$").await, [110, 111, 112], "round {round}");
        assert_eq!(points("idle|serve").await, [1_110, 1_111, 1_112]);
        assert_eq!(points("nothing").await, [0i64; 0]);
        let top = format!("/api/v1/profiles/top?{range}&focus=%5Eencode%24");
        assert_eq!(world.json(&top).await["total"], 333);
        let wrong = format!("/api/v1/profiles/series?{range}&focus=%28");
        assert_eq!(world.get_as("", &wrong).await.0, 400);
        world.clock.advance(Duration::from_mins(45));
        world.archive.compactor().once().await.expect("compaction");
    }
}

#[tokio::test]
async fn gauges_are_averaged_per_source_and_summed_over_sources() {
    let world = World::new();
    let heap = |value: i64| {
        profile(
            &world.clock,
            ("inuse_space", "bytes"),
            ("space", "bytes"),
            &[(&["main"], value, &[])],
        )
    };
    let source = |instance: &'static str| {
        [
            ("service_name", "web"),
            ("__name__", "memory"),
            ("instance", instance),
        ]
    };
    // One instance has 100 and 200, the other 30 and 0.
    assert_eq!(world.push("", &source("1"), "a", &heap(100)).await.0, 200);
    assert_eq!(world.push("", &source("1"), "b", &heap(200)).await.0, 200);
    assert_eq!(world.push("", &source("2"), "c", &heap(30)).await.0, 200);
    assert_eq!(world.push("", &source("2"), "d", &heap(0)).await.0, 200);
    for round in 0..2 {
        assert_eq!(world.folded(&format!("type={LIVE}")).await, "main 165");
        let grouped = world.folded(&format!("type={LIVE}&by=instance")).await;
        assert_eq!(grouped, "instance=1;main 150\ninstance=2;main 15");
        let series = world
            .json(&format!(
                "/api/v1/profiles/series?step=3600&{}",
                world.range(&format!("type={LIVE}"))
            ))
            .await;
        assert_eq!(series["series"][0]["points"][0][1], 165, "{series}");
        world.clock.advance(Duration::from_mins(40));
        assert_eq!(
            world
                .archive
                .compactor()
                .once()
                .await
                .expect("compaction")
                .merged,
            1 - round
        );
    }
}
