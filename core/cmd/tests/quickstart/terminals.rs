//! Terminals in the containers of running builds.

use crate::rootfs;
use crate::running::Sandbox;
use crate::workers::{PROCESS, RUNC, Worker, command, run, start_with, text, write_task};
use std::process::Stdio;

/// Runs a command at a terminal of a build that waits for a file, with input from a pipe.
fn check_terminal(driver: &[&str], prepare: impl FnOnce(&Sandbox)) {
    let sandbox = Sandbox::new();
    prepare(&sandbox);
    let running = sandbox.start_quiet(&[]);
    let _worker = start_with("w", driver, &running, &sandbox);
    write_task(
        &sandbox,
        "run: {path: sh, args: [-c, 'echo started; while [ ! -e go ]; do sleep 0.05; done; exit 6']}\n",
    );
    let executing = command(&["execute", "-c", "task.yml"], &running, &sandbox)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("run the binary");
    let mut executing = Worker(executing);
    running.until("a line of the log", || {
        let row: serde_json::Value =
            serde_json::from_slice(&running.get("/api/v1/builds/1").body).ok()?;
        (row["log_bytes"].as_i64()? > 0).then_some(())
    });
    let hijacked = run(
        &[
            "hijack",
            "1",
            "--",
            "sh",
            "-c",
            "echo from $((6 * 7)); exit 9",
        ],
        &running,
        &sandbox,
    );
    assert_eq!(
        hijacked.status.code(),
        Some(9),
        "{}",
        text(&hijacked.stderr)
    );
    assert!(
        text(&hijacked.stdout).contains("from 42"),
        "{}",
        text(&hijacked.stdout)
    );
    // What is typed reaches a shell, which sees the files of the task.
    let mut typing = command(&["hijack", "1"], &running, &sandbox)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("run the binary");
    let mut input = typing.stdin.take().expect("a pipe");
    std::io::Write::write_all(&mut input, b"cat > go; exit 0\n\x04").expect("it reads");
    drop(input);
    assert_eq!(executing.0.wait().expect("a child").code(), Some(6));
    typing.wait().expect("a child");
    let over = run(&["hijack", "1"], &running, &sandbox);
    assert!(
        text(&over.stderr).contains("does not run"),
        "{}",
        text(&over.stderr)
    );
}

#[test]
fn terminal_of_a_running_task_runs_commands_and_passes_keys_on() {
    check_terminal(PROCESS, |_| {});
}

#[test]
fn terminal_in_a_container_runs_commands_and_passes_keys_on() {
    if rootfs::is_runc_usable() {
        check_terminal(RUNC, |sandbox| {
            rootfs::write(&sandbox.path().join("images/base"))
        });
    }
}
