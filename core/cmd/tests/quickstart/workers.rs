//! A worker and its builds, with the binary.

use crate::running::{Running, Sandbox, davy};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Output, Stdio};

/// A worker that is killed when the test ends.
struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn command(arguments: &[&str], running: &Running, sandbox: &Sandbox) -> Command {
    let mut command = davy();
    command
        .args(arguments)
        .env("DAVY_SERVER", &running.page)
        .current_dir(sandbox.path());
    command
}

fn run(arguments: &[&str], running: &Running, sandbox: &Sandbox) -> Output {
    let output = command(arguments, running, sandbox).output();
    output.expect("run the binary")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Starts a worker with a new key.
fn start(name: &str, running: &Running, sandbox: &Sandbox) -> Worker {
    let made = run(&["token", "worker", name], running, sandbox);
    assert!(made.status.success(), "{}", text(&made.stderr));
    restart(name, running, sandbox)
}

fn restart(name: &str, running: &Running, sandbox: &Sandbox) -> Worker {
    let (key, folder) = (format!("{name}.key"), format!("work-{name}"));
    let arguments = [
        "worker",
        "--name",
        name,
        "--key",
        &key,
        "--driver",
        "process",
        "--sync-interval",
        "1s",
        "--work-dir",
        &folder,
    ];
    let child = command(&arguments, running, sandbox)
        .stderr(Stdio::null())
        .spawn()
        .expect("run the binary");
    running.until("a running worker", || {
        let workers = running.get("/api/v1/workers").body;
        let row = format!("\"name\":\"{name}\",\"state\":\"running\"");
        text(&workers).contains(&row).then_some(())
    });
    Worker(child)
}

/// Whether a process has this argument.
fn is_running(argument: &str) -> bool {
    let processes = std::fs::read_dir("/proc").expect("/proc");
    let commands = processes
        .flatten()
        .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    let mut commands = commands.map(|command| text(&command));
    commands.any(|command| command.starts_with("sleep") && command.contains(argument))
}

fn write_task(sandbox: &Sandbox, task: &str) {
    std::fs::write(sandbox.path().join("task.yml"), task).expect("writable");
}

#[test]
fn task_runs_with_inputs_and_returns_its_log_outputs_and_exit_code() {
    let sandbox = Sandbox::new();
    let running = sandbox.start_quiet(&[]);
    let _worker = start("w", &running, &sandbox);
    std::fs::create_dir(sandbox.path().join("src")).expect("writable");
    std::fs::write(sandbox.path().join("src/data.txt"), "from the client\n").expect("writable");
    write_task(
        &sandbox,
        "inputs: [{name: src}]\noutputs: [{name: out}]\nparams: {GREETING: hello}\nrun:\n  path: sh\n  args: [-c, 'cat src/data.txt; echo \"$GREETING $0\" > out/greeting.txt; echo done >&2; exit 7']\n",
    );
    let arguments = [
        "execute",
        "-c",
        "task.yml",
        "-i",
        "src=src",
        "-o",
        "out=result",
        "--",
        "world",
    ];
    let executed = run(&arguments, &running, &sandbox);
    let (stdout, stderr) = (text(&executed.stdout), text(&executed.stderr));
    assert_eq!(executed.status.code(), Some(7), "{stderr}");
    assert!(
        stdout.contains("from the client\n") && stdout.contains("done\n"),
        "{stdout}"
    );
    assert!(stderr.contains("the task exited with code 7"), "{stderr}");
    let output = std::fs::read_to_string(sandbox.path().join("result/greeting.txt"));
    assert_eq!(output.expect("downloaded"), "hello world\n");
    // The log can be read again.
    let logs = run(&["builds", "logs", "1"], &running, &sandbox);
    assert_eq!((text(&logs.stdout), logs.status.code()), (stdout, Some(7)));
    let listed = text(&run(&["builds", "ls"], &running, &sandbox).stdout);
    assert!(
        listed.contains("failed") && listed.contains("exit code 7"),
        "{listed}"
    );
}

#[test]
fn aborted_task_is_killed_with_everything_that_it_started() {
    let sandbox = Sandbox::new();
    let running = sandbox.start_quiet(&[]);
    let _worker = start("w", &running, &sandbox);
    write_task(
        &sandbox,
        "run: {path: sh, args: [-c, 'setsid sleep 31536001 & echo started; sleep 31536001']}\n",
    );
    let mut executing = command(&["execute", "-c", "task.yml"], &running, &sandbox)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("run the binary");
    let mut line = String::new();
    let mut stdout = BufReader::new(executing.stdout.take().expect("a pipe"));
    stdout.read_line(&mut line).expect("the log is text");
    assert_eq!(line, "started\n");
    let aborted = run(&["builds", "abort", "1"], &running, &sandbox);
    assert!(aborted.status.success(), "{}", text(&aborted.stderr));
    let ended = executing.wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        text(&ended.stderr).contains("build 1 aborted"),
        "{}",
        text(&ended.stderr)
    );
    assert!(!is_running("31536001"), "nothing is left running");
}

