//! Failing disks, disconnecting clients, ports in use.

use crate::http;
use crate::profiles::{cpu, push_request};
use crate::running::{Running, Sandbox, davy};

fn push(running: &Running) -> http::Response {
    let labels = [("__name__", "process_cpu"), ("service_name", "x")];
    let body = push_request(&labels, "", &cpu(&["main"], 1));
    http::post(
        &format!("{}/push.v1.PusherService/Push", running.archive),
        "application/proto",
        &body,
    )
}

#[test]
fn unwritable_bucket_returns_503_and_recovers() {
    let sandbox = Sandbox::new();
    let running = sandbox.start_quiet(&[]);
    assert_eq!(push(&running).status, 200);
    // A file in place of the folder can't be written to, not even by root.
    let (bucket, aside) = (sandbox.bucket(), sandbox.path().join("aside"));
    std::fs::rename(&bucket, &aside).expect("move the folder");
    std::fs::write(&bucket, "in the way").expect("write the file");
    let response = push(&running);
    assert_eq!(response.status, 503, "{}", response.text());
    assert!(response.text().contains("store"), "{}", response.text());
    assert_eq!(running.get("/livez").status, 200, "the process is alive");
    let degraded = || running.json("/readyz")["degraded"].clone();
    let bucket_is_degraded = |degraded: &serde_json::Value| {
        let issues = degraded.as_array().into_iter().flatten();
        issues
            .clone()
            .any(|issue| issue["member"] == "bucket" && issue["state"] == "failing")
    };
    assert!(bucket_is_degraded(&degraded()), "{}", degraded());
    std::fs::remove_file(&bucket).expect("remove the file");
    std::fs::rename(&aside, &bucket).expect("move the folder back");
    // Without a push: the archiver probes the bucket.
    running.until("readiness without the bucket", || {
        Some(()).filter(|()| !bucket_is_degraded(&degraded()))
    });
    let recovered = running.until("recovery", || {
        Some(push(&running)).filter(|response| response.status == 200)
    });
    assert_eq!(recovered.status, 200);
    let types = running.json("/api/v1/profiles/types?from=now-2h&until=now");
    assert_eq!(types.as_array().map(Vec::len), Some(1));
}

#[test]
fn disconnected_clients_do_not_delay_the_stop() {
    let sandbox = Sandbox::new();
    let running = sandbox.start_quiet(&[]);
    for _ in 0..50 {
        http::abandon(&running.archive, "/push.v1.PusherService/Push");
        http::abandon(&running.archive, "/ingest?name=x");
    }
    assert_eq!(push(&running).status, 200);
    assert_eq!(running.stop().code(), Some(0));
}

/// What `davy quickstart > /dev/full 2>&1` does: the disk of the log is full.
#[test]
fn log_that_cannot_be_written_does_not_end_the_process() {
    let sandbox = Sandbox::new();
    let full = || {
        std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .expect("/dev/full")
    };
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("bind a free port");
    let listen = free.local_addr().expect("an address").to_string();
    drop(free);
    let mut child = davy()
        .args([
            "quickstart",
            "--log-level",
            "debug",
            "--http-listen",
            &listen,
        ])
        .args([
            "--archive-listen",
            "127.0.0.1:0",
            "--debug-listen",
            "127.0.0.1:0",
            "--data-dir",
        ])
        .arg(sandbox.path().join("data"))
        .stdout(full())
        .stderr(full())
        .spawn()
        .expect("run the binary");
    while std::net::TcpStream::connect(&listen).is_err() {
        assert_eq!(child.try_wait().expect("a child"), None, "it ended");
        std::thread::yield_now();
    }
    assert_eq!(http::get(&format!("http://{listen}/livez")).status, 200);
    let pid = i32::try_from(child.id()).expect("a process id");
    // SAFETY: signals a child that has not been waited for.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGTERM) }, 0);
    assert_eq!(child.wait().expect("it exits").code(), Some(0));
    // Neither does it hide the exit code of a command.
    let status = davy()
        .args(["config", "check", "--profiler-hz", "0"])
        .stderr(full())
        .status();
    assert_eq!(status.expect("run the binary").code(), Some(2));
}

