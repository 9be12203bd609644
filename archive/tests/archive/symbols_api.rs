//! `/api/v1/symbols`: what is stored, described and refused.

use crate::support::requests::{packed, stacks, take};
use crate::support::symbols::{
    BUILD, addresses, index, index_of, metric, put, put_as, store, written,
};
use crate::support::{World, clock, options};
use axum::body::Body;
use axum::http::Request;
use davy_profile::symbol_index::{Builder, SymbolFrame};
use davy_profile::{Profile, gzip};
use object_store::ObjectStoreExt;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use serde_json::Value;
use std::sync::Arc;
use tower::ServiceExt;

const NAMED: &str = "main;work 2\nmain;work;Vec::push 5";

fn profile() -> Profile {
    addresses(BUILD, &[(&[0x1010, 0x2018], 5), (&[0x1010, 0x2001], 2)])
}

async fn get(world: &World, path: &str) -> (u16, Value) {
    let (status, body) = world.get_as("anonymous", path).await;
    (
        status.as_u16(),
        serde_json::from_slice(&body).expect("JSON"),
    )
}

#[tokio::test]
async fn symbols_are_described_by_build_and_in_a_list() {
    let world = World::new();
    let (status, body) = get(&world, "/api/v1/symbols/c0ffee").await;
    assert_eq!(status, 404);
    let detail = body["detail"].as_str().expect("text");
    assert!(detail.contains("no symbols of build c0ffee"), "{detail}");
    let (status, list) = get(&world, "/api/v1/symbols").await;
    let none = serde_json::json!({"symbols": [], "partial": []});
    assert_eq!((status, list), (200, none));
    store(&world, BUILD, index(BUILD)).await;
    store(&world, "abc", index("abc")).await;
    let (status, row) = get(&world, "/api/v1/symbols/c0ffee").await;
    assert_eq!((status, &row["build_id"]), (200, &Value::from(BUILD)));
    assert_eq!(row["file"], "server");
    assert_eq!(row["functions"], 2);
    assert_eq!(row["stored_at"], world.clock.now().millis());
    assert!(row["bytes"].as_u64().expect("a number") > 100);
    let (_, list) = get(&world, "/api/v1/symbols").await;
    let list = list["symbols"].as_array().expect("a list");
    assert_eq!(list.len(), 2);
    assert_eq!(
        (&list[0]["build_id"], &list[1]),
        (&Value::from("abc"), &row)
    );
    let request = Request::head("/api/v1/symbols/c0ffee").body(Body::empty());
    let (status, body) = world.call(request.expect("a request")).await;
    assert_eq!((status.as_u16(), body.len()), (200, 0));
}

#[tokio::test]
async fn the_same_symbols_are_stored_once_and_others_replace_them() {
    let world = World::new();
    take(&world, "name=s", packed(&profile())).await;
    store(&world, BUILD, index(BUILD)).await;
    let keys = world.keys().await;
    let (status, body) = put(&world, BUILD, index(BUILD)).await;
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("\"build_id\":\"c0ffee\""), "{body}");
    assert_eq!(world.keys().await, keys);
    assert_eq!(stacks(&world, "cpu", "s").await, NAMED);
    store(&world, BUILD, index_of(BUILD, "labor")).await;
    assert_eq!(
        stacks(&world, "cpu", "s").await,
        NAMED.replace("work", "labor")
    );
    assert_eq!(metric(&world, "uploads_total", "stored"), 2);
    assert_eq!(metric(&world, "uploads_total", "unchanged"), 1);
}

#[tokio::test]
async fn symbols_with_fewer_names_do_not_replace_those_with_more() {
    let world = World::new();
    take(&world, "name=s", packed(&profile())).await;
    store(&world, BUILD, index(BUILD)).await;
    let mut stripped = Builder::new(BUILD, "server");
    stripped.add_unnamed(0x1000, 0x1020);
    let (status, body) = put(&world, BUILD, written(stripped)).await;
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("\"functions\":2"), "{body}");
    assert_eq!(stacks(&world, "cpu", "s").await, NAMED);
    for (min_functions, expected) in [("2", 200), ("3", 404), ("x", 400)] {
        let path = format!("/api/v1/symbols/c0ffee?min_functions={min_functions}");
        assert_eq!(get(&world, &path).await.0, expected, "{min_functions}");
    }
}

