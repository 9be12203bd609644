//! From a trace to its flame graph: samples with the ids of spans and traces.

use crate::levels::days::{DAY, HOUR, world_at};
use crate::support::requests::{one_type, packed};
use crate::support::{CPU, WEB, World, cpu, options};
use davy_archive::{Archive, ArchiveOptions};
use davy_base::{Clock, Timestamp};
use davy_profile::{Label, LabelValue};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::column::reader::ColumnReader;
use parquet::file::reader::{FileReader, SerializedFileReader};
use std::sync::Arc;
use std::time::Duration;

const API: &[(&str, &str)] = &[("service_name", "api"), ("__name__", "process_cpu")];
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const OTHER: &str = "0af7651916cd43dd8448eb211c80319c";

/// The frames, the value and the labels of a sample.
type Stack<'a> = (&'a [&'a str], i64, &'a [(&'a str, &'a str)]);

/// Pushes a window of two services, of which one trace has three spans.
async fn push(world: &World, id: &str) {
    let root = [
        ("trace_id", TRACE),
        ("span_id", "00f067aa0ba902b7"),
        ("op", "Get"),
    ];
    let child = [
        ("trace_id", TRACE),
        ("span_id", "53995c3f42cd8ad8"),
        ("op", "Get"),
    ];
    let other = [
        ("trace_id", OTHER),
        ("span_id", "b7ad6b7169203331"),
        ("op", "Get"),
    ];
    let web = cpu(
        &world.clock,
        &[
            (&["main", "serve"], 100, &root),
            (&["main", "serve", "encode"], 20, &child),
            (&["main", "serve"], 3_000, &other),
            (&["main", "gc"], 50_000, &[]),
        ],
    );
    assert_eq!(world.push("", WEB, &format!("{id} web"), &web).await.0, 200);
    let remote = [("trace_id", TRACE), ("profile_id", "a2fb4a1d1a96d312")];
    let api = cpu(
        &world.clock,
        &[
            (&["main", "query"], 7, &remote),
            (&["main", "idle"], 600, &[]),
        ],
    );
    assert_eq!(world.push("", API, &format!("{id} api"), &api).await.0, 200);
}

fn compactor(options: ArchiveOptions) -> Archive {
    Archive::new(options, &prometheus::Registry::new()).expect("fresh registry")
}

#[tokio::test]
async fn trace_id_leads_to_the_stacks_of_its_spans() {
    let world = World::new();
    push(&world, "1").await;
    let folded = async |rest: &str| world.folded(&format!("type={CPU}&{rest}")).await;
    let whole = "main;serve 100\nmain;serve;encode 20";
    for rest in [
        format!("selector=%7Bservice_name=%22web%22%7D&trace={TRACE}"),
        format!("selector=%7Bservice_name=%22web%22,trace_id=%22{TRACE}%22%7D"),
    ] {
        assert_eq!(folded(&rest).await, whole, "{rest}");
    }
    // A trace crosses services.
    let of_trace = format!("trace={TRACE}");
    assert_eq!(folded(&of_trace).await, format!("main;query 7\n{whole}"));
    let by = format!("trace={TRACE}&by=service_name");
    assert_eq!(
        folded(&by).await,
        "service_name=api;main;query 7\nservice_name=web;main;serve 100\nservice_name=web;main;serve;encode 20"
    );
    assert_eq!(
        folded("span=53995C3F42CD8AD8").await,
        "main;serve;encode 20"
    );
    assert_eq!(
        folded("selector=%7Bprofile_id=%22a2fb4a1d1a96d312%22%7D").await,
        "main;query 7"
    );
    assert_eq!(
        folded(&format!("trace={OTHER}&span=00f067aa0ba902b7")).await,
        ""
    );

    // What has no span counts where no span is asked for.
    let all = "main;gc 50000\nmain;serve 3100\nmain;serve;encode 20";
    assert_eq!(folded("selector=%7Bservice_name=%22web%22%7D").await, all);
    let range = world.range(&format!("type={CPU}&trace={TRACE}"));
    let series = world
        .json(&format!("/api/v1/profiles/series?{range}&by=service_name"))
        .await;
    let totals: Vec<i64> = series["series"]
        .as_array()
        .expect("series")
        .iter()
        .map(|of| of["points"][0][1].as_i64().expect("a value"))
        .collect();
    assert_eq!(totals, [120, 7], "{series}");
    let top = world.json(&format!("/api/v1/profiles/top?{range}")).await;
    assert_eq!(
        (&top["total"], &top["windows"]),
        (&127.into(), &2.into()),
        "{top}"
    );
    let diff = world
        .json(&format!("/api/v1/profiles/flamegraph?{range}"))
        .await;
    assert_eq!(diff["total"], 127, "{diff}");
    let (status, body) = world
        .get_as("", "/api/v1/profiles/top?type=cpu&trace=4bf9-2f35")
        .await;
    let body = String::from_utf8_lossy(&body).into_owned();
    assert!(status == 400 && body.contains("invalid trace"), "{body}");
}

