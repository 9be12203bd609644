//! Refused requests name the fault and leave nothing in the bucket.

use crate::support::{CPU, WEB, World, clock, cpu, options, push_request};
use axum::body::Body;
use axum::http::{HeaderValue, Request, StatusCode};
use davy_profile::gzip;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

#[tokio::test]
async fn refused_push_names_the_fault_and_stores_nothing() {
    let world = World::new();
    let good = cpu(&world.clock, &[(&["main"], 5, &[])]);
    let check = async |labels: &[(&str, &str)], raw: &[u8], status: u16, named: &str| {
        let (got, body) = world.push("", labels, "x", raw).await;
        assert_eq!(got.as_u16(), status, "{named}: {body}");
        assert!(body.contains(named), "{named}: {body}");
        assert!(
            body.contains("\"code\"") && body.contains("\"message\""),
            "{body}"
        );
        assert_eq!(world.keys().await, Vec::<String>::new(), "{named}");
    };
    check(
        &[("__name__", "process_cpu")],
        &good,
        400,
        "missing label service_name",
    )
    .await;
    check(
        &[("service_name", "x"), (&"n".repeat(1 << 20), "v")],
        &good,
        400,
        "1048576 bytes long",
    )
    .await;
    check(
        &[("service_name", &"s".repeat(1 << 20))],
        &good,
        400,
        "invalid value of label service_name",
    )
    .await;
    check(WEB, &good[..good.len() / 2], 400, "gzip stream").await;
    check(WEB, &gzip::compress(&vec![0u8; 200 << 20]), 413, "").await;
    check(WEB, b"no profile at all", 400, "invalid pprof profile").await;
    check(WEB, &[], 400, "sample type").await;
    // A sample with a location that does not exist: sample_type {1, 2}, sample {location 9}.
    let dangling = [
        0x0a, 4, 8, 1, 0x10, 2, 0x12, 4, 8, 9, 0x10, 1, 0x32, 0, 0x32, 1, b'a', 0x32, 1, b'b',
    ];
    check(WEB, &dangling, 400, "9").await;

    check(
        &[("service_name", "../../../etc/passwd")],
        &good,
        400,
        "`..`",
    )
    .await;
    check(
        &[("service_name", "x"), ("a/../b", "v")],
        &good,
        400,
        "contains two dots",
    )
    .await;

    let start = world.clock.now();
    let old = davy_base::Clock::manual(start.minus(Duration::from_hours(15 * 24)));
    check(
        WEB,
        &cpu(&old, &[(&["main"], 5, &[])]),
        400,
        "older than the retention of 14 d",
    )
    .await;
    let ahead = davy_base::Clock::manual(start.plus(Duration::from_mins(11)));
    check(WEB, &cpu(&ahead, &[(&["main"], 5, &[])]), 400, "ahead of").await;

    let (status, body) = world.push(&"t".repeat(200), WEB, "x", &good).await;
    assert_eq!(status, 400, "{body}");
}

#[tokio::test]
async fn labels_and_tenants_cannot_leave_their_folder() {
    let world = World::new();
    let raw = cpu(&world.clock, &[(&["main"], 5, &[("a.op", "%2e%2e/x\\y")])]);
    let labels = [("service_name", "/etc/passwd=2e"), ("a.b", "...")];
    let (status, body) = world.push("../../x", &labels, "1", &raw).await;
    assert_eq!(status, 200, "{body}");
    let keys = world.keys().await;
    assert_eq!(keys.len(), 1);
    assert!(
        keys[0].starts_with("davy/=2e.=2f..=2fx/segments/2"),
        "{keys:?}"
    );
    let path = format!(
        "/api/v1/profiles/labels?name=service_name&{}",
        world.range("")
    );
    let (_, body) = world.get_as("../../x", &path).await;
    assert_eq!(String::from_utf8_lossy(&body), "[\"/etc/passwd=2e\"]");
}

#[tokio::test]
async fn tenants_cannot_read_each_other() {
    let world = World::new();
    for tenant in ["one", "two"] {
        let raw = cpu(&world.clock, &[(&[tenant], 5, &[])]);
        assert_eq!(
            world
                .push(tenant, &[("service_name", tenant)], "1", &raw)
                .await
                .0,
            200
        );
    }
    assert_eq!(world.keys().await.len(), 2);
    for round in 0..2 {
        for tenant in ["one", "two"] {
            let path = format!(
                "/api/v1/profiles/folded?{}",
                world.range(&format!("type={CPU}"))
            );
            let (_, body) = world.get_as(tenant, &path).await;
            assert_eq!(
                String::from_utf8_lossy(&body).trim(),
                format!("{tenant} 5"),
                "round {round}"
            );
            let path = format!(
                "/api/v1/profiles/labels?name=service_name&{}",
                world.range("")
            );
            let (_, body) = world.get_as(tenant, &path).await;
            assert_eq!(String::from_utf8_lossy(&body), format!("[\"{tenant}\"]"));
        }
        assert_eq!(
            world
                .json(&format!("/api/v1/profiles/types?{}", world.range("")))
                .await,
            serde_json::json!([])
        );
        world.clock.advance(Duration::from_mins(40));
        world.archive.compactor().once().await.expect("compaction");
    }
}