fn exit(arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let sandbox = Sandbox::new();
    let mut command = davy();
    command
        .args(arguments)
        .current_dir(sandbox.path())
        .envs(environment.iter().copied());
    let output = command.output().expect("run the binary");
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn invalid_start_exits_with_2_and_one_sentence() {
    let in_use = std::net::TcpListener::bind("127.0.0.1:0").expect("bind a free port");
    let in_use = in_use.local_addr().expect("an address").to_string();
    let check = |arguments: &[&str], environment: &[(&str, &str)], expected: &str| {
        let (code, text) = exit(arguments, environment);
        assert_eq!(code, Some(2), "{arguments:?}: {text}");
        assert_eq!(text.lines().count(), 1, "{arguments:?}: {text}");
        assert!(text.contains(expected), "{arguments:?}: {text}");
    };
    let _listener = std::net::TcpListener::bind(&in_use);
    let free = [
        "--archive-listen",
        "127.0.0.1:0",
        "--debug-listen",
        "127.0.0.1:0",
    ];
    check(
        &[&["quickstart", "--http-listen", &in_use], &free[..]].concat(),
        &[],
        "address already in use; set another address with --http-listen",
    );
    check(
        &["quickstart", "--http-listen", "nonsense"],
        &[],
        "expected an address and port",
    );
    check(
        &["quickstart"],
        &[("DAVY_HTTP_LISTN", "x")],
        "did you mean DAVY_HTTP_LISTEN?",
    );
    check(
        &["quickstart", "--config", "nowhere.toml"],
        &[],
        "cannot read configuration file nowhere.toml",
    );
    let start = [&["quickstart", "--http-listen", "127.0.0.1:0"], &free[..]].concat();
    let check_start = |arguments: &[&str], expected: &str| {
        check(&[&start[..], arguments].concat(), &[], expected)
    };
    check_start(
        &["--bucket-url", "ftp://x"],
        "unsupported bucket.url \"ftp://x\": expected file:///FOLDER",
    );
    check_start(
        &["--bucket-url", "file:///dev/null/store"],
        "cannot use the folder /dev/null/store of the bucket",
    );
    check_start(&["--database", "mysql://x"], "mysql://x");
    check(
        &["config", "check", "--database", "mysql://x"],
        &[],
        "mysql://x",
    );
    check(
        &["config", "check", "--bucket-url", "swift://bucket"],
        &[],
        "bucket.auth_url is not set",
    );
    check(
        &["config", "check", "--profiler-hz", "0"],
        &[],
        "a whole number from 1 to 1000",
    );
}

#[test]
fn second_signal_stops_immediately() {
    let sandbox = Sandbox::new();
    let mut running = sandbox.start_quiet(&["--archive-flush-interval", "1h"]);
    // The drain waits for a client that never finishes its request.
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
fn disconnected_clients_of_profiles_free_their_slots() {
    let sandbox = Sandbox::new();
    let running = sandbox.start(&[]);
    let waiting: Vec<_> = (0..40)
        .map(|_| http::send_and_wait(&running.debug, "/debug/pprof/profile?seconds=300"))
        .collect();
    let in_flight =
        "davy_endpoint_in_flight{member=\"debug\",op=\"GetCpuProfile\",process=\"quickstart\"} 16";
    running.until("all slots in use", || {
        running
            .get("/metrics")
            .text()
            .contains(in_flight)
            .then_some(())
    });
    let status = || http::get(&format!("{}/debug/pprof/profile?seconds=1", running.debug)).status;
    assert_eq!(status(), 429);
    drop(waiting);
    running.until("a free slot", || (status() == 200).then_some(()));
}