#[tokio::test]
async fn spans_are_neither_labels_nor_series() {
    let world = World::new();
    let spans: Vec<String> = (1..=2_000).map(|span| format!("{span:016x}")).collect();
    let labels: Vec<[(&str, &str); 2]> = spans
        .iter()
        .map(|span| [("span_id", span.as_str()), ("op", "Get")])
        .collect();
    let stacks: Vec<Stack<'_>> = labels
        .iter()
        .map(|of| (&["main", "serve"] as &[&str], 1, of as &[(&str, &str)]))
        .collect();
    let raw = cpu(&world.clock, &stacks);
    assert_eq!(world.push("", WEB, "many", &raw).await.0, 200);
    let names = world
        .json(&format!("/api/v1/profiles/labels?{}", world.range("")))
        .await;
    assert_eq!(
        names,
        serde_json::json!(["__name__", "op", "service_name"]),
        "{names}"
    );
    assert_eq!(world.counted("davy_archive_dropped_labels_total", &[]), 0);
    let of = format!("type={CPU}&by=op&span={}", spans[1_234]);
    assert_eq!(world.folded(&of).await, "op=Get;main;serve 1");
}

/// The tables of the only block.
async fn block_tables(
    bucket: &Arc<dyn ObjectStore>,
    keys: &[String],
) -> (usize, serde_json::Value) {
    let meta: Vec<&String> = keys
        .iter()
        .filter(|key| key.ends_with("meta.json"))
        .collect();
    let [meta] = meta.as_slice() else {
        panic!("expected a block: {keys:?}");
    };
    let text = bucket.get(&Path::from(meta.as_str())).await.expect("there");
    let text = text.bytes().await.expect("whole");
    let files = keys.iter().filter(|key| key.ends_with("spans.parquet"));
    (files.count(), serde_json::from_slice(&text).expect("JSON"))
}

#[tokio::test]
async fn hour_blocks_keep_spans_and_blocks_without_spans_have_no_trace_of_them() {
    for has_spans in [true, false] {
        let bucket: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let clock = crate::support::clock();
        let world = World::on(Arc::clone(&bucket), &clock);
        if has_spans {
            push(&world, "1").await;
            push(&world, "2").await;
        } else {
            let raw = cpu(&clock, &[(&["main"], 1, &[("op", "Get")])]);
            assert_eq!(world.push("", WEB, "1", &raw).await.0, 200);
        }
        let of = format!("type={CPU}&trace={TRACE}");
        let before = world.folded(&of).await;
        clock.advance(HOUR * 2);
        let archive = compactor(options(Arc::clone(&bucket), &clock));
        archive.compactor().once().await.expect("compacted");
        let keys = world.keys().await;
        let (files, meta) = block_tables(&bucket, &keys).await;
        assert_eq!(files == 1, has_spans, "{keys:?}");
        assert_eq!(meta.to_string().contains("spans"), has_spans, "{meta}");
        // Segments are not read anymore, because the block holds them.
        assert_eq!(world.folded(&of).await, before);
        let expected = if has_spans {
            "main;query 14\nmain;serve 200\nmain;serve;encode 40"
        } else {
            ""
        };
        assert_eq!(before, expected);
    }
}

/// The column `time_nanos` of the spans of the only block.
async fn times(world: &World) -> Vec<i64> {
    let keys = world.keys().await;
    let key = keys.iter().find(|key| key.ends_with("spans.parquet"));
    let path = Path::from(key.expect("a table of spans").as_str());
    let bytes = world.bucket.get(&path).await.expect("there").bytes().await;
    let file = SerializedFileReader::new(bytes.expect("whole")).expect("a table");
    let group = file.get_row_group(0).expect("a group");
    let Ok(ColumnReader::Int64ColumnReader(mut column)) = group.get_column_reader(4) else {
        panic!("expected a column of i64");
    };
    let mut times = Vec::new();
    column
        .read_records(100, None, None, &mut times)
        .expect("readable");
    times.sort_unstable();
    times
}

