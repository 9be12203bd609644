//! Copies of an archive: to other buckets and tars, interrupted, and while the source changes.

use crate::levels::days::{DAY, HOUR, compact, levels, push_day, start, verify, views, world_at};
use crate::support::hooked::Hooked;
use crate::support::{World, cpu, options};
use davy_archive::copy::{CopyOptions, CopyReport, CopySource, CopyTarget};
use davy_archive::key::{Day, Hour, Tenant};
use davy_base::Timestamp;
use davy_bucket::{BucketUrl, ClientOptions, OpenBucket};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use std::io::Write;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A bucket with a prefix of its own.
fn opened(store: &Arc<dyn ObjectStore>) -> OpenBucket {
    let mut url = BucketUrl::parse("memory:").expect("valid");
    "copy/of".clone_into(&mut url.prefix);
    OpenBucket {
        store: Arc::clone(store),
        multipart: None,
        url,
    }
}

/// Requests that write large objects in parts.
fn requests() -> ClientOptions {
    ClientOptions {
        multipart_bytes: 700,
        ..ClientOptions::default()
    }
}

async fn export_to(world: &World, target: CopyTarget) -> CopyReport {
    let options = CopyOptions::default();
    let copied = world.archive.export(target, &options, &|_, _| {}).await;
    copied.expect("exported")
}

async fn import_from(world: &World, source: CopySource) -> davy_archive::Result<CopyReport> {
    let options = CopyOptions::default();
    world.archive.import(source, &options, &|_, _| {}).await
}

async fn export_with(
    world: &World,
    store: &Arc<dyn ObjectStore>,
    options: &CopyOptions,
) -> davy_archive::Result<CopyReport> {
    let target = CopyTarget::bucket(opened(store), &requests());
    world.archive.export(target, options, &|_, _| {}).await
}

pub(crate) async fn export(
    world: &World,
    store: &Arc<dyn ObjectStore>,
) -> davy_archive::Result<CopyReport> {
    export_with(world, store, &CopyOptions::default()).await
}

/// The archive in a copy.
fn of_copy(store: &Arc<dyn ObjectStore>, world: &World) -> World {
    let mut options = options(Arc::clone(store), &world.clock);
    "copy/of".clone_into(&mut options.prefix);
    options.retention = DAY;
    options.levels = levels();
    options.policy.grace = Duration::ZERO;
    World::with(options)
}

fn memory() -> Arc<dyn ObjectStore> {
    Arc::new(InMemory::new())
}

/// An archive with a day block, hour blocks, segments, and damaged objects.
async fn filled() -> (World, Timestamp) {
    let start = start();
    let world = world_at(start);
    push_day(&world).await;
    compact(&world).await;
    world.clock.advance(HOUR * 7);
    while compact(&world).await != (0, 0) {}
    let raw = cpu(&world.clock, &[(&["main", "new"], 7, &[])]);
    let labels = [("service_name", "api"), ("__name__", "process_cpu")];
    assert_eq!(world.push("", &labels, "new", &raw).await.0, 200);
    assert_eq!(world.push("team/a", &labels, "new", &raw).await.0, 200);
    let key = "davy/anonymous/quarantine/checksum/segments/2026-01-01/00/x.segment";
    world
        .bucket
        .put(&Path::from(key), "damaged".into())
        .await
        .expect("stored");
    (world, start)
}

async fn all_views(world: &World, start: Timestamp) -> Vec<String> {
    let now = world.clock.now().plus(HOUR);
    let mut all = views(world, start, now).await;
    all.extend(views(world, start.plus(HOUR * 2), start.plus(HOUR * 5)).await);
    all
}

#[tokio::test]
async fn export_has_the_same_answers_and_a_second_one_copies_nothing() {
    let (world, start) = filled().await;
    let store = memory();
    let report = export(&world, &store).await.expect("exported");
    assert!(
        report.conflicts.is_empty() && report.damaged.is_empty(),
        "{report:?}"
    );
    assert_eq!((report.passes, report.skipped.objects), (1, 0));
    let copy = of_copy(&store, &world);
    verify(&copy).await;
    assert_eq!(
        all_views(&copy, start).await,
        all_views(&world, start).await
    );
    let names = |keys: Vec<String>| -> Vec<String> {
        let is_copied = |key: &String| !key.contains(".archivers") && !key.contains(".probe");
        let keys = keys.into_iter().filter(is_copied);
        keys.map(|key| key.replace("copy/of/", "davy/")).collect()
    };
    assert_eq!(names(copy.keys().await), names(world.keys().await));

    let again = export(&world, &store).await.expect("exported");
    assert_eq!(again.copied.objects, 0);
    assert_eq!(again.skipped, report.copied);
}

