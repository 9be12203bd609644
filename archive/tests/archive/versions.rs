//! Objects of earlier versions of the format stay readable. `data/version-1` was written by the last version of
//! this crate that wrote version 1: a block of two windows and a segment of a third one, in the same hour.

use crate::support::{CPU, World, options};
use davy_base::{Clock, Timestamp};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use std::path::Path as Folder;
use std::sync::Arc;
use std::time::Duration;

/// When the windows were pushed.
const TIME: Timestamp = Timestamp::from_millis(1_790_000_000_000);

/// A bucket with the files of a folder.
async fn bucket(folder: &Folder) -> Arc<dyn ObjectStore> {
    let bucket = InMemory::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(at) = pending.pop() {
        for entry in std::fs::read_dir(at).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                pending.push(path);
                continue;
            }
            let key = path.strip_prefix(folder).expect("below the folder");
            let key: Path = key
                .iter()
                .map(|part| part.to_string_lossy().into_owned())
                .collect();
            let bytes = std::fs::read(&path).expect("a file");
            bucket.put(&key, bytes.into()).await.expect("stored");
        }
    }
    Arc::new(bucket)
}

async fn world() -> World {
    let data = Folder::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/version-1");
    let clock = Clock::manual(TIME.plus(Duration::from_hours(5)));
    let mut options = options(bucket(&data).await, &clock);
    options.policy.grace = Duration::ZERO;
    World::with(options)
}

/// The query parameters of a view of the hour.
fn hour(rest: &str) -> String {
    let (from, until) = (TIME.millis() - 60_000, TIME.millis() + 60_000);
    format!("from={from}&until={until}&type={CPU}&{rest}")
}

async fn folded(world: &World, rest: &str) -> String {
    let path = format!("/api/v1/profiles/folded?{}", hour(rest));
    let (status, body) = world.get_as("anonymous", &path).await;
    let text = String::from_utf8(body).expect("text");
    assert_eq!(status, 200, "{text}");
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// Three windows of 100, 200 and 1,000 ns in `work`, twice that at an address, and 5 ns without a stack.
const EXPECTED: &str = "(no stack) 15\nmain;0x403000 [server] 2600\nmain;work 1300";

#[tokio::test]
async fn blocks_and_segments_of_version_1_are_read() {
    let world = world().await;
    assert_eq!(folded(&world, "").await, EXPECTED);
    let member = folded(&world, "selector=%7Bmember=%22api%22%7D").await;
    assert_eq!(member, "main;work 1300");
    let verified = world.archive.verify().await.expect("listing");
    assert_eq!(verified.len(), 2);
    assert!(
        verified
            .iter()
            .all(|item| item.read && item.fault.is_none())
    );
}

#[tokio::test]
async fn compaction_merges_version_1_into_the_current_version() {
    let world = world().await;
    let before = folded(&world, "").await;
    let done = world.archive.compactor().once().await.expect("compaction");
    assert_eq!((done.merged, &*done.failed), (1, &[][..]));
    let keys = world.keys().await;
    assert!(
        keys.iter().any(|key| key.ends_with("/functions.parquet")),
        "{keys:?}"
    );
    // Queries read the new block instead of what was merged into it.
    assert_eq!(folded(&world, "").await, before);
}