#[tokio::test]
async fn times_of_samples_are_kept_with_their_spans_and_make_no_series() {
    let bucket: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let clock = crate::support::clock();
    let world = World::on(Arc::clone(&bucket), &clock);
    let mut profile = one_type("cpu", "nanoseconds");
    profile.period_type = profile.sample_types[0];
    let start = clock.now().nanos();
    profile.time_nanos = start;
    let main = profile.named_location("main");
    let stack = profile.stack([main]);
    let mut text = |text: &str| profile.strings.intern(text);
    let span = Label {
        key: text("span_id"),
        value: LabelValue::Text(text("00f067aa0ba902b7")),
    };
    let (key, unit) = (text("end_timestamp_ns"), text("nanoseconds"));
    // Two samples of a span at different times, two at the same time, one without a time, and one without a span.
    let at = |time| Label {
        key,
        value: LabelValue::Number(start + time, unit),
    };
    for labels in [
        &[span, at(7)] as &[Label],
        &[span, at(9)],
        &[at(9), span],
        &[span],
        &[at(8)],
    ] {
        let labels = profile.label_sets.intern(labels);
        profile.add_sample(stack, labels, &[100]);
    }
    assert_eq!(world.push("", WEB, "1", &packed(&profile)).await.0, 200);
    let of_span = format!("type={CPU}&span=00f067aa0ba902b7");
    assert_eq!(world.folded(&of_span).await, "main 400");
    assert_eq!(world.folded(&format!("type={CPU}")).await, "main 500");
    let names = world.range("");
    let names = world
        .json(&format!("/api/v1/profiles/labels?{names}"))
        .await;
    assert_eq!(names, serde_json::json!(["__name__", "service_name"]));
    clock.advance(HOUR * 2);
    let archive = compactor(options(bucket, &clock));
    archive.compactor().once().await.expect("compacted");
    assert_eq!(times(&world).await, [0, start + 7, start + 9]);
    assert_eq!(world.folded(&of_span).await, "main 400");
}

#[tokio::test]
async fn late_windows_and_repeated_ones_count_once_in_their_trace() {
    let bucket: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let clock = crate::support::clock();
    let world = World::on(Arc::clone(&bucket), &clock);
    push(&world, "1").await;
    let first = clock.now();
    let mut options = options(Arc::clone(&bucket), &clock);
    options.policy.late_settle = Duration::ZERO;
    let archive = compactor(options);
    clock.advance(HOUR + Duration::from_mins(20));
    archive.compactor().once().await.expect("compacted");
    // The same window again and another one, both of the hour of the block.
    let late = Clock::manual(first);
    let of_late = World {
        clock: late,
        ..world
    };
    push(&of_late, "1").await;
    push(&of_late, "2").await;
    let of = format!("type={CPU}&trace={TRACE}");
    let expected = "main;query 14\nmain;serve 200\nmain;serve;encode 40";
    assert_eq!(of_late.folded(&of).await, expected);
    archive.compactor().once().await.expect("compacted");
    assert_eq!(of_late.folded(&of).await, expected);
}

#[tokio::test]
async fn block_with_too_many_spans_keeps_whole_traces_and_says_so() {
    let bucket: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let clock = crate::support::clock();
    let world = World::on(Arc::clone(&bucket), &clock);
    let traces: Vec<String> = (1..=40).map(|trace| format!("{trace:032x}")).collect();
    for window in 0..5 {
        let labels: Vec<[(&str, &str); 1]> = traces
            .iter()
            .map(|trace| [("trace_id", trace.as_str())])
            .collect();
        let stacks: Vec<Stack<'_>> = labels
            .iter()
            .map(|of| (&["main", "serve"] as &[&str], 1, of as &[(&str, &str)]))
            .collect();
        let raw = cpu(&clock, &stacks);
        assert_eq!(world.push("", WEB, &window.to_string(), &raw).await.0, 200);
    }
    clock.advance(HOUR * 2);
    let options = ArchiveOptions {
        span_rows: 52,
        ..options(Arc::clone(&bucket), &clock)
    };
    let metrics = prometheus::Registry::new();
    let archive = Archive::new(options, &metrics).expect("fresh registry");
    archive.compactor().once().await.expect("compacted");
    let mut kept = 0;
    for trace in &traces {
        let range = world.range(&format!("type={CPU}&trace={trace}"));
        let top = world.json(&format!("/api/v1/profiles/top?{range}")).await;
        let total = top["total"].as_i64().expect("a number");
        assert!([0, 5].contains(&total), "a trace in part: {top}");
        kept += i64::from(total == 5);
        if total == 5 {
            let partial = top["partial"].to_string();
            assert!(partial.contains("150 samples of other traces"), "{partial}");
        }
    }
    assert_eq!(kept, 10);
    let all = world.folded(&format!("type={CPU}")).await;
    assert_eq!(all, "main;serve 200");
    let families = metrics.gather();
    let of = families
        .iter()
        .find(|of| of.name() == "davy_archive_spans_left_out_total");
    let counted = of.map(|of| of.get_metric()[0].get_counter().get_value());
    assert_eq!(counted, Some(150.0));
}

