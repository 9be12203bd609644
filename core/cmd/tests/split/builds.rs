//! A build and the death of every backend.

use crate::database::Database;
use crate::fleet::{Fleet, Placement};
use crate::http;
use crate::process::{Process, davy, text};
use std::process::{Child, Stdio};

/// Lines that the task prints.
const LINES: usize = 60;
/// Prints them at 20 per second, and notes in a file beside the volumes that it was started.
const TASK: &str = "run: {path: sh, args: [-c, 'echo run >> ../../../runs; i=0; while [ $i -lt 60 ]; do echo line $i; i=$((i+1)); sleep 0.05; done; exit 3']}\n";

/// A child that is killed when the test ends.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn log_bytes(fleet: &Fleet) -> Option<i64> {
    let response = http::try_get(&format!("{}/api/v1/builds/1", fleet.frontends()[0]))?;
    response.json()["log_bytes"].as_i64()
}

#[test]
fn build_goes_on_without_a_backend_runs_once_and_loses_and_repeats_no_line() {
    let mut fleet = Fleet::start(Placement::Kinds, Database::Sqlite);
    text(&fleet.davy(&["token", "worker", "w"]));
    std::fs::write(fleet.path().join("task.yml"), TASK).expect("writable");
    let frontend = fleet.frontends()[0].to_owned();
    let start = |arguments: &[&str]| {
        let mut command = davy(fleet.path());
        command
            .args(arguments)
            .env("DAVY_SERVER", &frontend)
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        command.spawn().expect("run the binary")
    };
    let arguments =
        "worker --name w --key w.key --work-dir work --driver process --sync-interval 1s";
    let _worker = Killed(start(&arguments.split(' ').collect::<Vec<_>>()));
    let executing = start(&["execute", "-c", "task.yml"]);
    let after = |bytes: i64| {
        fleet.until("more of the log", || {
            log_bytes(&fleet).filter(|now| *now > bytes)
        })
    };
    let seen = after(0);
    // SIGKILL, and none is left.
    let at = fleet
        .processes
        .iter()
        .position(|process| process.kind == "backend");
    let backend = &fleet.processes[at.expect("a backend")];
    backend.signal(libc::SIGKILL);
    // What it runs, prints and ends does not need one.
    let seen = after(seen);
    after(seen);
    let mut command = davy(fleet.path());
    command.args(["backend", "--data-dir", "data-new"]);
    fleet.processes.push(Process::start(command, "backend"));
    let ended = executing.wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), Some(3));
    let mut expected = String::new();
    for number in 0..LINES {
        expected += &format!("line {number}\n");
    }
    assert_eq!(String::from_utf8_lossy(&ended.stdout), expected);
    let runs = std::fs::read_to_string(fleet.path().join("work/runs"));
    assert_eq!(runs.expect("it has run"), "run\n");
    // The new backend collects what is left of it.
    fleet.until("empty folders", || {
        let left = |folder: &str| {
            std::fs::read_dir(fleet.path().join("work").join(folder)).map_or(0, Iterator::count)
        };
        (left("containers") == 0 && left("volumes") == 0).then_some(())
    });
}
