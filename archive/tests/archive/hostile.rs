//! Hostile requests: they are refused within bounds, and other clients are not affected.

use crate::support::{CPU, LIVE, WEB, World, clock, cpu, options, profile, push_request};
use axum::body::Body;
use axum::http::{HeaderValue, Request};
use davy_archive::ArchiveOptions;
use davy_base::Clock;
use davy_profile::{Profile, gzip, pprof};
use futures_util::StreamExt;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use std::sync::Arc;
use std::time::Duration;

/// A stack with its value and labels.
type Sample<'a> = (&'a [&'a str], i64, &'a [(&'a str, &'a str)]);

const PUSH: &str = "/push.v1.PusherService/Push";

async fn post(world: &World, path: &str, kind: &str, body: impl Into<Body>) -> (u16, String) {
    let request = Request::post(path)
        .header("content-type", kind)
        .body(body.into())
        .expect("a request");
    let (status, body) = world.call(request).await;
    (status.as_u16(), String::from_utf8_lossy(&body).into_owned())
}

/// A body that sends its beginning and then pauses for ever.
fn stalled(begin: &'static [u8]) -> Body {
    let first = futures_util::stream::once(async move { Ok::<_, std::io::Error>(begin) });
    Body::from_stream(first.chain(futures_util::stream::pending()))
}

fn with(change: impl FnOnce(&mut ArchiveOptions)) -> World {
    let mut options = options(Arc::new(InMemory::new()), &clock());
    change(&mut options);
    World::with(options)
}

#[tokio::test]
async fn request_with_too_many_objects_is_refused() {
    let world = World::new();
    let check = async |kind: &str, body: Vec<u8>, status: u16, named: &str| {
        let (got, answer) = post(&world, PUSH, kind, body).await;
        assert_eq!(got, status, "{named}: {answer}");
        assert!(answer.contains(named), "{named}: {answer}");
    };
    let proto = "application/proto";
    // One label of half a megabyte and 10,000 samples.
    let mut large = push_request(&[("service_name", &"s".repeat(500_000))], "x", b"");
    large.extend([0x12, 0].repeat(10_000));
    check(proto, large, 400, "500000 bytes long").await;
    check(proto, [0x0a, 0].repeat(1 << 20), 413, "2000 series").await;
    let samples = [0x12, 0].repeat(10_001);
    let mut body = vec![0x0a, 0xa2, 0x9c, 1];
    body.extend(samples);
    check(proto, body, 413, "2000 profiles").await;
    let mut labels = vec![0x0a, 0xe8, 7];
    labels.extend([0x0a, 8, 0x0a, 1, b'a', 0x12, 3, b'1', b'2', b'3'].repeat(100));
    check(proto, labels, 400, "65 labels").await;

    let json = "application/json";
    let many = |count: usize| format!("{{\"series\":[{}{{}}]}}", "{},".repeat(count));
    check(json, many(1 << 20).into(), 413, "200000 series, labels").await;
    check(json, many(20_000).into(), 413, "2000 series").await;
    let samples = format!(
        "{{\"series\":[{{\"samples\":[{}{{}}]}}]}}",
        "{},".repeat(10_000)
    );
    check(json, samples.into(), 413, "2000 profiles").await;
    assert_eq!(world.keys().await, Vec::<String>::new());
}

