//! Objects of earlier versions of the format stay readable. `data/version-1` was written by the last version of
//! this crate that wrote version 1: a block of two windows and a segment of a third one, in the same hour.

use crate::support::{CPU, World, options};
use davy_archive::format::Table;
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

#[tokio::test]
async fn rewrite_replaces_blocks_of_version_1_by_successors_that_readers_prefer() {
    let world = world().await;
    // A day without segments, as all days are that are older than an hour.
    let keys = world.keys().await;
    let segment = keys.iter().find(|key| key.ends_with(".segment"));
    let segment = Path::from(segment.expect("a segment").as_str());
    world.bucket.delete(&segment).await.expect("deleted");
    let before = folded(&world, "").await;
    let compactor = world.archive.compactor();
    let due = compactor.rewrite(true, &|_, _| {}).await.expect("listed");
    assert_eq!((due.len(), due[0].version), (1, 1));
    assert_eq!(due[0].successor, None);
    let keys = world.keys().await;
    let done = compactor
        .rewrite(false, &|_, _| {})
        .await
        .expect("rewritten");
    let successor = done[0].successor.clone().expect("a block");
    assert!(successor < done[0].block, "{done:?}");
    let added = world.keys().await.len() - keys.len();
    assert_eq!(
        added,
        Table::ALL.iter().filter(|of| !of.is_optional()).count() + 1,
        "its tables and the meta object"
    );
    assert_eq!(folded(&world, "").await, before);
    let items = world.archive.verify().await.expect("listing");
    let read: Vec<&str> = items
        .iter()
        .filter(|of| of.read)
        .map(|of| &*of.name)
        .collect();
    assert!(read.contains(&successor.as_str()), "{items:?}");
    assert!(!read.contains(&done[0].block.as_str()), "{items:?}");
    // A second rewrite has nothing to do, and the old block is deleted by compaction.
    let again = compactor.rewrite(false, &|_, _| {}).await.expect("listed");
    assert_eq!(again, []);
    // The bucket's times are those of the system's clock.
    let clock = Clock::manual(Clock::system().now().plus(Duration::from_hours(2)));
    let mut options = options(Arc::clone(&world.bucket), &clock);
    options.levels.windows = Duration::from_hours(24 * 9_000);
    let later = World::with(options);
    later.archive.compactor().once().await.expect("compaction");
    let keys = world.keys().await;
    assert!(
        !keys.iter().any(|key| key.contains(&done[0].block)),
        "{keys:?}"
    );
    assert_eq!(folded(&world, "").await, before);
}

#[tokio::test]
async fn rewrite_that_was_interrupted_before_the_meta_object_is_done_again() {
    let world = world().await;
    let before = folded(&world, "").await;
    let compactor = world.archive.compactor();
    let done = compactor
        .rewrite(false, &|_, _| {})
        .await
        .expect("rewritten");
    let keys = world.keys().await;
    let successor = done[0].successor.clone().expect("a block");
    let meta = keys
        .iter()
        .find(|key| key.contains(&successor) && key.ends_with("meta.json"));
    let meta = Path::from(meta.expect("a meta object").as_str());
    world.bucket.delete(&meta).await.expect("deleted");
    let other = self::reopened(&world);
    assert_eq!(folded(&other, "").await, before);
    let again = other.archive.compactor().rewrite(false, &|_, _| {}).await;
    assert_eq!(again.expect("rewritten"), done);
    assert_eq!(world.keys().await, keys);
    assert_eq!(folded(&self::reopened(&world), "").await, before);
}

/// Another archiver of the same bucket, whose cache is empty.
fn reopened(world: &World) -> World {
    World::with(options(Arc::clone(&world.bucket), &world.clock))
}