#[tokio::test]
async fn push_gets_503_while_the_bucket_is_not_writable() {
    let folder = tempfile::tempdir().expect("a folder");
    let bucket = Arc::new(LocalFileSystem::new_with_prefix(folder.path()).expect("a bucket"));
    let world = World::on(bucket, &clock());
    let raw = cpu(&world.clock, &[(&["main"], 5, &[])]);
    // A file where the folder should be stops even a root user.
    std::fs::write(folder.path().join("davy"), b"").expect("written");
    let (status, body) = world.push("", WEB, "1", &raw).await;
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("cannot put"), "{body}");
    std::fs::remove_file(folder.path().join("davy")).expect("removed");
    assert_eq!(world.push("", WEB, "1", &raw).await.0, 200);
    assert_eq!(world.folded(&format!("type={CPU}")).await, "main 5");
    let all = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.path(), all).expect("set");
}

#[tokio::test]
async fn push_gets_429_when_buffers_are_full() {
    let mut options = options(Arc::new(InMemory::new()), &clock());
    options.buffer_bytes = 100;
    let world = World::with(options);
    let raw = cpu(&world.clock, &[(&["main"], 5, &[])]);
    let (status, body) = world.push("", WEB, "1", &raw).await;
    assert_eq!(status, 429, "{body}");
    assert!(body.contains("resource_exhausted"), "{body}");
}

#[tokio::test]
async fn drain_flushes_open_segments_and_refuses_later_pushes() {
    let mut options = options(Arc::new(InMemory::new()), &clock());
    options.flush_interval = Duration::from_hours(1);
    let world = World::with(options);
    let raw = cpu(&world.clock, &[(&["main"], 5, &[])]);
    let drain = async {
        while world.archive.ingest().open_windows() == 0 {
            tokio::task::yield_now().await;
        }
        world.drain.cancel();
    };
    let (pushed, ()) = tokio::join!(world.push("", WEB, "1", &raw), drain);
    assert_eq!(pushed.0, 200, "{}", pushed.1);
    assert_eq!(world.keys().await.len(), 1);
    let (status, body) = world.push("", WEB, "2", &raw).await;
    assert_eq!(status, 503, "{body}");
    assert_eq!(world.folded(&format!("type={CPU}")).await, "main 5");
}

