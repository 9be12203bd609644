//! Invalid input is refused with a reason, nothing of it is stored, and other clients are unaffected.

use crate::http::{self, Response};
use crate::profiles::{cpu, field, profile, push_request};
use crate::running::{Running, Sandbox};
use davy_profile::{gzip, pprof};

const GOOD: &[(&str, &str)] = &[("__name__", "process_cpu"), ("service_name", "good")];

fn push(running: &Running, body: &[u8]) -> Response {
    http::post(
        &format!("{}/push.v1.PusherService/Push", running.archive),
        "application/proto",
        body,
    )
}

fn push_profile(running: &Running, profile: &[u8]) -> Response {
    push(running, &push_request(GOOD, "", profile))
}

/// Asserts that the response is a client error that names the problem and no internals.
fn refused(what: &str, response: &Response, expected: &str) {
    assert!(
        (400..500).contains(&response.status),
        "{what}: {} {}",
        response.status,
        response.text()
    );
    let body: serde_json::Value = serde_json::from_slice(&response.body)
        .unwrap_or_else(|e| panic!("{what}: {e}: {}", response.text()));
    let message = body["message"]
        .as_str()
        .or(body["detail"].as_str())
        .unwrap_or_default();
    assert!(
        message.contains(expected),
        "{what}: {message:?} does not contain {expected:?}"
    );
    assert!(
        !message.contains("src/") && !message.contains("panicked"),
        "{what}: {message}"
    );
}

fn at(nanoseconds: i64) -> Vec<u8> {
    let mut profile = profile(&["main"], 1);
    profile.time_nanos = nanoseconds;
    gzip::compress(&pprof::encode(&profile))
}

fn now() -> i64 {
    davy_base::Clock::system().now().nanos()
}

const DAY: i64 = 86_400_000_000_000;

#[test]
fn invalid_profiles_are_refused_and_not_stored() {
    let sandbox = Sandbox::new();
    let running = sandbox.start_quiet(&[]);
    let packed = cpu(&["main"], 1);
    let check = |what: &str, profile: &[u8], expected: &str| {
        refused(what, &push_profile(&running, profile), expected);
    };
    check("text", b"this is not a profile", "pprof");
    check("nothing", b"", "");
    check("a truncated gzip", &packed[..packed.len() / 2], "gzip");
    check(
        "a gzip bomb",
        &gzip::compress(&vec![0; 60 << 20]),
        "gzip bomb",
    );
    check(
        "more than one profile may hold",
        &gzip::compress(&vec![b'x'; 100 << 20]),
        "",
    );
    let dangling = [
        field(1, &[8, 1, 16, 1]),
        field(2, &[8, 9, 16, 1]),
        field(6, b""),
        field(6, b"cpu"),
    ]
    .concat();
    check("a dangling location", &dangling, "location 9");
    check(
        "the far past",
        &at(now() - 400 * DAY),
        "older than the retention of",
    );
    check(
        "the far future",
        &at(now() + DAY),
        "check the client's clock",
    );

    let types = running.json("/api/v1/profiles/types?from=now-2h&until=now");
    assert_eq!(types, serde_json::json!([]), "nothing is stored");
    assert_eq!(
        push_profile(&running, &packed).status,
        200,
        "a valid profile is still accepted"
    );
    let types = running.json("/api/v1/profiles/types?from=now-2h&until=now");
    assert_eq!(types.as_array().map(Vec::len), Some(1), "{types}");
}