#[tokio::test]
async fn zstd_body_that_is_a_bomb_or_truncated_is_refused() {
    let world = World::new();
    let check = async |body: Vec<u8>, status: u16, named: &str| {
        let request = Request::post(PUSH)
            .header("content-type", "application/proto")
            .header("content-encoding", "zstd")
            .body(Body::from(body))
            .expect("a request");
        let (got, answer) = world.call(request).await;
        let answer = String::from_utf8_lossy(&answer);
        assert_eq!(got, status, "{named}: {answer}");
        assert!(answer.contains(named), "{named}: {answer}");
    };
    let pack = |bytes: &[u8]| zstd::bulk::compress(bytes, 3).expect("packed");
    check(pack(&vec![0; 60 << 20]), 413, "times").await;
    let good = pack(&push_request(WEB, "x", b"no profile"));
    check(good[..good.len() - 1].to_vec(), 400, "not a zstd stream").await;
    check(b"plain".to_vec(), 400, "not a zstd stream").await;
    // A frame that asks for 2 GiB before its first byte: no single segment, window 2^31.
    let greedy = [0x28, 0xb5, 0x2f, 0xfd, 0, 0xa8, 1, 0, 0];
    check(greedy.to_vec(), 400, "too much memory").await;
    assert_eq!(world.keys().await, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn body_that_stalls_gets_408() {
    let tokio = || Clock::tokio(clock().now());
    let world = with(|options| options.clock = tokio());
    let (status, body) = post(&world, PUSH, "application/proto", stalled(b"\x0a")).await;
    assert_eq!(status, 408, "{body}");
    assert!(body.contains("paused for more than 10s"), "{body}");
    let world = with(|options| {
        options.clock = tokio();
        options.body_total = Duration::from_secs(5);
    });
    let (status, body) = post(&world, "/ingest?name=a", "", stalled(b"a;b")).await;
    assert_eq!(status, 408, "{body}");
    assert!(body.contains("took longer than 5s"), "{body}");
}

#[tokio::test]
async fn body_that_is_still_arriving_when_ingestion_stops_gets_503() {
    let world = World::new();
    let drain = async {
        while !world.archive.ingest().is_accepting() {
            tokio::task::yield_now().await;
        }
        world.drain.cancel();
    };
    let push = post(&world, PUSH, "application/proto", stalled(b"\x0a"));
    let ((status, body), ()) = tokio::join!(push, drain);
    assert_eq!(status, 503, "{body}");
}

#[tokio::test]
async fn large_bodies_leave_memory_for_small_ones() {
    let world = with(|options| options.buffer_bytes = 4 << 20);
    let raw = cpu(&world.clock, &[(&["main"], 5, &[])]);
    let large: &'static [u8] = Box::leak(vec![b'a'; 2_900 << 10].into());
    let (consumed, large_is_read) = tokio::sync::oneshot::channel();
    let first = futures_util::stream::once(async move { Ok::<_, std::io::Error>(large) });
    // The archive asks for the next part when it has accounted for the first.
    let rest = futures_util::stream::once(async move {
        consumed.send(()).expect("the test waits");
        std::future::pending().await
    });
    let large = Body::from_stream(first.chain(rest));
    let small = async {
        large_is_read.await.expect("read");
        let (status, body) = post(&world, "/ingest?name=a", "", vec![b'a'; 1_000 << 10]).await;
        assert_ne!(status, 429, "{body}");
        let (status, body) = post(&world, "/ingest?name=a", "", vec![b'a'; 2 << 20]).await;
        assert_eq!(status, 429, "{body}");
        assert_eq!(world.push("", WEB, "1", &raw).await.0, 200);
        world.drain.cancel();
    };
    let ((status, _), ()) = tokio::join!(post(&world, "/ingest?name=a", "", large), small);
    assert_eq!(status, 503);
}

#[tokio::test]
async fn selector_with_too_many_matchers_is_refused() {
    let world = World::new();
    let farm = "a%3D~%22b.*%22,".repeat(100);
    let path = format!("/api/v1/profiles/top?type={CPU}&selector=%7B{farm}%7D");
    let (status, body) = world.get_as("anonymous", &path).await;
    assert_eq!(status, 400);
    assert!(String::from_utf8_lossy(&body).contains("more than 32 matchers"));
}

#[tokio::test]
async fn range_of_centuries_needs_few_requests_to_the_bucket() {
    let world = World::new();
    let raw = cpu(&world.clock, &[(&["main"], 5, &[])]);
    assert_eq!(world.push("", WEB, "1", &raw).await.0, 200);
    let check = async |range: &str| {
        let before = world.bucket_requests();
        let path = format!("/api/v1/profiles/top?type={CPU}&{range}");
        assert_eq!(world.json(&path).await["total"], 5, "{range}");
        let requests = world.bucket_requests() - before;
        assert!(requests < 20.0, "{range}: {requests} requests");
    };
    let until = world.clock.now().millis() + 600_000;
    check("from=1678-01-01T00:00:00Z&until=2262-01-01T00:00:00Z").await;
    check(&format!("from=0&until={until}")).await;
    check(&format!("from={}&until={until}", until - 100 * 3_600_000)).await;
    world.clock.advance(Duration::from_hours(2));
    world.archive.compactor().once().await.expect("compaction");
    check(&format!("from=0&until={until}")).await;
}

#[tokio::test]
async fn sample_labels_with_the_most_values_are_dropped_above_the_limit() {
    let world = with(|options| options.label_sets = 10);
    let texts: Vec<String> = (0..200).map(|at| at.to_string()).collect();
    let pairs: Vec<[(&str, &str); 3]> = (0..200)
        .map(|at| {
            let few = if at % 2 == 0 { "even" } else { "odd" };
            [("op", few), ("id", &texts[at]), ("half", &texts[at / 100])]
        })
        .collect();
    let samples: Vec<Sample<'_>> = pairs
        .iter()
        .map(|labels| (&["main"][..], 1, &labels[..]))
        .collect();
    let raw = cpu(&world.clock, &samples);
    assert_eq!(world.push("", WEB, "1", &raw).await.0, 200);
    assert_eq!(
        world.folded(&format!("type={CPU}&by=op,half")).await,
        [
            "op=even;half=0;main 50",
            "op=even;half=1;main 50",
            "op=odd;half=0;main 50",
            "op=odd;half=1;main 50",
        ]
        .join("\n")
    );
    let names = world
        .json(&format!("/api/v1/profiles/labels?{}", world.range("")))
        .await;
    let expected = serde_json::json!(["__name__", "half", "op", "service_name"]);
    assert_eq!(names, expected, "the label id is dropped");
}

/// A world with three segments of one hour, one of which is damaged.
async fn half_damaged(folder: &tempfile::TempDir) -> World {
    let bucket = Arc::new(LocalFileSystem::new_with_prefix(folder.path()).expect("a bucket"));
    let world = World::on(bucket, &clock());
    for (id, name) in [("1", "a"), ("2", "a"), ("3", "a")] {
        let raw = cpu(&world.clock, &[(&[name], 5, &[])]);
        assert_eq!(world.push("", WEB, id, &raw).await.0, 200);
    }
    let path = folder.path().join(world.keys().await.remove(0));
    let mut bytes = std::fs::read(&path).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).expect("written");
    world
}

async fn get_with_partial(world: &World, path: &str) -> (String, Vec<u8>) {
    use http_body_util::BodyExt;
    use tower::ServiceExt;
    let path = format!(
        "/api/v1/profiles/{path}&{}",
        world.range(&format!("type={CPU}"))
    );
    let request = Request::get(&path)
        .header("accept", "application/json")
        .body(Body::empty())
        .expect("a request");
    let app = world.archive.query_router();
    let response = app.oneshot(request).await.expect("an answer");
    assert_eq!(response.status(), 200, "{path}");
    let header = response.headers().get("davy-partial");
    let partial = header.map_or("", |value| value.to_str().expect("text"));
    let partial = partial.to_owned();
    let body = response.into_body().collect().await.expect("whole");
    (partial, body.to_bytes().to_vec())
}

#[tokio::test]
async fn every_operation_reports_unreadable_segments_in_a_header() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = half_damaged(&folder).await;
    for operation in [
        "types",
        "labels",
        "series",
        "flamegraph",
        "diff",
        "top",
        "pprof",
        "folded",
        "svg",
    ] {
        let base = world.clock.now().millis();
        let rest = match operation {
            "diff" => format!("base_from={}&base_until={base}", base - 1),
            _ => "selector={}".to_owned(),
        };
        let rest = rest.replace("{}", "%7B%7D");
        let (partial, _) = get_with_partial(&world, &format!("{operation}?{rest}")).await;
        assert!(partial.contains("checksum"), "{operation}: {partial}");
    }
    let (_, nested) = get_with_partial(&world, "flamegraph?by=").await;
    let nested: serde_json::Value = serde_json::from_slice(&nested).expect("JSON");
    assert_eq!(
        (&nested["name"], &nested["total"]),
        (&"total".into(), &10.into())
    );
    let sentence = nested["partial"][0].as_str().expect("a sentence");
    assert!(sentence.contains("checksum"), "{sentence}");
}

