//! Disks fail, clients vanish, ports are taken.

use crate::http;
use crate::profiles::{cpu, push_request};
use crate::running::{Place, Running, davy};

fn push(running: &Running) -> http::Answer {
    let labels = [("__name__", "process_cpu"), ("service_name", "x")];
    let body = push_request(&labels, "", &cpu(&["main"], 1));
    http::post(
        &format!("{}/push.v1.PusherService/Push", running.archive),
        "application/proto",
        &body,
    )
}

#[test]
fn an_unwritable_store_answers_503_and_recovers_by_itself() {
    let place = Place::new();
    let running = place.start_quiet(&[]);
    assert_eq!(push(&running).status, 200);
    // A file in the place of the folder: nobody can write there, not even root.
    let (store, aside) = (place.store(), place.path().join("aside"));
    std::fs::rename(&store, &aside).expect("the folder can be moved");
    std::fs::write(&store, "in the way").expect("a file");
    let answer = push(&running);
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(answer.text().contains("store"), "{}", answer.text());
    assert_eq!(running.get("/livez").status, 200, "the process goes on");
    std::fs::remove_file(&store).expect("the file can be removed");
    std::fs::rename(&aside, &store).expect("the folder can be moved back");
    let recovered = running.until("recovery", || {
        Some(push(&running)).filter(|answer| answer.status == 200)
    });
    assert_eq!(recovered.status, 200);
    let types = running.json("/api/v1/profiles/types?from=now-2h&until=now");
    assert_eq!(types.as_array().map(Vec::len), Some(1));
}

#[test]
fn clients_that_vanish_hold_nothing_up() {
    let place = Place::new();
    let running = place.start_quiet(&[]);
    for _ in 0..50 {
        http::abandon(&running.archive, "/push.v1.PusherService/Push");
        http::abandon(&running.archive, "/ingest?name=x");
    }
    assert_eq!(push(&running).status, 200);
    assert_eq!(running.stop().code(), Some(0));
}

fn exit(arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let place = Place::new();
    let mut command = davy();
    command
        .args(arguments)
        .current_dir(place.path())
        .envs(environment.iter().copied());
    let output = command.output().expect("the binary can be run");
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn a_wrong_start_ends_with_2_and_one_sentence() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = taken.local_addr().expect("an address").to_string();
    let check = |arguments: &[&str], environment: &[(&str, &str)], expected: &str| {
        let (code, text) = exit(arguments, environment);
        assert_eq!(code, Some(2), "{arguments:?}: {text}");
        assert_eq!(text.lines().count(), 1, "{arguments:?}: {text}");
        assert!(text.contains(expected), "{arguments:?}: {text}");
    };
    let _listener = std::net::TcpListener::bind(&taken);
    let free = [
        "--archive-listen",
        "127.0.0.1:0",
        "--debug-listen",
        "127.0.0.1:0",
    ];
    check(
        &[&["quickstart", "--http-listen", &taken], &free[..]].concat(),
        &[],
        "another program listens there already; give another address with --http-listen",
    );
    check(
        &["quickstart", "--http-listen", "nonsense"],
        &[],
        "is not an address and port",
    );
    check(
        &["quickstart"],
        &[("DAVY_HTTP_LISTN", "x")],
        "did you mean DAVY_HTTP_LISTEN?",
    );
    check(
        &["quickstart", "--config", "nowhere.toml"],
        &[],
        "nowhere.toml can't be read",
    );
    let anywhere = [&["quickstart", "--http-listen", "127.0.0.1:0"], &free[..]].concat();
    let check_elsewhere = |arguments: &[&str], expected: &str| {
        check(&[&anywhere[..], arguments].concat(), &[], expected)
    };
    check_elsewhere(
        &["--bucket-url", "ftp://x"],
        "supported are file:///FOLDER and memory:",
    );
    check_elsewhere(
        &["--bucket-url", "file:///dev/null/store"],
        "cannot use the bucket folder",
    );
    check_elsewhere(&["--database", "mysql://x"], "write sqlite:PATH");
    check(
        &["config", "check", "--bucket-url", "s3://bucket"],
        &[],
        "supported are file:///FOLDER and memory:",
    );
    check(
        &["config", "check", "--profiler-hz", "0"],
        &[],
        "a whole number from 1 to 1000",
    );
}

#[test]
fn a_second_signal_ends_at_once() {
    let place = Place::new();
    let mut running = place.start_quiet(&["--archive-flush-interval", "1h"]);
    // A client that never finishes keeps the drain waiting.
    http::abandon(&running.archive, "/ingest?name=x");
    running.signal(libc::SIGTERM);
    running.until("the drain", || {
        running
            .log()
            .contains("a second signal skips the deadlines")
            .then_some(())
    });
    running.signal(libc::SIGTERM);
    let status = running.wait();
    assert!(matches!(status.code(), Some(0 | 1)), "{status}");
}

#[test]
fn profiles_that_nobody_waits_for_any_more_free_their_places() {
    let place = Place::new();
    let running = place.start(&[]);
    let waiting: Vec<_> = (0..40)
        .map(|_| http::ask_and_wait(&running.debug, "/debug/pprof/profile?seconds=300"))
        .collect();
    let in_flight =
        "davy_endpoint_in_flight{member=\"debug\",op=\"GetCpuProfile\",process=\"quickstart\"} 16";
    running.until("all places taken", || {
        running
            .get("/metrics")
            .text()
            .contains(in_flight)
            .then_some(())
    });
    let status = || http::get(&format!("{}/debug/pprof/profile?seconds=1", running.debug)).status;
    assert_eq!(status(), 429);
    drop(waiting);
    running.until("a place", || (status() == 200).then_some(()));
}
