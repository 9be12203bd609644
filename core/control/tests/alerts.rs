//! The alerts on workers in `ops/prometheus`.

use davy_test_support::skip;
use std::path::{Path, PathBuf};
use std::process::Command;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../ops/prometheus")
        .join(name)
}

#[test]
fn alerts_on_workers_fire_and_resolve_as_their_test_says() {
    let test = file("workers.test.yml");
    let Ok(output) = Command::new("promtool")
        .args(["test", "rules"])
        .arg(test)
        .output()
    else {
        skip("promtool is not installed");
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
}

#[test]
fn alerts_on_workers_use_metrics_of_the_catalogue() {
    let rules = std::fs::read_to_string(file("workers.rules.yml")).expect("the rules");
    let words = rules.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let mut used: Vec<&str> = words.filter(|word| word.starts_with("davy_")).collect();
    used.sort_unstable();
    used.dedup();
    assert!(used.len() >= 8, "{used:?}");
    for name in used {
        let name = name.strip_suffix("_bucket").unwrap_or(name);
        let is_known = davy_control::metrics().any(|entry| entry.name == name);
        assert!(is_known, "{name}");
    }
}
