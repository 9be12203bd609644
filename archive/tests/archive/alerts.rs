//! The example of recording rules and the alerts on its counters.

use davy_archive::recording::RulesFile;
use std::path::Path;

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../ops/prometheus")
}

#[test]
fn every_alert_on_a_recorded_counter_has_a_rule_in_the_example() {
    let read = |name: &str| std::fs::read_to_string(folder().join(name)).expect("a file");
    let metrics: Vec<String> = read("recording.yml")
        .lines()
        .filter_map(|line| Some(line.trim().strip_prefix("- metric: ")?.to_owned()))
        .collect();
    assert_eq!(metrics.len(), 2);
    assert!(read("recording.rules.yml").contains(&metrics[1]));
    // The fields are those of a rule.
    let rules: RulesFile = serde_json::from_value(serde_json::json!({
        "rules": [{ "metric": metrics[1], "type": "cpu", "function": "encoding/json.Marshal", "by": ["region"], "labels": { "team": "x" } }]
    }))
    .expect("valid");
    assert_eq!(rules.checked().expect("valid")[0].id, metrics[1]);
}
