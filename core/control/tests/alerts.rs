//! The alerting and recording rules in `ops/prometheus`.

use davy_test_support::skip;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The files of `ops/prometheus` with this suffix.
fn files(suffix: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ops/prometheus");
    let entries = std::fs::read_dir(folder).expect("the folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut found: Vec<PathBuf> = paths
        .filter(|path| path.to_string_lossy().ends_with(suffix))
        .collect();
    found.sort();
    found
}

#[test]
fn alerts_fire_and_resolve_as_their_tests_say() {
    let tests = files(".test.yml");
    assert!(tests.len() >= 3, "{tests:?}");
    let Ok(output) = Command::new("promtool")
        .args(["test", "rules"])
        .args(tests)
        .output()
    else {
        return skip("promtool is not installed: ops/dev/need prometheus");
    };
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
}

#[test]
fn every_file_of_rules_has_a_test() {
    let stems = |suffix: &str| -> Vec<String> {
        let paths = files(suffix).into_iter();
        paths
            .map(|path| path.to_string_lossy().trim_end_matches(suffix).to_owned())
            .collect()
    };
    assert_eq!(stems(".rules.yml"), stems(".test.yml"));
}

#[test]
fn rules_use_metrics_of_the_catalogue() {
    let known: BTreeSet<&str> = davy_control::metrics().map(|entry| entry.name).collect();
    for path in files(".rules.yml") {
        let rules = std::fs::read_to_string(&path).expect("the rules");
        let words = rules.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let used: BTreeSet<&str> = words.filter(|word| word.starts_with("davy_")).collect();
        assert!(!used.is_empty(), "{}", path.display());
        for name in used {
            let name = name.strip_suffix("_bucket").unwrap_or(name);
            assert!(known.contains(name), "{name} in {}", path.display());
        }
    }
}
