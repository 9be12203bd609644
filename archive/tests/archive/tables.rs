//! Published Iceberg tables: what they contain, by other engines and by the archive's own queries.
#![allow(clippy::type_complexity, reason = "stacks are written as literals")]

use crate::levels::days::{DAY, HOUR, compact, levels, start};
use crate::support::{CPU, World, cpu, options, profile};
use davy_archive::iceberg::{PublishedTables, TableOptions};
use davy_base::{Clock, Timestamp};
use davy_bucket::{BucketSettings, process_environment};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

const ALLOCATED: &str = "memory:alloc_space:bytes:space:bytes";

/// An archive in a folder.
fn world_in(folder: &Path, clock: &Clock) -> World {
    let settings = BucketSettings::new(format!("file://{}", folder.display()));
    let opened = davy_bucket::open(&settings, &process_environment, clock).expect("a bucket");
    let mut options = options(Arc::clone(&opened.store), clock);
    options.opened = Some(opened);
    options.policy.grace = Duration::ZERO;
    options.policy.late_settle = Duration::ZERO;
    // Blocks of an hour are not merged with each other.
    options.policy.ratio = 0;
    options.retention = DAY;
    options.levels = levels();
    World::with(options)
}

async fn publish(world: &World) -> PublishedTables {
    let options = TableOptions::default();
    let published = world.archive.publish_tables(&options, &|_, _| {}).await;
    let mut published = published.expect("published");
    assert_eq!(published.len(), 1);
    published.remove(0)
}

async fn push(world: &World, service: &str, step: i64) {
    let version = if step < 12 { "1.0" } else { "1.1" };
    let team = if service == "api" { "core" } else { "shop" };
    let labels = |kind| {
        [
            ("service_name", service),
            ("__name__", kind),
            ("team", team),
            ("version", version),
        ]
    };
    let stacks: [(&[&str], i64, &[(&str, &str)]); 4] = [
        (
            &["main", "parse", "read"],
            1_000 * (1 + step % 5),
            &[("member", "a")],
        ),
        (&["main", "parse", "parse"], 700 + step, &[]),
        (&["main", service], 5_000 + 100 * step, &[]),
        (&["main"], 3, &[]),
    ];
    let raw = cpu(&world.clock, &stacks);
    let id = format!("{service} cpu {step}");
    let pushed = world.push("", &labels("process_cpu"), &id, &raw).await;
    assert_eq!(pushed.0, 200);
    let kind = ("alloc_space", "bytes");
    let raw = profile(&world.clock, kind, ("space", "bytes"), &stacks[1..3]);
    let id = format!("{service} heap {step}");
    let pushed = world.push("", &labels("memory"), &id, &raw).await;
    assert_eq!(pushed.0, 200);
}

/// Hour 34 has a large block, and a small one with a window of it.
async fn push_twice(world: &World) {
    let raw = |part: usize| {
        let names: Vec<String> = (0..400).map(|at| format!("function {part} {at}")).collect();
        let stacks: Vec<[&str; 2]> = names.iter().map(|name| ["main", name]).collect();
        let samples = stacks.iter().map(|stack| (&stack[..], 7, &[][..]));
        cpu(&world.clock, &samples.collect::<Vec<_>>())
    };
    let labels = [("service_name", "web"), ("__name__", "process_cpu")];
    let windows: Vec<Vec<u8>> = (0..10).map(raw).collect();
    for (at, raw) in windows.iter().enumerate() {
        let id = format!("doubled {at}");
        assert_eq!(world.push("", &labels, &id, raw).await.0, 200);
    }
    world.clock.advance(HOUR);
    compact(world).await;
    // The start of the window is in the profile, and the id makes it the same window.
    let id = "doubled 3";
    assert_eq!(world.push("", &labels, id, &windows[3]).await.0, 200);
    compact(world).await;
}

/// A day block of yesterday, hour blocks of 30, 31 and 32 o'clock, an hour with a doubled window, and a segment.
async fn fill(world: &World) {
    for step in 0..24 {
        world.clock.advance(Duration::from_mins(10));
        for service in ["api", "web"] {
            push(world, service, step).await;
        }
        world.clock.advance(Duration::from_mins(50));
    }
    compact(world).await;
    world.clock.advance(HOUR * 7);
    while compact(world).await != (0, 0) {}
    world.clock.advance(Duration::from_mins(10));
    for step in 31..34 {
        for service in ["api", "web"] {
            push(world, service, step).await;
        }
        world.clock.advance(HOUR);
    }
    compact(world).await;
    push_twice(world).await;
    push(world, "web", 35).await;
}

fn dev() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    std::env::var_os("DEV_FOLDER").map_or(root.join(".dev"), |folder| root.join(folder))
}

