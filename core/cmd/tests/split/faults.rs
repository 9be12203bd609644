//! Killed processes and signals.

use crate::database::Database;
use crate::fleet::{Fleet, Placement, members, metrics};
use crate::http;
use crate::process::{PATIENCE, Process, davy, is_running, signal, within};
use std::time::Duration;

/// Pid of the child process that hosts a member.
fn child_of(fleet: &Fleet, member: &str) -> u32 {
    let process = format!("process.quickstart/{member}");
    fleet.until(&format!("the child of {member}"), || {
        let rows = fleet.rows(&process);
        rows.first()?["child_pid"].as_u64().map(|pid| pid as u32)
    })
}

fn children(fleet: &Fleet) -> Vec<u32> {
    let rows = members(&fleet.processes[0].debug).expect("a response");
    let pids = rows.iter().filter_map(|row| row["child_pid"].as_u64());
    pids.map(|pid| pid as u32).collect()
}

#[test]
fn killed_child_is_restarted_without_affecting_other_members() {
    let fleet = Fleet::start(Placement::Isolated, Database::Sqlite);
    let frontend = fleet.frontends()[0].to_owned();
    let before = child_of(&fleet, "archive.query");
    signal(before, libc::SIGKILL);
    let after = within(PATIENCE, || {
        for path in ["/", "/api/v1/jobs", "/livez"] {
            let response = http::get(&format!("{frontend}{path}"));
            assert_eq!(response.status, 200, "{path}: {}", response.text());
        }
        let now = child_of(&fleet, "archive.query");
        (now != before).then_some(now)
    });
    assert!(
        after.is_some(),
        "no new child:\n{}",
        fleet.processes[0].log()
    );
    fleet.until_ready();
    let row = &fleet.rows("process.quickstart/archive.query")[0];
    assert_eq!(row["restarts"], 1, "{row}");
    let counted = metrics(&fleet.processes[0].debug).into_iter().any(|line| {
        line.starts_with("davy_member_restarts_total{member=\"process.quickstart/archive.query\"")
            && line.ends_with(" 1")
    });
    assert!(counted, "{:?}", metrics(&fleet.processes[0].debug));
}

#[test]
fn request_for_a_killed_child_gets_503_with_retry_after() {
    let fleet = Fleet::start(Placement::Isolated, Database::Sqlite);
    let frontend = fleet.frontends()[0];
    let url = format!("{frontend}/api/v1/profiles/types");
    assert_eq!(http::get(&url).status, 200);
    // The child takes a moment to restart.
    let refused = fleet.until("a refusal", || {
        signal(child_of(&fleet, "archive.query"), libc::SIGKILL);
        let answered = within(Duration::from_secs(2), || {
            Some(http::get(&url)).filter(|response| response.status != 200)
        });
        answered.map(|(response, _)| response)
    });
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert_eq!(refused.retry_after.as_deref(), Some("1"));
    assert!(
        refused.text().contains("quickstart/archive.query"),
        "{}",
        refused.text()
    );
    fleet.until("a response", || {
        (http::get(&url).status == 200).then_some(())
    });
}

#[test]
fn children_exit_with_their_killed_parent() {
    for placement in [Placement::Isolated, Placement::Split] {
        let mut fleet = Fleet::start(placement, Database::Sqlite);
        let pids = children(&fleet);
        assert!(pids.len() >= 3, "{pids:?}");
        assert!(pids.iter().all(|pid| is_running(*pid)));
        fleet.processes[0].signal(libc::SIGKILL);
        fleet.processes[0]
            .ends_within(PATIENCE)
            .expect("the process exits");
        fleet.until("all children to exit", || {
            (!pids.iter().any(|pid| is_running(*pid))).then_some(())
        });
    }
}

#[test]
fn second_signal_stops_a_fleet_without_waiting_for_clients() {
    let mut fleet = Fleet::start(Placement::Split, Database::Sqlite);
    let pids = children(&fleet);
    // The drain waits for a client that never finishes its request.
    let archive = fleet.archive().trim_start_matches("http://").to_owned();
    let mut waiting = std::net::TcpStream::connect(archive).expect("connect");
    let head =
        b"POST /ingest?name=x HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 1000000\r\n\r\nonly";
    std::io::Write::write_all(&mut waiting, head).expect("write to the connection");
    let process = &mut fleet.processes[0];
    process.signal(libc::SIGTERM);
    let drains = within(PATIENCE, || {
        process.log().contains("a second signal").then_some(())
    });
    assert!(drains.is_some(), "{}", process.log());
    process.signal(libc::SIGTERM);
    process.ends_within(PATIENCE).expect("the process exits");
    // The client is still connected: the process has not waited for it.
    drop(waiting);
    assert!(
        !pids.into_iter().any(is_running),
        "a child is still running"
    );
}

#[test]
fn socket_folder_of_a_killed_parent_is_removed_by_the_next_process() {
    let mut fleet = Fleet::prepare(Placement::Split, Database::Sqlite, "");
    let temporary = fleet.path().join("tmp");
    std::fs::create_dir(&temporary).expect("the folder");
    let start = |fleet: &mut Fleet| {
        let mut command = davy(fleet.path());
        command
            .args(["quickstart", "--split"])
            .env("TMPDIR", &temporary);
        let process = Process::start(command, "quickstart --split");
        fleet.processes.push(process);
        fleet.until_ready();
    };
    let folders = || -> Vec<String> {
        let entries = std::fs::read_dir(&temporary).expect("the folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        let names = names.map(|name| name.to_string_lossy().into_owned());
        names.filter(|name| name.starts_with("davy-")).collect()
    };
    start(&mut fleet);
    let first = folders();
    assert_eq!(first.len(), 1, "{first:?}");
    fleet.processes[0].signal(libc::SIGKILL);
    let ended = fleet.processes[0].ends_within(PATIENCE);
    assert!(ended.is_some(), "a killed process exits");
    assert_eq!(folders(), first, "the killed process leaves its folder");
    fleet.processes.clear();
    start(&mut fleet);
    let second = folders();
    assert_eq!(second.len(), 1, "{second:?}");
    assert_ne!(second, first);
    fleet.stop();
    assert!(folders().is_empty(), "{:?}", folders());
}
