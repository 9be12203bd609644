//! `davy drill`, small enough for a test.

use crate::process::davy;
use serde_json::Value;

#[test]
fn the_drill_names_the_guilty_operation_and_one_toggle_gives_its_memory_back() {
    let folder = tempfile::tempdir().expect("a scratch folder");
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
        .expect("the binary can be run");
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<Value> =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    // How fast the other endpoints are while other tests run beside this one says nothing of them.
    let judged: Vec<&Value> = lines
        .iter()
        .filter(|line| {
            !line["what"]
                .as_str()
                .is_some_and(|what| what.starts_with("slowest"))
        })
        .collect();
    assert!(judged.len() >= 8, "{lines:#?}");
    assert!(
        judged.iter().all(|line| line["holds"] == true),
        "{lines:#?} {said}"
    );
}
