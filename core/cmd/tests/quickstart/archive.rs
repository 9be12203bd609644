//! `davy archive` on the bucket of a server that no longer runs.

use crate::profiles::profile;
use crate::running::{Sandbox, davy};
use davy_base::Clock;
use davy_profile::{gzip, pprof};
use serde_json::Value;
use std::io::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

fn run(sandbox: &Sandbox, arguments: &[&str]) -> Output {
    let mut command = davy();
    command
        .arg("archive")
        .args(arguments)
        .args(["--data-dir", "data"]);
    command
        .current_dir(sandbox.path())
        .output()
        .expect("run the binary")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Pushes a profile of each of these hours of the day three days ago: at any time of day, that day ended more than a day
/// ago.
fn push(sandbox: &Sandbox, hours: Range<u64>) {
    let running = sandbox.start_quiet(&["--archive-compact-interval", "1h"]);
    let day = Duration::from_hours(24);
    let start = Clock::system().now().floor(day).minus(day * 3);
    for hour in hours {
        let mut profile = profile(&["main", "work"], 1_000_000_000);
        profile.time_nanos = start.plus(Duration::from_hours(hour)).nanos();
        profile.duration_nanos = 10_000_000_000;
        let file = sandbox.path().join(format!("shop-{hour}.pb.gz"));
        std::fs::write(&file, gzip::compress(&pprof::encode(&profile))).expect("write the file");
        let mut push = davy();
        push.arg("push")
            .arg(&file)
            .args(["--label", "service_name=shop"]);
        let pushed = push
            .env("DAVY_SERVER", &running.page)
            .output()
            .expect("run the binary");
        assert!(
            pushed.status.success(),
            "{}",
            String::from_utf8_lossy(&pushed.stderr)
        );
    }
    assert!(running.stop().success());
}

/// Number of files below a folder.
fn count(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let count = |path: PathBuf| if path.is_dir() { count(&path) } else { 1 };
    entries.map(|entry| count(entry.path())).sum()
}

/// The files below a folder with this name.
fn files(folder: &Path, name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path, name));
        } else if path.ends_with(name) {
            found.push(path);
        }
    }
    found
}

#[test]
fn operator_lists_compacts_verifies_and_expires_without_a_server() {
    let sandbox = Sandbox::new();
    push(&sandbox, 1..3);

    let levels = |output: &Output| -> Vec<i64> {
        let levels = json(output)[0]["levels"]
            .as_array()
            .expect("levels")
            .clone();
        levels
            .iter()
            .map(|of| of["pieces"].as_i64().expect("a number"))
            .collect()
    };
    let listed = run(&sandbox, &["ls", "--json"]);
    assert_eq!(levels(&listed), [2, 0, 0, 0]);
    assert!(json(&listed)[0]["levels"][0]["lag_seconds"].as_i64() > Some(24 * 3_600));
    let compacted = run(&sandbox, &["compact"]);
    let wrote = "wrote 3 blocks, deleted 0 segments and blocks; ";
    let compacted = text(&compacted);
    assert!(compacted.starts_with(wrote), "{compacted}");
    assert!(
        compacted.contains(" requests, ") && compacted.ends_with(" written\n"),
        "{compacted}"
    );
    let listed = run(&sandbox, &["ls", "--json"]);
    assert_eq!(levels(&listed)[..3], [2, 2, 1]);
    assert_eq!(json(&listed)[0]["levels"][1]["lag_seconds"], 0);
    let table = text(&run(&sandbox, &["ls"]));
    assert!(
        table.contains("tenant anonymous") && table.contains("shop"),
        "{table}"
    );

    let verified = run(&sandbox, &["verify"]);
    assert!(verified.status.success(), "{}", text(&verified));
    assert!(
        text(&verified).starts_with("verified 5 segments and blocks"),
        "{}",
        text(&verified)
    );

    let options = [
        "--archive-retention",
        "1h",
        "--archive-windows-retention",
        "25h",
    ];
    let due = run(&sandbox, &[&["retain", "--dry-run"], &options[..]].concat());
    let said = text(&due);
    assert!(
        said.contains("kept: no day block has had the sums for the grace period"),
        "{said}"
    );
    assert!(said.ends_with("would delete 0 items with 0 B\n"), "{said}");
    let gone = run(
        &sandbox,
        &[
            "retain",
            "--dry-run",
            "--json",
            "--archive-days-retention",
            "26h",
            "--archive-hours-retention",
            "26h",
            "--archive-retention",
            "1h",
            "--archive-windows-retention",
            "25h",
        ],
    );
    let gone = json(&gone);
    assert_eq!(gone.as_array().map(Vec::len), Some(5), "{gone}");
    assert!(
        gone.as_array()
            .expect("items")
            .iter()
            .all(|of| of["outcome"] == "due"),
        "{gone}"
    );
    let listed = run(&sandbox, &["ls", "--json"]);
    assert_eq!(levels(&listed)[..3], [2, 2, 1]);

    let samples = files(&sandbox.bucket(), "samples.parquet");
    let damaged = samples
        .iter()
        .find(|path| path.to_string_lossy().contains("/hour/"));
    let damaged = damaged.expect("an hour block");
    let mut bytes = std::fs::read(damaged).expect("read");
    bytes[5] ^= 1;
    std::fs::write(damaged, bytes).expect("written");
    let verified = run(&sandbox, &["verify", "--json"]);
    assert_eq!(verified.status.code(), Some(1));
    let faults = json(&verified)["faults"].clone();
    let first = faults[0]["fault"].as_str().expect("a fault");
    assert!(first.contains("checksum mismatch"), "{faults}");
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    assert!(said.contains("faulty"), "{said}");
}