#[tokio::test]
async fn names_replace_the_placeholders_of_a_stripped_file() {
    let world = World::new();
    take(&world, "name=s", packed(&profile())).await;
    let mut stripped = Builder::new(BUILD, "server");
    stripped.add_unnamed(0x1000, 0x1020);
    store(&world, BUILD, written(stripped)).await;
    let shown = stacks(&world, "cpu", "s").await;
    assert_eq!(shown, "server+0x1000;server+0x1000 7");
    store(&world, BUILD, index(BUILD)).await;
    assert_eq!(stacks(&world, "cpu", "s").await, NAMED);
}

#[tokio::test]
async fn build_id_with_separators_is_percent_encoded_and_cannot_leave_its_folder() {
    let world = World::new();
    let go = "Xk9/../../a-b_c.d/%2F";
    take(&world, "name=s", packed(&addresses(go, &[(&[0x1010], 5)]))).await;
    let path = go.replace('%', "%25").replace('/', "%2F");
    store(&world, &path, index(go)).await;
    assert_eq!(stacks(&world, "cpu", "s").await, "main 5");
    let (status, row) = get(&world, &format!("/api/v1/symbols/{path}")).await;
    assert_eq!((status, &row["build_id"]), (200, &Value::from(go)));
    for key in world.keys().await {
        assert!(key.starts_with("davy/anonymous/"), "{key}");
        assert!(!key.split('/').any(|part| part == ".."), "{key}");
    }
    // Long ones have keys that file systems accept.
    let folder = tempfile::tempdir().expect("a folder");
    let bucket = LocalFileSystem::new_with_prefix(folder.path()).expect("a bucket");
    let world = World::on(Arc::new(bucket), &clock());
    let long = "/".repeat(256);
    store(&world, &"%2F".repeat(256), index(&long)).await;
    let (status, row) = get(&world, &format!("/api/v1/symbols/{}", "%2F".repeat(256))).await;
    assert_eq!((status, &row["build_id"]), (200, &Value::from(long)));
    let other = format!("/api/v1/symbols/{}a", "%2F".repeat(255));
    assert_eq!(get(&world, &other).await.0, 404);
}

#[tokio::test]
async fn refused_index_names_the_fault_and_the_stored_one_stays() {
    let world = World::new();
    take(&world, "name=s", packed(&profile())).await;
    store(&world, BUILD, index(BUILD)).await;
    let keys = world.keys().await;
    let check = async |path: &str, encoding: &str, body: Vec<u8>, status: u16, why: &str| {
        let (got, answer) = put_as(&world, "anonymous", path, encoding, body).await;
        assert_eq!(got, status, "{why}: {answer}");
        assert!(answer.contains(why), "{why}: {answer}");
        let problem: Value = serde_json::from_str(&answer).expect("a problem document");
        assert_eq!(problem["status"], status);
    };
    let good = index(BUILD);
    check("c0ffe0", "", good.clone(), 422, "to build \\\"c0ffee\\\"").await;
    check(BUILD, "", b"ELF".to_vec(), 422, "not a symbol index").await;
    check(BUILD, "", vec![], 422, "not a symbol index").await;
    let truncated = good[..good.len() - 1].to_vec();
    check(BUILD, "", truncated, 422, "truncated symbol index").await;
    let mut newer = good.clone();
    newer[8] = 9;
    check(BUILD, "", newer, 422, "version 9").await;
    let mut damaged = good.clone();
    *damaged.last_mut().expect("text") = 0xff;
    check(BUILD, "", damaged, 422, "string is not UTF-8 at byte").await;
    let mut damaged = good.clone();
    damaged[32 + 7] = 0xff;
    check(BUILD, "", damaged, 422, "block overlaps the one before").await;
    check(
        BUILD,
        "br",
        good.clone(),
        415,
        "unsupported content encoding",
    )
    .await;
    let packed = gzip::compress(&good);
    let half = packed[..packed.len() / 2].to_vec();
    check(BUILD, "gzip", half, 422, "gzip").await;
    check("%00", "", good.clone(), 400, "control characters").await;
    check(&"a".repeat(257), "", good.clone(), 400, "the limit is 256").await;
    assert_eq!(world.keys().await, keys);
    assert_eq!(stacks(&world, "cpu", "s").await, NAMED);
    assert_eq!(metric(&world, "uploads_total", "unprocessable"), 8);
}