#[test]
fn hostile_tasks_are_refused_or_bounded() {
    let sandbox = Sandbox::new();
    let running = sandbox.start_quiet(&[]);
    let _worker = start("w", &running, &sandbox);
    let check = |task: &str, code: i32, expected: &str| {
        write_task(&sandbox, task);
        let executed = run(&["execute", "-c", "task.yml"], &running, &sandbox);
        let stderr = text(&executed.stderr);
        assert_eq!(executed.status.code(), Some(code), "{stderr}");
        assert!(stderr.contains(expected), "{stderr}");
    };
    check(
        "run: {path: sh}\ninputs: [{name: ../../etc}]\n",
        2,
        "invalid input",
    );
    check("run: {path: sh}\nprivileged: true\n", 2, "privileged");
    check(
        "run: {path: /no/such/program}\n",
        1,
        "cannot start \"/no/such/program\"",
    );
    check(
        "run: {path: yes, args: [aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]}\n",
        1,
        "more than 16 MiB",
    );
    check(
        "run: {path: sleep, args: ['1000']}\ntimeout_seconds: 1\n",
        1,
        "time limit of 1 s",
    );
    check(
        "outputs: [{name: out}]\nrun: {path: sh, args: [-c, 'head -c 20000000 /dev/urandom > out/noise']}\n",
        1,
        "exceeds the limit",
    );
}

#[test]
fn restarted_worker_never_runs_a_build_twice_and_destroys_what_was_left() {
    let sandbox = Sandbox::new();
    let running = sandbox.start_quiet(&[
        "--member-gc-containers-interval",
        "200ms",
        "--member-gc-volumes-interval",
        "200ms",
    ]);
    let mut worker = start("w", &running, &sandbox);
    write_task(
        &sandbox,
        "run: {path: sh, args: [-c, 'echo started; sleep 31536002']}\n",
    );
    let mut executing = command(&["execute", "-c", "task.yml"], &running, &sandbox)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("run the binary");
    let mut line = String::new();
    let mut stdout = BufReader::new(executing.stdout.take().expect("a pipe"));
    stdout.read_line(&mut line).expect("the log is text");
    worker.0.kill().expect("running");
    worker.0.wait().expect("a child");
    let _worker = restart("w", &running, &sandbox);
    let ended = executing.wait_with_output().expect("it ends");
    assert!(
        text(&ended.stderr).contains("was restarted while the task ran"),
        "{}",
        text(&ended.stderr)
    );
    let left = |folder: &str| {
        let entries = std::fs::read_dir(sandbox.path().join("work-w").join(folder));
        entries.expect("a folder").count()
    };
    running.until("an empty folder", || {
        (left("containers") == 0 && left("volumes") == 0).then_some(())
    });
    assert!(!is_running("31536002"), "nothing is left running");
}

#[test]
fn cloned_worker_replaces_the_first_process_and_a_revoked_key_ends_both() {
    let sandbox = Sandbox::new();
    let running = sandbox.start_quiet(&[]);
    let mut first = start("w", &running, &sandbox);
    let arguments = [
        "worker",
        "--name",
        "w",
        "--key",
        "w.key",
        "--driver",
        "process",
        "--sync-interval",
        "1s",
        "--work-dir",
        "clone",
    ];
    let second = command(&arguments, &running, &sandbox)
        .stderr(Stdio::piped())
        .spawn()
        .expect("run the binary");
    let mut second = Worker(second);
    let ended = first.0.wait().expect("it stops by itself");
    assert_eq!(ended.code(), Some(1));
    let revoked = run(&["token", "revoke", "w"], &running, &sandbox);
    assert!(revoked.status.success(), "{}", text(&revoked.stderr));
    assert_eq!(second.0.wait().expect("it stops by itself").code(), Some(1));
}