/// The results of queries by engine. None if the engines are not installed.
fn results(folder: &Path, queries: &[String]) -> Option<Value> {
    let python = dev().join("tools/bin/python");
    let modules = "import pyiceberg, pyarrow, duckdb_extension_iceberg, duckdb_extension_avro";
    let is_there = Command::new(&python)
        .args(["-c", modules])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !is_there {
        davy_test_support::skip("pyiceberg and DuckDB are not installed: ops/dev/need iceberg");
        return None;
    }
    let tables = format!("file://{}/davy/anonymous/table", folder.display());
    let mut run = Command::new(python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tables/read.py"))
        .arg(tables)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let text = json!(queries).to_string();
    let mut input = run.stdin.take().expect("piped");
    input.write_all(text.as_bytes()).expect("written");
    drop(input);
    let output = run.wait_with_output().expect("ended");
    assert!(output.status.success());
    Some(serde_json::from_slice(&output.stdout).expect("JSON"))
}

/// The queries in the documentation.
fn documented() -> Vec<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ops/docs/iceberg.md");
    let text = std::fs::read_to_string(file).expect("the page");
    let blocks = text.split("```sql\n").skip(1);
    let query = |block: &str| block.split("```").next().map(str::to_owned);
    blocks.filter_map(query).collect()
}

/// The table of functions of a service, a type and a range.
async fn top(world: &World, range: &(Timestamp, Timestamp), selector: &str, kind: &str) -> Value {
    let (from, until) = (range.0.millis(), range.1.millis());
    let mut encoded = String::new();
    for byte in selector.bytes() {
        encoded.push_str(&format!("%{byte:02x}"));
    }
    let path = format!(
        "/api/v1/profiles/top?from={from}&until={until}&type={kind}&selector={encoded}&limit=10000"
    );
    world.json(&path).await
}

/// A value of each function.
fn functions(top: &Value, value: &str) -> Vec<(String, i64)> {
    let rows = top["functions"].as_array().expect("functions");
    let mut rows: Vec<(String, i64)> = rows
        .iter()
        .map(|row| {
            let name = row["name"].as_str().expect("a name").to_owned();
            (name, row[value].as_i64().expect("a value"))
        })
        .filter(|(_, value)| *value != 0)
        .collect();
    rows.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    rows
}

const TOTALS: &str = "SELECT s.service, s.type, sum(v.value)::BIGINT FROM sums v JOIN series s USING (block, series) \
                      GROUP BY ALL ORDER BY ALL";
const OF_SAMPLES: &str = "SELECT s.service, s.type, sum(v.value)::BIGINT FROM samples v JOIN series s USING (block, series) \
                          GROUP BY ALL ORDER BY ALL";
const WINDOWS: &str = "SELECT s.service, sum(w.count)::BIGINT FROM windows w JOIN (SELECT DISTINCT block, source, service \
                       FROM series) s USING (block, source) GROUP BY ALL ORDER BY ALL";
const TOP: &str = "SELECT f.name, sum(v.value)::BIGINT FROM sums v JOIN series s USING (block, series) JOIN nodes USING \
                   (block, node) JOIN frames USING (block, frame) JOIN functions f USING (block, function) WHERE \
                   s.service = 'web' AND s.type = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds' GROUP BY ALL ORDER BY 2 \
                   DESC, 1";
const PARTITIONS: &str = "SELECT count(DISTINCT block), count(DISTINCT day), count(DISTINCT hour), max(hour) FROM windows";

async fn check(world: &World, folder: &Path, range: (Timestamp, Timestamp)) -> Option<()> {
    let queries = [TOTALS, OF_SAMPLES, WINDOWS, TOP, PARTITIONS];
    let mut queries: Vec<String> = queries.iter().map(|of| (*of).to_owned()).collect();
    queries.extend(documented());
    assert_eq!(queries.len(), 8);
    let all = results(folder, &queries)?;
    assert_eq!(all["duckdb"], all["pyiceberg"]);
    let results = &all["duckdb"];

    let (mut totals, mut windows) = (Vec::new(), Vec::new());
    for service in ["api", "web"] {
        let selector = format!("{{service_name=\"{service}\"}}");
        let mut count = 0;
        for kind in [ALLOCATED, CPU] {
            let top = top(world, &range, &selector, kind).await;
            assert_eq!(top["partial"], json!([]), "{top}");
            totals.push(json!([service, kind, top["total"]]));
            count += top["windows"].as_i64().expect("a number");
        }
        windows.push(json!([service, count]));
    }
    assert_eq!(results[0], json!(totals));
    assert_eq!(results[1], json!(totals));
    assert_eq!(results[2], json!(windows));
    let web = top(world, &range, "{service_name=\"web\"}", CPU).await;
    let expected = functions(&web, "self");
    assert_eq!(results[3], json!(expected));

    // What a function costs with its callees, by service.
    let mut costs = Vec::new();
    for service in ["api", "web"] {
        let selector = format!("{{service_name=\"{service}\"}}");
        let top = top(world, &range, &selector, CPU).await;
        let of = functions(&top, "total")
            .into_iter()
            .find(|(name, _)| name == "parse");
        costs.push((service, of.expect("a row").1 as f64 / 1e9));
    }
    costs.sort_by(|a, b| b.1.total_cmp(&a.1));
    assert_eq!(results[5], json!(costs));

    // Shares of the functions of two versions.
    let share = async |version: &str| {
        let selector = format!("{{service_name=\"web\",version=\"{version}\"}}");
        let top = top(world, &range, &selector, CPU).await;
        let total = top["total"].as_f64().expect("a total");
        let share = |(name, value): (String, i64)| (name, value as f64 / total);
        functions(&top, "self")
            .into_iter()
            .map(share)
            .collect::<Vec<_>>()
    };
    let (old, new) = (share("1.0").await, share("1.1").await);
    let before = |name: &str| old.iter().find(|of| of.0 == name).map_or(0.0, |of| of.1);
    let mut grown: Vec<(String, f64, f64)> = new
        .into_iter()
        .map(|(name, after)| (name.clone(), before(&name), after))
        .filter(|(_, before, after)| after > before)
        .collect();
    grown.sort_by(|a, b| (b.2 - b.1).total_cmp(&(a.2 - a.1)));
    assert!(!grown.is_empty());
    assert_eq!(results[6], json!(grown));

    let mut allocators = Vec::new();
    for team in ["core", "shop"] {
        let selector = format!("{{team=\"{team}\"}}");
        let top = top(world, &range, &selector, ALLOCATED).await;
        for (name, bytes) in functions(&top, "self").into_iter().take(10) {
            allocators.push(json!([team, name, bytes]));
        }
    }
    assert_eq!(results[7], json!(allocators));
    Some(())
}