#[test]
fn export_that_is_killed_leaves_a_whole_archive_and_goes_on() {
    let sandbox = Sandbox::new();
    push(&sandbox, 0..12);
    assert!(run(&sandbox, &["compact"]).status.success());
    let folder = sandbox.path().join("copy");
    let url = format!("file://{}", folder.display());
    let mut kills = 0;
    let mut objects = 0;
    loop {
        let mut export = davy();
        export
            .args(["archive", "export", &url, "--data-dir", "data"])
            .current_dir(sandbox.path())
            .stdout(Stdio::null());
        let mut export = export.spawn().expect("run the binary");
        let next = objects + 11;
        let status = loop {
            if count(&folder) >= next {
                break None;
            }
            if let Some(status) = export.try_wait().expect("a child") {
                break Some(status);
            }
            std::thread::yield_now();
        };
        if let Some(status) = status {
            assert!(status.success());
            break;
        }
        export.kill().expect("killed");
        export.wait().expect("a child");
        objects = count(&folder);
        kills += 1;
        let verified = run(&sandbox, &["verify", "--bucket-url", &url]);
        assert!(verified.status.success(), "{}", text(&verified));
    }
    assert!(kills >= 3, "{kills}");
    let list = |more: &[&str]| json(&run(&sandbox, &[&["ls", "--json"], more].concat()));
    assert_eq!(list(&["--bucket-url", &url]), list(&[]));
    let again = run(&sandbox, &["export", &url, "--json"]);
    assert_eq!(json(&again)["copied"]["objects"], 0);
}

#[test]
fn tar_on_standard_output_is_imported_from_standard_input() {
    let sandbox = Sandbox::new();
    push(&sandbox, 0..2);
    assert!(run(&sandbox, &["compact"]).status.success());
    let export = run(&sandbox, &["export", "-"]);
    assert!(export.status.success());
    let said = String::from_utf8_lossy(&export.stderr).into_owned();
    assert!(said.starts_with("copied "), "{said}");
    let url = format!("file://{}", sandbox.path().join("copy").display());
    let import = |tar: &[u8]| {
        let mut import = davy();
        import
            .args([
                "archive",
                "import",
                "-",
                "--data-dir",
                "data",
                "--bucket-url",
                &url,
            ])
            .current_dir(sandbox.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut import = import.spawn().expect("run the binary");
        let mut input = import.stdin.take().expect("piped");
        // The command may end before it has read everything.
        let _ = input.write_all(tar);
        drop(input);
        import.wait_with_output().expect("a child")
    };
    let broken = import(&export.stdout[..export.stdout.len() / 2]);
    assert_eq!(broken.status.code(), Some(1));
    assert!(import(&export.stdout).status.success());
    let list = |more: &[&str]| json(&run(&sandbox, &[&["ls", "--json"], more].concat()));
    assert_eq!(list(&["--bucket-url", &url]), list(&[]));
    let same = run(
        &sandbox,
        &["export", &format!("file://{}", sandbox.bucket().display())],
    );
    assert_eq!(same.status.code(), Some(2), "{}", text(&same));

    let table = run(&sandbox, &["table", "--json"]);
    assert!(
        table.status.success(),
        "{}",
        String::from_utf8_lossy(&table.stderr)
    );
    let tables = json(&table)[0]["tables"].as_array().expect("tables").len();
    assert!(tables >= 8, "{}", text(&table));
    let rewritten = run(&sandbox, &["rewrite", "--dry-run"]);
    assert_eq!(text(&rewritten), "would rewrite 0 blocks, 0 B\n");
}