#[test]
fn invalid_labels_are_refused() {
    let sandbox = Sandbox::new();
    let running = sandbox.start_quiet(&[]);
    let profile = cpu(&["main"], 1);
    let check = |what: &str, labels: &[(&str, &str)], expected: &str| {
        refused(
            what,
            &push(&running, &push_request(labels, "", &profile)),
            expected,
        );
    };
    check("no service", &[("__name__", "process_cpu")], "service_name");
    let long = "v".repeat(1 << 20);
    check(
        "a value of a megabyte",
        &[GOOD, &[("k", &long)]].concat(),
        "k",
    );
    check(
        "a name of a megabyte",
        &[GOOD, &[(&long, "v")]].concat(),
        "name",
    );
    check(
        "a NUL in a name",
        &[GOOD, &[("a\0b", "v")]].concat(),
        "label",
    );
    let many: Vec<(String, String)> = (0..200)
        .map(|i| (format!("l{i}"), "v".to_owned()))
        .collect();
    let many: Vec<(&str, &str)> = GOOD
        .iter()
        .copied()
        .chain(many.iter().map(|(k, v)| (k.as_str(), v.as_str())))
        .collect();
    check("two hundred labels", &many, "labels");
}

#[test]
fn labels_with_path_segments_write_nothing_outside_the_bucket() {
    let sandbox = Sandbox::new();
    let running = sandbox.start_quiet(&[]);
    for (service, status) in [
        ("../../escape", 400),
        ("/etc/escape", 200),
        ("a/b/c", 200),
        ("\u{202e}escape", 200),
        ("%2e%2e/escape", 200),
    ] {
        let labels = [
            ("__name__", "process_cpu"),
            ("service_name", service),
            ("x", "/escape"),
        ];
        let response = push(&running, &push_request(&labels, "", &cpu(&["main"], 1)));
        assert_eq!(response.status, status, "{service}: {}", response.text());
    }
    let mut outside = Vec::new();
    let mut pending = vec![sandbox.path().to_owned()];
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(folder)
            .expect("the folder")
            .map(|entry| entry.expect("an entry").path())
        {
            if entry.is_dir() {
                pending.push(entry);
            } else if entry.to_string_lossy().contains("escape") {
                outside.push(entry);
            }
        }
    }
    assert!(outside.is_empty(), "{outside:?}");
    let services = running.json("/api/v1/profiles/labels?name=service_name&from=now-2h");
    assert!(
        services.to_string().contains("a/b/c"),
        "labels are stored unchanged: {services}"
    );
}

#[test]
fn gzip_bombs_leave_memory_bounded() {
    let sandbox = Sandbox::new();
    let running = sandbox.start_quiet(&[]);
    let bomb = push_request(GOOD, "", &gzip::compress(&vec![0; 60 << 20]));
    let before = running.resident();
    for _ in 0..40 {
        assert!((400..500).contains(&push(&running, &bomb).status));
    }
    let grown = running.resident().saturating_sub(before);
    // The allocator of each thread that decompressed one retains memory.
    assert!(grown < 192 << 20, "memory grew by {} MiB", grown >> 20);
}

#[test]
fn invalid_queries_are_refused_with_the_parameter() {
    let sandbox = Sandbox::new();
    let running = sandbox.start_quiet(&[]);
    let check = |query: &str, expected: &str| {
        let response = running.get(&format!("/api/v1/profiles/{query}"));
        assert_eq!(response.status, 400, "{query}: {}", response.text());
        assert_eq!(response.content_type, "application/problem+json", "{query}");
        refused(query, &response, expected);
    };
    let cpu = "process_cpu:cpu:nanoseconds:cpu:nanoseconds";
    check("flamegraph", "type");
    check("flamegraph?type=cpus", "type");
    check(
        &format!("flamegraph?type={cpu}&selector={{service_name=x}}"),
        "selector",
    );
    check(&format!("flamegraph?type={cpu}&selector={{a=~\"(\"}}"), "(");
    check(&format!("flamegraph?type={cpu}&from=yesterday"), "from");
    check(
        &format!("flamegraph?type={cpu}&from=now&until=now-1h"),
        "is not before",
    );
    check(
        &format!("flamegraph?type={cpu}&max_nodes=many"),
        "max_nodes",
    );
    check(&format!("series?type={cpu}&step=0"), "step");
    let nowhere = running.get("/api/v1/nowhere");
    assert_eq!(
        (nowhere.status, nowhere.content_type.as_str()),
        (404, "application/problem+json")
    );
}
