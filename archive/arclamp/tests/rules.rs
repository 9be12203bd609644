//! The alerts of `ops/prometheus`.

use davy_test_support::skip;
use std::path::Path;
use std::process::Command;

#[test]
fn alerts_fire_and_resolve_as_their_test_says() {
    let test = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ops/prometheus/arclamp.test.yml");
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