#[tokio::test]
async fn pushes_of_clients_that_are_about_to_stop_are_acknowledged_at_once_from_one_segment() {
    let mut options = options(Arc::new(InMemory::new()), &clock());
    options.flush_interval = Duration::from_hours(1);
    let world = World::with(options);
    let raw = cpu(&world.clock, &[(&["main"], 5, &[])]);
    let push = async |id: &str, hurry: bool| {
        let mut request = Request::post("/push.v1.PusherService/Push")
            .header("content-type", "application/proto")
            .body(Body::from(push_request(WEB, id, &raw)))
            .expect("a request");
        if hurry {
            request
                .headers_mut()
                .insert("davy-hurry", HeaderValue::from_static("1"));
        }
        world.call(request).await.0
    };
    let started = world.clock.monotonic();
    let pushes = async { tokio::join!(push("1", false), push("2", true), push("3", true)) };
    let stored = |statuses: (StatusCode, StatusCode, StatusCode)| {
        let expected = StatusCode::OK;
        assert_eq!(statuses, (expected, expected, expected));
    };
    let advance = async {
        while world.archive.ingest().open_windows() < 3 {
            tokio::task::yield_now().await;
        }
        assert_eq!(world.keys().await, Vec::<String>::new());
        loop {
            world.clock.advance(Duration::from_millis(10));
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        statuses = pushes => stored(statuses),
        () = advance => {}
    }
    let taken = world.clock.monotonic().saturating_sub(started);
    // The clock runs on while threads encode the segment. Without the hurry it takes an hour.
    assert!(taken < Duration::from_mins(30), "{taken:?}");
    assert_eq!(world.keys().await.len(), 1);
}

#[tokio::test]
async fn empty_push_of_a_client_in_a_hurry_gets_an_earlier_push_acknowledged() {
    let mut options = options(Arc::new(InMemory::new()), &clock());
    options.flush_interval = Duration::from_hours(1);
    let world = World::with(options);
    let raw = cpu(&world.clock, &[(&["main"], 5, &[])]);
    let push = async |body: Vec<u8>, hurry: &'static str| {
        let request = Request::post("/push.v1.PusherService/Push")
            .header("content-type", "application/proto")
            .header(hurry, "1")
            .body(Body::from(body))
            .expect("a request");
        world.call(request).await.0
    };
    let started = world.clock.monotonic();
    let hurried = async {
        while world.archive.ingest().open_windows() == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(world.keys().await, Vec::<String>::new());
        let hurry = push(Vec::new(), "davy-hurry").await;
        assert_eq!(hurry, StatusCode::OK);
        loop {
            world.clock.advance(Duration::from_millis(10));
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        status = push(push_request(WEB, "1", &raw), "x-no-hurry") => assert_eq!(status, StatusCode::OK),
        () = hurried => {}
    }
    let taken = world.clock.monotonic().saturating_sub(started);
    // The clock runs on while threads encode the segment. Without the hurry it takes an hour.
    assert!(taken < Duration::from_mins(30), "{taken:?}");
    assert_eq!(
        push(Vec::new(), "x-no-hurry").await,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn damaged_object_makes_the_response_partial_and_unreadable_bucket_gets_503() {
    let folder = tempfile::tempdir().expect("a folder");
    let bucket = Arc::new(LocalFileSystem::new_with_prefix(folder.path()).expect("a bucket"));
    let world = World::on(bucket, &clock());
    for (id, name) in [("1", "a"), ("2", "b")] {
        let raw = cpu(&world.clock, &[(&[name], 5, &[])]);
        assert_eq!(world.push("", WEB, id, &raw).await.0, 200);
    }
    let key = world.keys().await.remove(0);
    let path = folder.path().join(&key);
    let mut bytes = std::fs::read(&path).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).expect("written");
    let top = world
        .json(&format!(
            "/api/v1/profiles/top?{}",
            world.range(&format!("type={CPU}"))
        ))
        .await;
    assert_eq!(top["total"], 5, "{top}");
    let partial = top["partial"][0].as_str().expect("a sentence");
    assert!(
        partial.contains("checksum") && partial.contains("segments"),
        "{partial}"
    );
    for key in world.keys().await {
        std::fs::write(folder.path().join(key), b"DAVYSEG1").expect("written");
    }
    // Another archiver, whose cache is empty.
    let world = World::on(Arc::clone(&world.bucket), &world.clock);
    let path = format!(
        "/api/v1/profiles/top?{}",
        world.range(&format!("type={CPU}"))
    );
    assert_eq!(world.get_as("anonymous", &path).await.0, 503);
}

#[tokio::test]
async fn unsupported_format_is_refused_with_the_supported_ones() {
    let world = World::new();
    let check = async |path: &str, kind: &str, status: u16, named: &str| {
        let request = Request::post(path)
            .header("content-type", kind)
            .body(Body::from("a;b 1"))
            .expect("a request");
        let (got, body) = world.call(request).await;
        let body = String::from_utf8_lossy(&body).into_owned();
        assert_eq!(got.as_u16(), status, "{path}: {body}");
        assert!(body.contains(named), "{path}: {body}");
    };
    check(
        "/ingest?name=a&format=pcap",
        "",
        422,
        "unsupported format pcap; supported are pprof, folded, lines, tree, trie, speedscope, jfr",
    )
    .await;
    // Formats that are supported, with a body that is not in them.
    check(
        "/ingest?name=a&format=jfr",
        "",
        422,
        "invalid JFR recording",
    )
    .await;
    check(
        "/ingest?name=a&format=speedscope",
        "",
        422,
        "invalid speedscope file",
    )
    .await;
    check(
        "/ingest?name=a",
        "binary/octet-stream+trie",
        422,
        "invalid trie",
    )
    .await;
    check("/ingest", "", 400, "missing parameter `name`").await;
    check("/ingest?name=a%7B", "", 400, "expected `}` at the end").await;
    check(
        "/ingest?name=a&from=x",
        "",
        400,
        r#"from: invalid time \"x\""#,
    )
    .await;
    check("/ingest?name=a&sampleRate=0", "", 400, "sampleRate").await;
    for name in ["", ".cpu", "%7Bx=1%7D"] {
        let path = format!("/ingest?name={name}");
        check(&path, "", 400, "the service is empty").await;
    }
    let path = "/ingest?name=a%7Bver%20sion=1%7D";
    check(
        path,
        "",
        400,
        "use letters, digits, `_`, `-` and single dots",
    )
    .await;
    check(
        "/push.v1.PusherService/Push",
        "text/plain",
        415,
        "application/proto and application/json",
    )
    .await;
    check(
        "/push.v1.PusherService/Push",
        "application/json",
        400,
        "not a JSON PushRequest",
    )
    .await;
    assert_eq!(world.keys().await, Vec::<String>::new());
}