#[tokio::test]
async fn copy_that_is_interrupted_at_any_write_is_whole_and_goes_on() {
    let (world, start) = filled().await;
    let expected = all_views(&world, start).await;
    let inner = memory();
    let hooked = Arc::new(Hooked::new(Arc::clone(&inner)));
    let store: Arc<dyn ObjectStore> = Arc::clone(&hooked) as _;
    let mut interruptions = 0;
    let report = loop {
        // An odd number, so that it falls anywhere in a block.
        hooked.writes.store(7, Ordering::SeqCst);
        let exported = export(&world, &store).await;
        verify(&of_copy(&inner, &world)).await;
        match exported {
            Ok(report) => break report,
            Err(error) => assert!(error.to_string().contains("interrupted"), "{error}"),
        }
        interruptions += 1;
        assert!(interruptions < 100, "the copy makes no progress");
    };
    assert!(interruptions > 20, "{interruptions}");
    assert!(report.skipped.objects > report.copied.objects, "{report:?}");
    assert_eq!(all_views(&of_copy(&inner, &world), start).await, expected);
}

#[tokio::test]
async fn blocks_that_are_replaced_during_the_export_are_copied_by_another_listing() {
    // The number of reads after which compaction merges and deletes.
    for reads in [0, 1, 5, 20, 60] {
        let start = start();
        let inner = memory();
        let hooked = Arc::new(Hooked::new(Arc::clone(&inner)));
        let clock = davy_base::Clock::manual(start);
        let mut of = options(Arc::clone(&hooked) as _, &clock);
        of.policy.grace = Duration::ZERO;
        of.policy.late_settle = Duration::ZERO;
        of.retention = DAY;
        of.levels = levels();
        let world = World::with(of);
        push_day(&world).await;
        let expected = all_views(&world, start).await;
        // Another archiver of the same bucket, whose clock is ahead.
        let ahead = davy_base::Clock::manual(world.clock.now().plus(HOUR * 7));
        let mut of = options(Arc::clone(&inner), &ahead);
        of.policy.grace = Duration::ZERO;
        of.retention = DAY;
        of.levels = levels();
        let other = World::with(of);
        let compactor = other.archive.compactor();
        let event = async move {
            for _ in 0..4 {
                compactor.once().await.expect("compaction");
            }
        };
        hooked.before_read(reads, Box::pin(event));
        let store = memory();
        let report = export(&world, &store).await.expect("exported");
        assert!(report.passes > 1, "{reads}: {report:?}");
        let copy = of_copy(&store, &world);
        verify(&copy).await;
        assert_eq!(all_views(&copy, start).await, expected, "{reads}");
    }
}

#[tokio::test]
async fn different_content_in_the_target_is_reported_with_both_names_and_kept() {
    let (world, _) = filled().await;
    let store = memory();
    export(&world, &store).await.expect("exported");
    let keys = of_copy(&store, &world).keys().await;
    let find = |part: &str| {
        let is_damaged = part == "quarantine";
        let mut of_kind = keys
            .iter()
            .filter(|key| key.contains("quarantine") == is_damaged);
        let key = of_kind.find(|key| key.contains(part));
        Path::from(key.expect("an object").as_str())
    };
    let changed = [
        find(".segment"),
        find("quarantine"),
        find("meta.json"),
        find("sums.parquet"),
    ];
    for key in &changed {
        let read = store.get(key).await.expect("read").bytes().await;
        let mut bytes = read.expect("read").to_vec();
        // The checksum of a segment is before its last eight bytes.
        let at = bytes.len().saturating_sub(9);
        bytes[at] ^= 1;
        if key.as_ref().ends_with("sums.parquet") {
            bytes.push(0);
        }
        store.put(key, bytes.into()).await.expect("written");
    }
    let report = export(&world, &store).await.expect("exported");
    assert_eq!(report.copied.objects, 0, "{report:?}");
    // The file is of the block whose meta object differs.
    assert!(report.conflicts.len() >= 3, "{report:?}");
    for conflict in &report.conflicts {
        assert!(
            conflict.contains("memory:/davy/") && conflict.contains("memory:/copy/of/"),
            "{conflict}"
        );
    }
}

#[tokio::test]
async fn damaged_objects_are_copied_as_they_are_and_named() {
    let (world, _) = filled().await;
    let keys = world.keys().await;
    for part in [".segment", "/blocks/hour/"] {
        let key = keys.iter().find(|key| {
            let is_table = key.ends_with("nodes.parquet") || key.ends_with(".segment");
            key.contains(part) && is_table && !key.contains("quarantine")
        });
        let key = Path::from(key.expect("an object").as_str());
        let read = world.bucket.get(&key).await.expect("read").bytes().await;
        let mut bytes = read.expect("read").to_vec();
        bytes[20] ^= 1;
        world.bucket.put(&key, bytes.into()).await.expect("written");
    }
    let store = memory();
    let report = export(&world, &store).await.expect("exported");
    assert_eq!(report.damaged.len(), 2, "{report:?}");
    assert!(
        report
            .damaged
            .iter()
            .all(|text| text.contains("checksum mismatch"))
    );
    let items = of_copy(&store, &world).archive.verify().await;
    let faults = items
        .expect("listing")
        .into_iter()
        .filter(|of| of.fault.is_some());
    assert!(faults.count() >= 2);
}