#[tokio::test]
async fn compressed_index_is_accepted() {
    let world = World::new();
    let packed = gzip::compress(&index("a"));
    let (status, body) = put_as(&world, "anonymous", "a", "gzip", packed).await;
    assert_eq!(status, 200, "{body}");
    let packed = zstd::encode_all(index("b").as_slice(), 3).expect("zstd");
    let (status, body) = put_as(&world, "anonymous", "b", "zstd", packed).await;
    assert_eq!(status, 200, "{body}");
}

#[tokio::test]
async fn index_is_not_acknowledged_before_it_is_in_the_bucket() {
    let folder = tempfile::tempdir().expect("a folder");
    let bucket = LocalFileSystem::new_with_prefix(folder.path()).expect("a bucket");
    let world = World::on(Arc::new(bucket), &clock());
    // A file where the folder should be stops even a root user.
    std::fs::write(folder.path().join("davy"), b"").expect("written");
    let (status, body) = put(&world, BUILD, index(BUILD)).await;
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("cannot put"), "{body}");
    std::fs::remove_file(folder.path().join("davy")).expect("removed");
    assert_eq!(get(&world, "/api/v1/symbols/c0ffee").await.0, 404);
    store(&world, BUILD, index(BUILD)).await;
}

#[tokio::test]
async fn memory_of_indices_is_counted_and_bounded() {
    let mut options = options(Arc::new(InMemory::new()), &clock());
    options.buffer_bytes = 400_000;
    let world = World::with(options);
    let large = |names: usize| {
        let mut index = Builder::new(BUILD, "server");
        for name in 0..names {
            let function = index.string(&format!("function {name:0100}"));
            let frame = SymbolFrame {
                function,
                ..SymbolFrame::default()
            };
            index.add(0x1000 + 16 * name as u64, 16, &[frame]);
        }
        written(index)
    };
    let small = large(1_000);
    assert!(small.len() < 300_000);
    let (status, body) = put(&world, BUILD, large(10_000)).await;
    assert_eq!(status, 413, "{body}");
    assert!(body.contains("archive.buffer_bytes"), "{body}");
    let bomb = gzip::compress(&large(10_000));
    let (status, body) = put_as(&world, "anonymous", BUILD, "gzip", bomb).await;
    assert_eq!(status, 413, "{body}");
    let (status, body) = put(&world, BUILD, small).await;
    assert_eq!(status, 200, "{body}");
    let families = world.metrics.gather();
    let buffered = families
        .iter()
        .find(|of| of.name() == "davy_archive_buffered_bytes");
    let buffered = buffered.expect("a gauge").get_metric()[0]
        .get_gauge()
        .get_value();
    assert!(buffered < 1.0, "{buffered} bytes are not released");
}

#[tokio::test]
async fn index_that_takes_minutes_to_read_is_refused() {
    let world = World::new();
    let mut index = Builder::new(BUILD, "server");
    let frame = SymbolFrame {
        function: index.string("f"),
        ..SymbolFrame::default()
    };
    // The first block has 32 ranges of 1,000 functions, and 60,000 others have the same bytes.
    for range in 0..32 {
        index.add(range, 1, &[frame; 1_000]);
    }
    let blocks = 60_001;
    for block in 1..blocks {
        index.add(block << 12, 1, &[frame]);
    }
    let mut bytes = written(index);
    let offsets = 32 + 8 * blocks as usize;
    bytes[offsets..][..4 * blocks as usize].fill(0);
    let (status, body) = put(&world, BUILD, bytes).await;
    assert_eq!(status, 422, "{body}");
    assert!(body.contains("too many inlined functions"), "{body}");
}

#[tokio::test]
async fn list_with_unreadable_symbols_says_so_in_a_header() {
    let world = World::new();
    store(&world, BUILD, index(BUILD)).await;
    let partial = async || {
        // Another archiver has nothing cached.
        let other = World::on(Arc::clone(&world.bucket), &world.clock);
        let request = Request::get("/api/v1/symbols").body(Body::empty());
        let app = other.archive.ingest_router();
        let response = app.oneshot(request.expect("a request")).await;
        let response = response.expect("routers do not fail");
        assert_eq!(response.status(), 200);
        let header = response.headers().get("davy-partial");
        header.map(|value| value.to_str().expect("text").to_owned())
    };
    assert_eq!(partial().await, None);
    let keys = world.keys().await;
    let meta = keys.iter().find(|key| key.ends_with("c0ffee/meta.json"));
    let meta = meta.expect("stored").as_str().into();
    world.bucket.put(&meta, "{".into()).await.expect("written");
    let partial = partial().await.expect("a header");
    assert!(partial.contains("damaged object"), "{partial}");
}