#[tokio::test]
async fn damaged_segment_is_quarantined_and_still_reported() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = half_damaged(&folder).await;
    world.clock.advance(Duration::from_hours(1));
    let compactor = world.archive.compactor();
    let done = compactor.once().await.expect("compaction");
    assert_eq!((done.merged, &done.failed), (1, &Vec::new()));
    for _ in 0..3 {
        let done = compactor.once().await.expect("compaction");
        assert_eq!((done.merged, &done.failed), (0, &Vec::new()));
        let (partial, body) = get_with_partial(&world, "top?by=").await;
        assert!(partial.contains("checksum"), "{partial}");
        let top: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(top["total"], 10);
        world.clock.advance(Duration::from_mins(20));
    }
    // Another compactor merges nothing, and nothing waits for the damaged segment.
    let other = World::on(Arc::clone(&world.bucket), &world.clock);
    let done = other.archive.compactor().once().await.expect("compaction");
    assert_eq!((done.merged, &done.failed), (0, &Vec::new()));
    let keys = world.keys().await;
    let count = |part: &str| keys.iter().filter(|key| key.contains(part)).count();
    assert_eq!(
        (count("/segments/"), count("/quarantine/checksum/segments/")),
        (1, 1)
    );
    let (partial, _) = get_with_partial(&other, "top?by=").await;
    assert!(partial.contains("quarantine"), "{partial}");
    let verified = other.archive.verify().await.expect("listing");
    assert!(
        verified.iter().any(|item| item.fault.is_some()),
        "{verified:?}"
    );
}