#[tokio::test]
async fn copy_is_limited_to_a_tenant_and_to_days_and_a_dry_run_writes_nothing() {
    let (world, start) = filled().await;
    let store = memory();
    let mut limited = CopyOptions {
        tenant: Tenant::new("team/a"),
        is_dry_run: true,
        ..CopyOptions::default()
    };
    let report = export_with(&world, &store, &limited)
        .await
        .expect("exported");
    assert_eq!(report.copied.objects, 1);
    assert_eq!(of_copy(&store, &world).keys().await, Vec::<String>::new());
    limited.tenant = None;
    limited.is_dry_run = false;
    let today = Day::of(Hour::of(start));
    limited.from = Some(Day(today.0 + 1));
    export_with(&world, &store, &limited)
        .await
        .expect("exported");
    let keys = of_copy(&store, &world).keys().await;
    let tomorrow = Day(today.0 + 1).to_string();
    assert_eq!(keys.len(), 2, "{keys:?}");
    assert!(keys.iter().all(|key| key.contains(&tomorrow)), "{keys:?}");
}

#[tokio::test]
async fn tar_is_continued_after_an_interruption_and_imported() {
    let (world, start) = filled().await;
    let expected = all_views(&world, start).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("archive.tar");
    let export = async || {
        let target = CopyTarget::tar(&file).expect("a tar");
        export_to(&world, target).await
    };
    let whole = export().await;
    let length = std::fs::metadata(&file).expect("a file").len();
    // As if the process had been killed: the file ends anywhere.
    for cut in [
        0,
        1,
        511,
        700,
        1_500,
        20_000,
        length / 2,
        length - 1_600,
        length - 1,
    ] {
        let open = std::fs::OpenOptions::new().write(true).open(&file);
        open.expect("a file").set_len(cut).expect("truncated");
        let imported = CopySource::tar(&file).map(drop);
        if cut < length - 1_024 {
            let error = imported.expect_err("an incomplete tar").to_string();
            assert!(
                error.contains("incomplete") || error.contains("is not a tar file"),
                "{cut}: {error}"
            );
        }
        let report = export().await;
        let objects = report.copied.objects + report.skipped.objects;
        assert_eq!(objects, whole.copied.objects, "{cut}: {report:?}");
        if cut == length - 1_600 {
            assert!(report.copied.objects < 3, "{report:?}");
        }
        let store = memory();
        let copy = of_copy(&store, &world);
        let source = CopySource::tar(&file).expect("a tar");
        let imported = import_from(&copy, source).await.expect("imported");
        assert_eq!(imported.damaged, Vec::<String>::new());
        verify(&copy).await;
        assert_eq!(all_views(&copy, start).await, expected, "{cut}");
    }
    let other = folder.path().join("notes.txt");
    std::fs::write(&other, [b'x'; 4_096]).expect("written");
    let refused = CopyTarget::tar(&other).map(drop).expect_err("not a tar");
    assert!(
        refused.to_string().contains("is not a tar file that davy"),
        "{refused}"
    );
}

/// Collects what is written.
#[derive(Clone, Default)]
struct Collected(Arc<Mutex<Vec<u8>>>);

impl Write for Collected {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn tar_in_a_pipe_is_imported_and_a_truncated_one_is_refused_with_what_came_whole() {
    let (world, start) = filled().await;
    let collected = Collected::default();
    let target = CopyTarget::stream(Box::new(collected.clone())).expect("a tar");
    let exported = export_to(&world, target).await;
    let bytes = collected.0.lock().expect("no panic").clone();
    let store = memory();
    let copy = of_copy(&store, &world);
    let import = async |bytes: &[u8]| {
        let source = CopySource::stream(Box::new(std::io::Cursor::new(bytes.to_vec())));
        import_from(&copy, source).await
    };
    for cut in [100, bytes.len() / 3, bytes.len() - 1_600] {
        let error = import(&bytes[..cut]).await.expect_err("a truncated tar");
        assert_ne!(error.to_string(), "");
        verify(&copy).await;
    }
    let report = import(&bytes).await.expect("imported");
    assert_eq!(report.damaged, Vec::<String>::new());
    assert_eq!(report.conflicts, Vec::<String>::new());
    assert!(report.skipped.objects > 0, "{report:?}");
    assert!(report.copied.objects + report.skipped.objects >= exported.copied.objects);
    verify(&copy).await;
    assert_eq!(
        all_views(&copy, start).await,
        all_views(&world, start).await
    );
    // A bit that flips on the way is found.
    let mut damaged = bytes.clone();
    let at = damaged
        .windows(8)
        .position(|of| of == b"DAVYSEG1")
        .expect("a segment");
    damaged[at + 30] ^= 1;
    let other = of_copy(&memory(), &world);
    let source = CopySource::stream(Box::new(std::io::Cursor::new(damaged)));
    let imported = import_from(&other, source).await.expect("imported");
    assert_eq!(imported.damaged.len(), 1);
}