#[tokio::test]
async fn spans_expire_with_their_windows_and_the_answer_says_so() {
    let start = Clock::system().now().floor(DAY);
    let world = world_at(start);
    world.clock.advance(Duration::from_mins(10));
    push(&world, "1").await;
    let total = async |rest: &str| {
        let (from, until) = (start.millis(), start.plus(DAY).millis());
        let path = format!("/api/v1/profiles/top?type={CPU}&from={from}&until={until}&{rest}");
        world.json(&path).await
    };
    let of_trace = format!("trace={TRACE}");
    let to = |days: u32| start.plus(DAY * days).plus(HOUR * 8);
    let advance_to = |time: Timestamp| world.clock.advance(time.since(world.clock.now()));
    let compact = async || {
        for _ in 0..3 {
            world.archive.compactor().once().await.expect("compacted");
            world.clock.advance(Duration::from_mins(1));
        }
    };
    advance_to(to(1));
    compact().await;
    let day_blocks = world
        .keys()
        .await
        .into_iter()
        .filter(|key| key.contains("blocks/day"));
    let day_blocks: Vec<String> = day_blocks.collect();
    assert!(
        day_blocks.iter().any(|key| key.ends_with("meta.json")),
        "{day_blocks:?}"
    );
    assert!(
        !day_blocks.iter().any(|key| key.ends_with("spans.parquet")),
        "{day_blocks:?}"
    );
    assert_eq!(total(&of_trace).await["total"], 127);
    advance_to(to(3));
    compact().await;
    let top = total(&of_trace).await;
    let partial = top["partial"].to_string();
    assert!(
        top["total"] == 0 && partial.contains("have expired"),
        "{top}"
    );
    assert_eq!(total("all_services=true").await["total"], 53_727);
}

#[tokio::test]
async fn sample_of_a_span_costs_about_the_bytes_of_its_random_ids() {
    let bucket: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let clock = crate::support::clock();
    let world = World::on(Arc::clone(&bucket), &clock);
    // Four spans a trace, three stacks a span.
    let mut random = davy_base::Random::seeded(7);
    let mut ids = || {
        let trace = format!("{:032x}", random.next_u128());
        (0..4)
            .map(|_| (trace.clone(), format!("{:016x}", random.next_u128() as u64)))
            .collect::<Vec<_>>()
    };
    let paths: [&[&str]; 3] = [
        &["main", "serve"],
        &["main", "serve", "encode"],
        &["main", "parse"],
    ];
    for window in 0..10 {
        let spans: Vec<(String, String)> = (0..250).flat_map(|_| ids()).collect();
        let labels: Vec<[(&str, &str); 2]> = spans
            .iter()
            .map(|(trace, span)| [("trace_id", trace.as_str()), ("span_id", span.as_str())])
            .collect();
        let stacks: Vec<Stack<'_>> = labels
            .iter()
            .flat_map(|of| paths.map(|path| (path, 10_000_000, of as &[(&str, &str)])))
            .collect();
        let raw = cpu(&clock, &stacks);
        assert_eq!(world.push("", WEB, &window.to_string(), &raw).await.0, 200);
    }
    clock.advance(HOUR * 2);
    let archive = compactor(options(Arc::clone(&bucket), &clock));
    archive.compactor().once().await.expect("compacted");
    let (_, meta) = block_tables(&bucket, &world.keys().await).await;
    let bytes = meta["tables"]["spans"]["bytes"].as_u64().expect("a size");
    let rows = meta["groups"][0]["spans"].as_u64().expect("a number");
    assert_eq!(rows, 30_000);
    let cost = bytes as f64 / rows as f64;
    println!("{cost:.1} B a sample of a span");
    // A third of the random bytes of a span, and a twelfth of those of a trace.
    assert!(cost < 8.0, "{cost:.1} B a sample");
}