#[tokio::test]
async fn sums_saturate_instead_of_overflowing() {
    let world = World::new();
    let kind = ("inuse_space", "bytes");
    let live = [("service_name", "web"), ("__name__", "memory")];
    for (id, value) in [("1", 1 << 62), ("2", 1 << 62), ("3", 7)] {
        let samples: &[Sample<'_>] = &[(&["main"], value, &[])];
        let raw = profile(&world.clock, kind, ("space", "bytes"), samples);
        let labels = [live[0], live[1], ("pod", id)];
        assert_eq!(world.push("", &labels, id, &raw).await.0, 200);
    }
    assert_eq!(
        world.folded(&format!("type={LIVE}")).await,
        format!("main {}", i64::MAX)
    );

    let samples: &[Sample<'_>] = &[
        (&["a"], i64::MAX, &[]),
        (&["b"], i64::MAX, &[]),
        (&["c"], i64::MIN, &[]),
    ];
    let raw = cpu(&world.clock, samples);
    assert_eq!(world.push("", WEB, "4", &raw).await.0, 200);
    let path = |of: &str| {
        let range = world.range(&format!("type={CPU}"));
        format!("/api/v1/profiles/{of}?{range}")
    };
    assert_eq!(world.json(&path("top")).await["total"], i64::MAX - 1);
    let series = world.json(&format!("{}&step=100000", path("series"))).await;
    let point = series["series"][0]["points"][0][1]
        .as_i64()
        .expect("a point");
    assert!(point >= i64::MAX - 1, "{series}");
}

#[tokio::test]
async fn tenant_that_is_not_utf_8_is_refused() {
    let world = World::new();
    for (method, path) in [
        ("POST", "/ingest?name=a"),
        ("GET", "/api/v1/profiles/types"),
    ] {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(
                "x-scope-orgid",
                HeaderValue::from_bytes(b"\xe4").expect("a value"),
            )
            .body(Body::from("a;b 1"))
            .expect("a request");
        let (status, body) = world.call(request).await;
        assert_eq!(status, 400);
        assert!(String::from_utf8_lossy(&body).contains("not UTF-8"));
    }
}

#[tokio::test]
async fn profile_with_too_many_sample_types_is_refused() {
    let world = World::new();
    let mut profile = Profile::new();
    for at in 0..65 {
        profile.add_sample_type(&format!("t{at}"), "count");
    }
    profile.time_nanos = world.clock.now().nanos();
    let raw = gzip::compress(&pprof::encode(&profile));
    let (status, body) = world.push("", WEB, "1", &raw).await;
    assert_eq!(status, 400);
    assert!(body.contains("65 sample types, the limit is 64"), "{body}");
}

#[tokio::test]
async fn svg_is_valid_xml_whatever_the_names_of_frames() {
    let world = World::new();
    let name = "a\u{1}b\u{1b}<c>&\u{ffff}";
    let raw = cpu(&world.clock, &[(&["main", name], 5, &[])]);
    assert_eq!(world.push("", WEB, "1", &raw).await.0, 200);
    let (_, svg) = get_with_partial(&world, "svg?selector=%7Bx!=%22%01%22%7D").await;
    let svg = String::from_utf8(svg).expect("text");
    let illegal = |c: char| (c < ' ' && !"\n\r\t".contains(c)) || c == '\u{ffff}';
    assert_eq!(svg.find(illegal), None);
    assert!(
        svg.contains('\u{fffd}') && svg.contains("&lt;c&gt;"),
        "{svg}"
    );
}

#[tokio::test]
async fn ingest_lists_supported_formats_and_detects_pprof() {
    let world = World::new();
    let check = async |path: &str, kind: &str, body: &[u8], status: u16, named: &str| {
        let (got, answer) = post(&world, path, kind, body.to_vec()).await;
        assert_eq!(got, status, "{path}: {answer}");
        assert!(answer.contains(named), "{path}: {answer}");
    };
    let text = b"a;b 1";
    check(
        "/ingest?name=a",
        "multipart/form-data",
        text,
        400,
        "boundary",
    )
    .await;
    let named = "unsupported format wat; supported are pprof, folded";
    check("/ingest?name=a&format=wat", "", text, 422, named).await;
    let raw = cpu(&world.clock, &[(&["main"], 5, &[])]);
    check("/ingest?name=a", "", &raw, 200, "").await;
    let plain = gzip::unpack(&raw, &davy_profile::Limits::default()).expect("gzip");
    check("/ingest?name=b", "", &plain, 200, "").await;
    assert_eq!(
        world.folded(&format!("all_services=true&type={CPU}")).await,
        "main 10"
    );
    check("/ingest?name=c", "", &gzip::compress(text), 200, "").await;
}

/// A profile in Pyroscope's tree format: a chain of frames, each with a value.
fn chain(name: &str, depth: usize) -> Vec<u8> {
    let mut tree = vec![0, 0, 1];
    for frame in 1..=depth {
        tree.push(name.len() as u8);
        tree.extend(name.as_bytes());
        tree.extend([1, u8::from(frame < depth)]);
    }
    tree
}

#[tokio::test]
async fn export_that_repeats_callers_or_names_is_refused_and_the_flame_graph_is_not() {
    let world = World::new();
    let push = async |service: &str, tree: Vec<u8>| {
        let path = format!("/ingest?name={service}&format=tree");
        let (status, body) = post(&world, &path, "", tree).await;
        assert_eq!(status, 200, "{body}");
    };
    let get = async |service: &str, view: &str, accept: &str| {
        let selector = format!("type=cpu&selector=%7Bservice_name=%22{service}%22%7D");
        let path = format!("/api/v1/profiles/{view}?{}", world.range(&selector));
        let request = Request::get(path).header("accept", accept);
        let request = request.body(Body::empty()).expect("a request");
        let (status, body) = world.call(request).await;
        (status.as_u16(), String::from_utf8_lossy(&body).into_owned())
    };
    push("deep", chain("recurse", 8_400)).await;
    let (status, body) = get("deep", "folded", "*/*").await;
    assert_eq!(status, 400, "{}", body.len());
    assert!(
        body.contains("take 269 MiB, the limit is 256 MiB; narrow the selector"),
        "{body}"
    );
    for (view, accept) in [
        ("flamegraph", "*/*"),
        ("flamegraph", "application/json"),
        ("pprof", "*/*"),
    ] {
        assert_eq!(get("deep", view, accept).await.0, 200, "{view} {accept}");
    }
    let name = "n".repeat(65_000);
    let recursion = cpu(&world.clock, &[(&vec![&*name; 4_200], 5, &[])]);
    let labels = [("service_name", "long"), ("__name__", "process_cpu")];
    let (status, body) = world.push("anonymous", &labels, "x", &recursion).await;
    assert_eq!(status, 200, "{body}");
    let (status, body) = get("long", "flamegraph", "application/json").await;
    assert_eq!(status, 400, "{}", body.len());
    assert!(body.contains("take 260 MiB"), "{body}");
    assert_eq!(get("long", "flamegraph", "*/*").await.0, 200);
}
