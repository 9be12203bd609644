//! SIGHUP reloads the configuration, and toggles change with it.

use crate::database::Database;
use crate::fleet::{Fleet, Placement, jobs, members};
use crate::http;
use crate::process::Process;
use serde_json::Value;

/// The toggle of ListAllJobs that is in effect in a process.
fn endpoint(address: &str) -> Option<Value> {
    let rows = http::try_get(&format!("{address}/api/v1/endpoints"))?.json();
    let rows = rows.as_array()?;
    let row = rows.iter().find(|row| row["operation"] == "ListAllJobs")?;
    Some(row["toggle"].clone())
}

fn state(address: &str, process: &str, member: &str) -> Option<Value> {
    let rows = members(address)?;
    let row = rows
        .into_iter()
        .find(|row| row["name"] == member && row["process"] == process)?;
    Some(row["state"].clone())
}

fn hang_up(fleet: &Fleet) {
    for process in &fleet.processes {
        process.signal(libc::SIGHUP);
    }
}

fn check_reload(placement: Placement, backend: &str) {
    let fleet = Fleet::start(placement, Database::Sqlite);
    let frontend = fleet.frontends()[0];
    let reads = || {
        let logs = fleet.processes.iter().map(Process::log);
        logs.map(|log| log.matches("keeping the previous one").count())
            .sum::<usize>()
    };
    fleet.configure("[endpoint.ListAllJobs]\nlimit = 7\nslot = \"3s\"\n");
    hang_up(&fleet);
    fleet.until("the limit of the file", || {
        (endpoint(frontend)?["limit"] == 7).then_some(())
    });
    let toggle = endpoint(frontend).expect("a response");
    assert_eq!(toggle["slot_seconds"], 3.0, "{toggle}");
    assert_eq!(toggle["source"], "davy.toml", "{toggle}");
    let audit = || {
        let rows = fleet.json(&["audit"]);
        rows.as_array().expect("a list").clone()
    };
    let row = fleet.until("the audit", || {
        let mut rows = audit().into_iter();
        rows.find(|row| row["what"] == "endpoint.configure" && row["name"] == "ListAllJobs")
    });
    assert_eq!(row["source"], "sighup", "{row}");
    assert!(
        row["detail"]
            .to_string()
            .contains("limited to 7 concurrent requests"),
        "{row}"
    );

    std::fs::write(fleet.path().join("davy.toml"), "[endpoint.ListAllJobs\n")
        .expect("write the file");
    let before = reads();
    hang_up(&fleet);
    fleet.until("the invalid file to be reported", || {
        (reads() > before).then_some(())
    });
    assert_eq!(endpoint(frontend).expect("a response")["limit"], 7);

    fleet.configure("");
    hang_up(&fleet);
    fleet.until("the removed limit", || {
        endpoint(frontend)?["limit"].is_null().then_some(())
    });
    assert_eq!(jobs(frontend).map(|response| response.status), Some(200));
    assert_eq!(state(frontend, backend, "gc.audit"), Some("ready".into()));
}

#[test]
fn separate_processes_reload_the_file() {
    check_reload(Placement::Kinds, "backend");
}

#[test]
fn child_processes_reload_the_file() {
    check_reload(Placement::Split, "backend");
}

#[test]
fn member_disabled_by_the_file_cannot_be_enabled_live() {
    let fleet = Fleet::start(Placement::One, Database::Sqlite);
    let frontend = fleet.frontends()[0];
    let (on, off) = (
        "[member.\"gc.audit\"]\n",
        "[member.\"gc.audit\"]\nenabled = false\n",
    );
    fleet.change_file(on, off);
    hang_up(&fleet);
    let is = |expected: &str| {
        fleet.until(expected, || {
            (state(frontend, "quickstart", "gc.audit")? == expected).then_some(())
        });
    };
    is("off");
    // Enabling it live would have no effect and is refused.
    let refused = fleet.davy(&["member", "enable", "gc.audit"]);
    let error = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{error}");
    assert!(error.contains("davy.toml"), "{error}");
    assert!(error.contains("status 409"), "{error}");
    fleet.change_file(off, on);
    hang_up(&fleet);
    is("ready");
}
