//! Damaged objects, and sums that differ.

use super::days::*;
use crate::support::{CPU, World, options};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

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
    assert_eq!(keys(&world, "/blocks/day/").await, 11);
    assert_eq!(keys(&world, "/quarantine/checksum/blocks/hour/").await, 10);
    world.clock.advance(DAY * 2);
    compact(&world).await;
    assert_eq!(keys(&world, "/blocks/hour/").await, 10);
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
