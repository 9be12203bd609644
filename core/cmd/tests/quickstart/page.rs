//! The page in a real browser, on a process that profiles itself.

use crate::running::Sandbox;
use std::path::Path;
use std::process::Command;

#[test]
fn page_shows_the_running_process_by_member() {
    assert!(
        davy_ui::built(),
        "the page is not built; `make test` does that"
    );
    let sandbox = Sandbox::new();
    let running = sandbox.start(&["--profiler-hz", "500"]);
    // A range that is dragged in the page ends a few seconds before its right edge, so the profiles have
    // to be older than that.
    let members = "/api/v1/profiles/labels?name=member&from=now-5m&until=now-20s";
    running.until("profiles of three members older than 20 s", || {
        let names = running.json(members);
        (names.as_array()?.len() >= 3).then_some(())
    });
    let screenshots =
        std::env::var_os("SCREENSHOTS").map_or_else(|| sandbox.path().join("shots"), Into::into);
    let ui = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("two folders up")
        .join("ui");
    let output = Command::new("npm")
        .args(["run", "--silent", "e2e"])
        .current_dir(ui)
        .env("DAVY_URL", &running.page)
        .env("DAVY_ARCHIVE_URL", &running.archive)
        .env("SCREENSHOTS", screenshots)
        .output()
        .expect("npm is installed (`make test` does that)");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
