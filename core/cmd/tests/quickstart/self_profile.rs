//! The process profiles itself by member.

use crate::http;
use crate::running::{Running, Sandbox};
use std::process::Command;

const CPU: &str = "process_cpu:cpu:nanoseconds:cpu:nanoseconds";
const HEAP: &str = "memory:inuse_space:bytes:space:bytes";

/// The stacks of the process, as `member=…;op=…;root;…;leaf value`.
fn stacks(running: &Running, kind: &str) -> String {
    let path = format!(
        "/api/v1/profiles/folded?type={kind}&selector={{service_name=\"davy\"}}&by=member,op&from=now-5m"
    );
    running.get(&path).text()
}

#[test]
fn cpu_and_heap_are_attributed_to_members() {
    let sandbox = Sandbox::new();
    let running = sandbox.start(&["--profiler-hz", "1000"]);
    // The queries cause the work that is sampled.
    running.until("CPU samples of two members", || {
        let stacks = stacks(&running, CPU);
        running.get(&format!("/api/v1/profiles/top?type={CPU}&from=now-5m"));
        let seen = |start: &str, frame: &str| {
            let mut lines = stacks.lines();
            lines.any(|line| line.starts_with(start) && line.contains(frame))
        };
        // Frames are symbolized.
        let query = seen("member=archive.query;op=QueryFolded;", "davy_archive::");
        (query && seen("member=archive.ingest;op=Push;", "")).then_some(())
    });

    let heap = running.until("heap of a member", || {
        let stacks = stacks(&running, HEAP);
        stacks
            .lines()
            .any(|line| line.starts_with("member=archive"))
            .then_some(stacks)
    });
    let total: i64 = heap
        .lines()
        .filter_map(|line| line.rsplit(' ').next()?.parse::<i64>().ok())
        .sum();
    assert!(
        (1 << 16..1 << 30).contains(&total),
        "implausible live heap of {total} bytes"
    );
    let types = running.json("/api/v1/profiles/types?from=now-5m");
    for kind in [
        CPU,
        HEAP,
        "memory:inuse_objects:count:space:bytes",
        "memory:alloc_space:bytes:space:bytes",
        "memory:alloc_objects:count:space:bytes",
    ] {
        assert!(
            types
                .as_array()
                .expect("an array")
                .iter()
                .any(|t| t == kind),
            "{kind} in {types}"
        );
    }
    let members = running.json("/api/v1/profiles/labels?name=member&from=now-5m");
    assert!(
        members.as_array().expect("an array").len() >= 2,
        "{members}"
    );
}

#[test]
fn go_tool_pprof_reads_the_debug_port_and_the_archive() {
    let sandbox = Sandbox::new();
    let running = sandbox.start(&[]);
    let check = |source: &str, expected: &str| {
        let output = Command::new("go")
            // By default it waits for half of the duration and five seconds more, which is not enough on a busy machine, and it looks
            // up what has no name yet in the executable, which takes up to a minute.
            .args(["tool", "pprof", "-timeout=60", "-symbolize=none", "-top"])
            .args(["-nodecount=2000", source])
            .env("PPROF_TMPDIR", sandbox.path())
            .output()
            .expect("Go is installed (`make test` does that)");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{source}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(text.contains(expected), "{source}: {text}");
    };
    check(
        &format!("{}/debug/pprof/profile?seconds=1", running.debug),
        "Type: cpu",
    );
    check(
        &format!("{}/debug/pprof/heap", running.debug),
        "Type: inuse_space",
    );
    check(&format!("{}/debug/pprof/heap", running.debug), "davy");
    let path = format!(
        "/api/v1/profiles/pprof?type={HEAP}&selector={{service_name=\"davy\"}}&from=now-5m"
    );
    let pprof = running.until("heap in the archive", || {
        let response = running.get(&path);
        let profile =
            davy_profile::gzip::unpack(&response.body, &davy_profile::Limits::default()).ok()?;
        let profile =
            davy_profile::pprof::decode(&profile, &davy_profile::Limits::default()).ok()?;
        (profile.sample_count() > 0).then_some(response.body)
    });
    let file = sandbox.path().join("heap.pb.gz");
    std::fs::write(&file, pprof).expect("write the file");
    check(&file.display().to_string(), "inuse_space");
}

#[test]
fn every_listener_serves_health_and_metrics() {
    let sandbox = Sandbox::new();
    let running = sandbox.start(&[]);
    for address in [&running.page, &running.archive, &running.debug] {
        assert_eq!(http::get(&format!("{address}/livez")).text(), "ok\n");
        running.until("readiness", || {
            (http::get(&format!("{address}/readyz")).status == 200).then_some(())
        });
        let metrics = http::get(&format!("{address}/metrics"));
        assert_eq!(metrics.status, 200);
        for name in [
            "davy_member_up{member=\"archive.ingest\",process=\"quickstart\"} 1",
            "davy_profiler_samples_total",
            "davy_archive_windows_total",
            "process_resident_memory_bytes",
        ] {
            assert!(
                metrics.text().contains(name),
                "{name} in {}",
                metrics.text()
            );
        }
    }
    let members: Vec<String> = running
        .json("/api/v1/members")
        .as_array()
        .expect("an array")
        .iter()
        .map(|row| {
            format!(
                "{} {}",
                row["name"].as_str().unwrap_or(""),
                row["state"].as_str().unwrap_or("")
            )
        })
        .collect();
    for member in [
        "api",
        "ui",
        "archive.ingest",
        "archive.compactor",
        "archive.renderer",
        "archive.arclamp",
        "archive.query",
    ] {
        assert!(
            members.contains(&format!("{member} ready")),
            "{member} in {members:?}"
        );
    }
    let described = running.json("/api/v1/openapi.json");
    for path in [
        "types",
        "labels",
        "series",
        "flamegraph",
        "top",
        "pprof",
        "folded",
        "svg",
    ] {
        let operation =
            &described["paths"][format!("/api/v1/profiles/{path}")]["get"]["operationId"];
        assert!(operation.is_string(), "{path} in {described}");
    }
}
