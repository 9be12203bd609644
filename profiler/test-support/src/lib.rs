#![doc = include_str!("../README.md")]

use std::io::Write as _;

/// The file to which skipped tests are appended, one line each: `test name: reason`.
const SKIPPED_FILE: &str = "DAVY_SKIPPED_FILE";

/// If set to anything but an empty string, a skipped test fails.
const NO_SKIP: &str = "DAVY_NO_SKIP";

/// Records that the calling test cannot run here. The test returns right after the call.
///
/// ```no_run
/// # fn perf_is_permitted() -> bool { false }
/// if !perf_is_permitted() {
///     davy_test_support::skip("perf_event_open is not permitted");
///     return;
/// }
/// ```
///
/// # Panics
///
/// If the environment variable `DAVY_NO_SKIP` is set: where every test is expected to run, one that
/// cannot is a failure.
pub fn skip(reason: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("unnamed test");
    eprintln!("skipped: {test}: {reason}");
    let forbidden = std::env::var_os(NO_SKIP).is_some_and(|value| !value.is_empty());
    assert!(
        !forbidden,
        "{test} was skipped although {NO_SKIP} is set: {reason}"
    );
    if let Some(path) = std::env::var_os(SKIPPED_FILE) {
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path);
        // An error is ignored, because the reason is on standard error as well.
        let _ = file.and_then(|mut file| file.write_all(format!("{test}: {reason}\n").as_bytes()));
    }
}
