//! `davy drill` with few jobs and clients.

use crate::process::davy;
use serde_json::Value;

#[test]
fn drill_finds_the_operation_and_recovers_its_memory() {
    let folder = tempfile::tempdir().expect("create a temporary folder");
    let output = davy(folder.path())
        .args([
            "drill",
            "list-all-jobs",
            "--jobs",
            "4000",
            "--clients",
            "4",
            "--json",
        ])
        .output()
        .expect("run the binary");
    let progress = String::from_utf8_lossy(&output.stderr);
    let checks: Vec<Value> = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {progress}"));
    // The latency of other endpoints depends on the tests that run concurrently.
    let relevant: Vec<&Value> = checks
        .iter()
        .filter(|check| {
            !check["check"]
                .as_str()
                .is_some_and(|name| name.starts_with("slowest"))
        })
        .collect();
    assert!(relevant.len() >= 8, "{checks:#?}");
    for step in [
        "starting the processes",
        "loading 4000 jobs",
        "disabling the endpoint",
    ] {
        assert!(progress.contains(step), "{progress}");
    }
    assert!(
        relevant.iter().all(|check| check["passed"] == true),
        "{checks:#?} {progress}"
    );
}

/// Runs a drill, and returns its checks that did not pass, without those that other tests on this machine disturb.
fn failed_checks(arguments: &[&str], timed: &[&str]) -> Vec<Value> {
    let folder = tempfile::tempdir().expect("create a temporary folder");
    let output = davy(folder.path())
        .arg("drill")
        .args(arguments)
        .arg("--json")
        .output()
        .expect("run the binary");
    let progress = String::from_utf8_lossy(&output.stderr);
    let checks: Vec<Value> = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {progress}"));
    assert!(checks.len() >= 10, "{checks:#?}");
    let is_timed = |check: &Value| {
        let name = check["check"].as_str().unwrap_or_default();
        timed.iter().any(|part| name.contains(part))
    };
    let failed = checks.into_iter().filter(|check| check["passed"] != true);
    failed.filter(|check| !is_timed(check)).collect()
}

#[test]
fn wedged_workers_are_named_and_heal_without_harm_to_others() {
    let failed = failed_checks(
        &["wedged-worker", "--rounds", "4", "--workers", "4"],
        &["p99"],
    );
    assert_eq!(failed, [0; 0].map(Value::from));
}

#[test]
fn storm_of_garbage_is_swept_completely_with_few_queries() {
    let small = [
        "gc-storm",
        "--workers",
        "10",
        "--containers",
        "60",
        "--interval",
        "2s",
        "--steady",
        "4s",
        "--central",
        "2s",
    ];
    let failed = failed_checks(&small, &["p99", "CPU", "above 1 s", "queries a destroyed"]);
    assert_eq!(failed, [0; 0].map(Value::from));
}
