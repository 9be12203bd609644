//! Old logs in an archive.

use davy_archive::key::Tenant;
use davy_archive::query::{Ask, flame};
use davy_archive::selector::Selector;
use davy_archive::types::TypeFilter;
use davy_archive::{Archive, ArchiveOptions};
use davy_arclamp::import::{ImportReport, find, import};
use davy_base::{Clock, Timestamp};
use davy_profile::flame::Grain;
use davy_profile::{folded, gzip};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const CPU: &str = "process_cpu:samples:count:cpu:nanoseconds";

fn archive(bucket: &Arc<dyn ObjectStore>) -> Archive {
    let options = ArchiveOptions {
        retention: Duration::from_hours(24 * 1_000),
        flush_interval: Duration::from_millis(20),
        ..ArchiveOptions::new(Arc::clone(bucket))
    };
    Archive::new(options, &prometheus::Registry::new()).expect("fresh")
}

async fn import_all(bucket: &Arc<dyn ObjectStore>, folder: &Path) -> ImportReport {
    let (logs, _) = find(folder).expect("readable");
    let archive = archive(bucket);
    let done = import(&archive, &Tenant::anonymous(), "site", &logs, &|_, _| {}).await;
    done.expect("imported")
}

/// The folded stacks between two times, sorted.
async fn stacks(
    bucket: &Arc<dyn ObjectStore>,
    selector: &str,
    from: &str,
    until: &str,
) -> Vec<String> {
    let time = |text: &str| davy_archive::time::parse(text, Timestamp::EPOCH).expect("a time");
    let ask = Ask {
        tenant: Tenant::anonymous(),
        kind: TypeFilter::parse(CPU),
        selector: Selector::parse(selector).expect("a selector"),
        from: time(from),
        until: time(until),
        by: vec![],
    };
    let (flame, _) = flame(&archive(bucket).query(), &ask, Grain::Function)
        .await
        .expect("an answer");
    let mut lines: Vec<String> = folded::encode(&flame.tree)
        .lines()
        .map(str::to_owned)
        .collect();
    lines.sort();
    lines
}

fn write(folder: &Path, name: &str, text: &[u8]) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("created");
    std::fs::write(path, text).expect("written");
}

/// The day before the day before yesterday, whose logs Arc Lamp has compressed.
fn day() -> String {
    let now = Clock::system().now().minus(Duration::from_hours(72));
    now.to_string()[..10].to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_of_a_day_count_once_and_at_their_hours() {
    let bucket: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let folder = tempfile::tempdir().expect("a folder");
    let day = day();
    let (index, load) = ("/w/index.php;Main;f", "load.php;g");
    let hour = |hour: &str, tag: &str| format!("logs/hourly/{day}_{hour}.excimer.{tag}.log");
    write(
        folder.path(),
        &hour("00", "all"),
        format!("{index} 1\n{load} 2\n").as_bytes(),
    );
    write(
        folder.path(),
        &hour("00", "index"),
        format!("{index} 1\n").as_bytes(),
    );
    write(
        folder.path(),
        &hour("05", "all"),
        format!("{index} 4\n").as_bytes(),
    );
    let whole = format!("{index} 5\n{load} 2\n");
    write(
        folder.path(),
        &format!("logs/daily/{day}.excimer.all.log.gz"),
        &gzip::compress(whole.as_bytes()),
    );
    let report = import_all(&bucket, folder.path()).await;
    assert_eq!((report.logs, report.lines, report.samples), (2, 3, 7));
    let from = format!("{day}T00:00:00Z");
    let all = stacks(&bucket, "", &from, &format!("{day}T23:59:59Z")).await;
    assert_eq!(all, [format!("{index} 5"), format!("{load} 2")]);
    let one = stacks(
        &bucket,
        "{member=\"index\"}",
        &format!("{day}T05:00:00Z"),
        &format!("{day}T06:00:00Z"),
    )
    .await;
    assert_eq!(one, [format!("{index} 4")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_import_counts_nothing_twice() {
    let bucket: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let folder = tempfile::tempdir().expect("a folder");
    let day = day();
    let name = format!("{day}.excimer.all.log");
    write(folder.path(), &name, b"i.php;f 1\n");
    let first = import_all(&bucket, folder.path()).await;
    let again = import_all(&bucket, folder.path()).await;
    assert_eq!(
        (first.logs, first.known, again.logs, again.known),
        (1, 0, 0, 1)
    );
    // As if the process had died before it noted the log.
    let notes: Vec<_> = {
        use futures_util::TryStreamExt;
        let all: Vec<_> = bucket.list(None).try_collect().await.expect("listed");
        all.into_iter()
            .filter(|of| of.location.as_ref().contains("imports"))
            .collect()
    };
    assert_eq!(notes.len(), 1);
    object_store::ObjectStoreExt::delete(&bucket, &notes[0].location)
        .await
        .expect("deleted");
    let resumed = import_all(&bucket, folder.path()).await;
    assert_eq!(resumed.logs, 1);
    let all = stacks(
        &bucket,
        "",
        &format!("{day}T00:00:00Z"),
        &format!("{day}T23:59:59Z"),
    )
    .await;
    assert_eq!(all, ["i.php;f 1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn good_lines_of_a_damaged_log_are_imported_and_the_others_are_counted() {
    let bucket: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let folder = tempfile::tempdir().expect("a folder");
    let day = day();
    let text = b"i.php;f 1\nno count\n\n\x00\xff;x 2\ni.php;cut off";
    write(folder.path(), &format!("{day}.excimer.all.log"), text);
    let lines: Vec<u8> = (0..50_000)
        .flat_map(|at| format!("i.php;g{at} 1\n").into_bytes())
        .collect();
    let packed = gzip::compress(&lines);
    write(
        folder.path(),
        &format!("{day}.excimer-wall.all.log.gz"),
        &packed[..packed.len() / 2],
    );
    let report = import_all(&bucket, folder.path()).await;
    assert_eq!((report.logs, report.truncated), (2, 1));
    // The last line of the truncated log may be cut off, too.
    assert!((2..=3).contains(&report.bad_lines), "{report:?}");
    let all = stacks(
        &bucket,
        "",
        &format!("{day}T00:00:00Z"),
        &format!("{day}T23:59:59Z"),
    )
    .await;
    assert_eq!(all.len(), 2, "{all:?}");
}