#[tokio::test]
async fn other_engines_get_the_results_of_queries_from_the_published_tables() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = Clock::manual(start());
    let world = world_in(folder.path(), &clock);
    let from = clock.now();
    fill(&world).await;
    let published = publish(&world).await;
    let reasons: Vec<&str> = published.left_out.iter().map(|of| of.reason).collect();
    assert_eq!(
        reasons,
        [
            "a window was pushed twice; wait for the day block",
            "not compacted yet"
        ]
    );
    assert_eq!(published.complete_until, published.left_out[0].hour);
    assert_eq!(published.faults, Vec::<String>::new());
    // The day, and three hours.
    assert!(
        published.tables.iter().all(|table| table.files == 4),
        "{published:?}"
    );
    let until = from.plus(HOUR * 34);
    if check(&world, folder.path(), (from, until)).await.is_none() {
        return;
    }
    // When the day is over, its block has the doubled window once.
    world.clock.advance(HOUR * 24);
    while compact(&world).await != (0, 0) {}
    let published = publish(&world).await;
    assert_eq!(published.left_out, []);
    assert!(
        published.tables.iter().all(|table| table.files == 2),
        "{published:?}"
    );
    check(&world, folder.path(), (from, from.plus(DAY * 2))).await;
    // The sums by hour expire before those of the day.
    world.clock.advance(DAY * 4);
    while compact(&world).await != (0, 0) {}
    world.clock.advance(DAY * 2);
    compact(&world).await;
    let published = publish(&world).await;
    let files = |name: &str| {
        let table = published.tables.iter().find(|table| table.table == name);
        table.expect("a table").files
    };
    assert_eq!((files("samples"), files("sums")), (0, 2), "{published:?}");
    assert!(published.samples_from.is_some());
}

#[tokio::test]
async fn publication_without_changes_writes_nothing_and_old_metadata_are_deleted() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = Clock::manual(start());
    let world = world_in(folder.path(), &clock);
    let keys = async || {
        let keys = world.keys().await;
        let of_table = keys.into_iter().filter(|key| key.contains("/table/sums/"));
        of_table.collect::<Vec<String>>()
    };
    world.clock.advance(Duration::from_mins(10));
    push(&world, "api", 0).await;
    world.clock.advance(HOUR);
    compact(&world).await;
    let dry = TableOptions {
        is_dry_run: true,
        ..TableOptions::default()
    };
    world
        .archive
        .publish_tables(&dry, &|_, _| {})
        .await
        .expect("listed");
    assert_eq!(keys().await, Vec::<String>::new());
    let first = publish(&world).await;
    let written = keys().await;
    assert_eq!(written.len(), 4, "{written:?}");
    let second = publish(&world).await;
    assert_eq!(keys().await, written);
    assert_eq!(second.tables[0].snapshot, first.tables[0].snapshot);
    // Each hour is a new snapshot; those of a day are kept.
    for step in 1..30 {
        push(&world, "api", step).await;
        world.clock.advance(HOUR);
        compact(&world).await;
        let published = publish(&world).await;
        assert!(published.tables.iter().all(|table| table.added > 0));
    }
    let kept = keys().await;
    let count = |part: &str| kept.iter().filter(|key| key.contains(part)).count();
    assert_eq!(count("snap-"), count("-m0.avro"));
    assert!((20..28).contains(&count("snap-")), "{}", count("snap-"));
    assert_eq!(count("metadata.json"), 11);
}
