//! A skipped test is listed in the file of skipped tests, and fails where every test must run.

use std::process::{Command, Output};

#[test]
#[ignore = "a child process of the other tests"]
fn child_that_skips() {
    davy_test_support::skip("the reason");
}

/// Runs the child with these variables.
fn child(variables: &[(&str, &str)]) -> Output {
    let own = std::env::current_exe().expect("this test");
    let mut command = Command::new(own);
    command.args(["--exact", "child_that_skips", "--ignored", "--nocapture"]);
    command.env_remove("DAVY_NO_SKIP");
    command.env_remove("DAVY_SKIPPED_FILE");
    command.envs(variables.iter().copied());
    command.output().expect("the child ran")
}

#[test]
fn skipped_test_passes_and_is_listed_with_its_reason() {
    let file = std::env::temp_dir().join(format!("davy-skipped-{}", std::process::id()));
    let output = child(&[("DAVY_SKIPPED_FILE", &file.to_string_lossy())]);
    let listed = std::fs::read_to_string(&file);
    // It may not exist.
    let _ = std::fs::remove_file(&file);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(listed.expect("the list"), "child_that_skips: the reason\n");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        errors.contains("skipped: child_that_skips: the reason"),
        "{errors}"
    );
}

#[test]
fn skipped_test_fails_if_no_test_may_be_skipped() {
    let output = child(&[("DAVY_NO_SKIP", "1")]);
    assert!(!output.status.success(), "{output:?}");
    assert!(child(&[("DAVY_NO_SKIP", "")]).status.success());
}
