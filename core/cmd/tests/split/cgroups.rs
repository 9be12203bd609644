//! Isolated members in cgroups of the real kernel. Skipped where this process may not create any.

use crate::database::Database;
use crate::fleet::{Fleet, Placement, jobs, metrics};
use crate::process::{davy, text};
use std::process::{Child, Command, Stdio};

const LIMITED: &str = "process.quickstart/archive.query";
const KILLED: &str = "process.quickstart/gc.audit";

fn isolate(fleet: &Fleet, member: &str, limits: &str) {
    let section = format!("[member.\"{member}\"]\n");
    fleet.change_file(
        &section,
        &format!("{section}isolate = \"process\"\n{limits}\n"),
    );
}

/// Starts a process in the cgroup of a child that uses all of its memory, and makes the kernel kill the child for it.
fn exhaust_memory(pid: u32) -> Child {
    std::fs::write(format!("/proc/{pid}/oom_score_adj"), "1000").expect("a child of this test");
    let cgroups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it runs");
    let of_v1 = |line: &str| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let is_memory = controllers.split(',').any(|name| name == "memory");
        is_memory.then(|| format!("/sys/fs/cgroup/memory{path}"))
    };
    let of_v2 = |line: &str| Some(format!("/sys/fs/cgroup{}", line.strip_prefix("0::")?));
    let found = cgroups.lines().find_map(of_v1);
    let folder = found.or_else(|| cgroups.lines().find_map(of_v2));
    let join = format!("echo 0 > {}/cgroup.procs", folder.expect("a cgroup"));
    // `tail` keeps what has no line breaks.
    Command::new("sh")
        .args([
            "-c",
            &format!("{join} && head -c 300000000 /dev/zero | tail"),
        ])
        .stdout(Stdio::null())
        .spawn()
        .expect("a shell")
}

#[test]
fn isolated_member_that_exceeds_its_memory_is_named_and_counted_and_nobody_else_notices() {
    if let Err(error) = davy_cgroup::Hierarchy::probe() {
        return davy_test_support::skip(&error.to_string());
    }
    let mut fleet = Fleet::prepare(Placement::One, Database::Sqlite, "");
    isolate(&fleet, "gc.audit", "memory_max = \"64MiB\"");
    let limits = "memory_max = \"4GiB\"\ncpu_weight = 200\npids_max = 400";
    isolate(&fleet, "archive.query", limits);
    fleet.start_processes();
    let pid = fleet.until("the child to be ready", || {
        let row = fleet.rows(KILLED).into_iter().next()?;
        let pid = row["child_pid"].as_u64()?;
        (row["state"] == "ready").then_some(pid as u32)
    });
    let mut hog = exhaust_memory(pid);
    let killed = fleet.until("a child to be killed for its memory", || {
        let row = fleet.rows(KILLED).into_iter().next()?;
        (row["cgroup"]["oom_kills"].as_u64()? > 0).then_some(row)
    });
    assert_eq!(killed["cgroup"]["memory_max_bytes"], 64 << 20, "{killed}");
    hog.wait().expect("killed, or by the kernel");
    fleet.until("the child to come back", || {
        let row = fleet.rows(KILLED).into_iter().next()?;
        (row["state"] == "ready" && row["restarts"] == 1).then_some(())
    });
    let log = fleet.processes[0].log();
    assert!(
        log.contains("out of memory, its limit is 64.0 MiB"),
        "{log}"
    );
    let counted = metrics(&fleet.processes[0].debug).into_iter().any(|line| {
        line.starts_with("davy_member_oom_kills_total{member=\"process.quickstart/gc.audit\"")
            && !line.ends_with(" 0")
    });
    assert!(counted, "{:?}", metrics(&fleet.processes[0].debug));
    let listed = text(&fleet.davy(&["members"]));
    assert!(listed.contains("killed because memory ran out"), "{listed}");

    // The member in the other child has the figures of its process.
    let query = fleet.until("the other child to be ready", || {
        let row = fleet.rows("archive.query").into_iter().next()?;
        (row["state"] == "ready" && !row["cgroup"].is_null()).then_some(row)
    });
    let cgroup = &query["cgroup"];
    assert_eq!(cgroup["memory_max_bytes"], 4_u64 << 30, "{query}");
    assert!(
        cgroup["cpu_seconds"].as_f64().is_some_and(|cpu| cpu > 0.0),
        "{query}"
    );
    assert!(
        cgroup["pids"].as_u64().is_some_and(|pids| pids > 0),
        "{query}"
    );
    assert_eq!(cgroup["oom_kills"], 0, "{query}");
    assert_eq!(fleet.rows(LIMITED)[0]["restarts"], 0);
    let response = jobs(fleet.frontends()[0]).expect("a response");
    assert_eq!(response.status, 200, "{}", response.text());
}

#[test]
fn limits_of_a_member_that_shares_its_process_are_rejected() {
    let fleet = Fleet::prepare(Placement::One, Database::Sqlite, "");
    let section = "[member.\"archive.query\"]\n";
    fleet.change_file(section, &format!("{section}pids_max = 100\n"));
    let mut command = davy(fleet.path());
    let output = command.args(["config", "check"]).output().expect("run");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        error.contains("member.archive.query.pids_max has no effect")
            && error.contains("isolate = \"process\""),
        "{error}"
    );
}
