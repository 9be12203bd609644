//! A process whose worker threads are all blocked, as by an endless loop.

use crate::database::Database;
use crate::fleet::{Fleet, Placement};
use crate::http;
use crate::process::{PATIENCE, text, within};
use std::ptr::null_mut;
use std::time::Duration;

/// The worker threads of a process, stopped by ptrace until this is dropped.
struct StoppedWorkers(Vec<i32>);

impl StoppedWorkers {
    fn of(pid: u32) -> Self {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("list the threads");
        let threads: Vec<i32> = tasks
            .flatten()
            .filter(|task| {
                let name = std::fs::read_to_string(task.path().join("comm"));
                name.is_ok_and(|name| name.trim() == "davy-worker")
            })
            .filter_map(|task| task.file_name().to_str()?.parse().ok())
            .collect();
        assert!(!threads.is_empty(), "the process has worker threads");
        for thread in &threads {
            trace(libc::PTRACE_SEIZE, *thread);
            trace(libc::PTRACE_INTERRUPT, *thread);
            // SAFETY: waits for a thread that this one traces; the null pointers mean that nothing is written.
            let waited = unsafe { libc::waitpid(*thread, null_mut(), libc::__WALL) };
            assert_eq!(waited, *thread, "the thread is stopped");
        }
        Self(threads)
    }
}

impl Drop for StoppedWorkers {
    fn drop(&mut self) {
        for thread in &self.0 {
            trace(libc::PTRACE_DETACH, *thread);
        }
    }
}

fn trace(request: libc::c_uint, thread: i32) {
    let nothing = null_mut::<libc::c_void>();
    // SAFETY: none of these requests reads or writes through its pointers.
    let result = unsafe { libc::ptrace(request, thread, nothing, nothing) };
    let error = std::io::Error::last_os_error();
    assert_eq!(result, 0, "cannot trace thread {thread}: {error}");
}

#[test]
fn process_with_blocked_workers_serves_the_debug_port_and_stops() {
    let mut fleet = Fleet::start(Placement::One, Database::Sqlite);
    let debug = fleet.processes[0].debug.clone();
    let stopped = StoppedWorkers::of(fleet.processes[0].pid());
    for path in ["/livez", "/readyz", "/metrics", "/api/v1/members"] {
        let response = http::get(&format!("{debug}{path}"));
        assert_eq!(response.status, 200, "{path}: {}", response.text());
    }
    let why = ["endpoint", "disable", "ListAllJobs", "--why", "it hangs"];
    text(&fleet.davy_at(&debug, &why));
    let process = &mut fleet.processes[0];
    process.signal(libc::SIGTERM);
    let logged = within(PATIENCE, || {
        process.log().contains("stopping").then_some(())
    });
    assert!(logged.is_some(), "{}", process.log());
    drop(stopped);
    let (status, _) = process.ends_within(PATIENCE).expect("the process exits");
    assert_eq!(status.code(), Some(0), "{}", process.log());
    fleet.restart_ended();
    let jobs = http::get(&format!("{}/api/v1/jobs", fleet.frontends()[0]));
    assert_eq!(jobs.status, 503, "the toggle is stored: {}", jobs.text());
}

#[test]
fn second_signal_stops_a_process_with_blocked_workers() {
    let mut fleet = Fleet::start(Placement::One, Database::Sqlite);
    let stopped = StoppedWorkers::of(fleet.processes[0].pid());
    let process = &mut fleet.processes[0];
    process.signal(libc::SIGTERM);
    let logged = within(PATIENCE, || {
        process.log().contains("stopping").then_some(())
    });
    assert!(logged.is_some(), "{}", process.log());
    process.signal(libc::SIGTERM);
    let hung = within(Duration::from_secs(10), || {
        process.log().contains("is hung").then_some(())
    });
    assert!(hung.is_some(), "{}", process.log());
    drop(stopped);
    process.ends_within(PATIENCE).expect("the process exits");
}
