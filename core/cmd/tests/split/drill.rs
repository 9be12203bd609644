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
