//! A worker and its builds, with the binary.

use crate::rootfs;
use crate::running::{Running, Sandbox, davy};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Output, Stdio};

/// Collectors that do not wait.
pub(crate) const SOON: &[&str] = &[
    "--member-gc-builds-interval",
    "200ms",
    "--member-gc-containers-interval",
    "200ms",
    "--member-gc-volumes-interval",
    "200ms",
    "--member-gc-workers-interval",
    "200ms",
];

/// A worker that is killed when the test ends.
pub(crate) struct Worker(pub(crate) Child);

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn command(arguments: &[&str], running: &Running, sandbox: &Sandbox) -> Command {
    let mut command = davy();
    command
        .args(arguments)
        .env("DAVY_SERVER", &running.page)
        .current_dir(sandbox.path());
    command
}

pub(crate) fn run(arguments: &[&str], running: &Running, sandbox: &Sandbox) -> Output {
    let output = command(arguments, running, sandbox).output();
    output.expect("run the binary")
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Starts a worker with a new key.
fn start(name: &str, running: &Running, sandbox: &Sandbox) -> Worker {
    start_with(name, PROCESS, running, sandbox)
}

pub(crate) fn start_with(
    name: &str,
    driver: &[&str],
    running: &Running,
    sandbox: &Sandbox,
) -> Worker {
    let made = run(&["token", "worker", name], running, sandbox);
    assert!(made.status.success(), "{}", text(&made.stderr));
    restart_with(name, driver, running, sandbox)
}

fn restart(name: &str, running: &Running, sandbox: &Sandbox) -> Worker {
    restart_with(name, PROCESS, running, sandbox)
}

fn restart_with(name: &str, driver: &[&str], running: &Running, sandbox: &Sandbox) -> Worker {
    let child = worker_command(name, driver, running, sandbox).spawn();
    let worker = Worker(child.expect("run the binary"));
    until_running(name, running);
    worker
}

/// The command that starts a worker which has a key.
pub(crate) fn worker_command(
    name: &str,
    driver: &[&str],
    running: &Running,
    sandbox: &Sandbox,
) -> Command {
    let (key, folder) = (format!("{name}.key"), format!("work-{name}"));
    let arguments = [
        "worker",
        "--name",
        name,
        "--key",
        &key,
        "--sync-interval",
        "1s",
        "--work-dir",
        &folder,
    ];
    let arguments = [&arguments, driver].concat();
    let mut command = command(&arguments, running, sandbox);
    command.stderr(Stdio::null());
    command
}

pub(crate) fn until_running(name: &str, running: &Running) {
    running.until("a running worker", || {
        let workers = running.get("/api/v1/workers").body;
        let row = format!("\"name\":\"{name}\",\"state\":\"running\"");
        text(&workers).contains(&row).then_some(())
    });
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

pub(crate) fn write_task(sandbox: &Sandbox, task: &str) {
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
        "more than 64 MiB",
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

/// A worker and a task of it that prints numbered lines and ends with code 5.
struct Counting {
    sandbox: Sandbox,
    running: Running,
    worker: Worker,
    executing: Option<Child>,
}

impl Counting {
    fn new(driver: &[&str], prepare: impl FnOnce(&Sandbox)) -> Self {
        let sandbox = Sandbox::new();
        prepare(&sandbox);
        let running = sandbox.start_quiet(SOON);
        let worker = start_with("w", driver, &running, &sandbox);
        write_task(
            &sandbox,
            "run: {path: sh, args: [-c, 'i=0; while [ $i -lt 40 ]; do echo line $i; i=$((i+1)); sleep 0.05; done; exit 5']}\n",
        );
        let executing = command(&["execute", "-c", "task.yml"], &running, &sandbox)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("run the binary");
        Self {
            sandbox,
            running,
            worker,
            executing: Some(executing),
        }
    }

    /// Kills the worker when its log has a line, and starts it again.
    fn kill_at(&mut self, line: &str, driver: &[&str]) {
        self.running.until("a line of the log", || {
            let logs = self.running.get("/api/v1/builds/1").body;
            let row: serde_json::Value = serde_json::from_slice(&logs).ok()?;
            let wanted = line.parse::<i64>().expect("a number of bytes");
            (row["log_bytes"].as_i64()? >= wanted).then_some(())
        });
        self.worker.0.kill().expect("running");
        self.worker.0.wait().expect("a child");
        self.worker = restart_with("w", driver, &self.running, &self.sandbox);
    }

    fn check(mut self) {
        let executing = self.executing.take().expect("started once");
        let ended = executing.wait_with_output().expect("it ends");
        assert_eq!(ended.status.code(), Some(5), "{}", text(&ended.stderr));
        let mut expected = String::new();
        for number in 0..40 {
            expected += &format!("line {number}\n");
        }
        assert_eq!(text(&ended.stdout), expected, "no line is lost or repeated");
        let folder = self.sandbox.path().join("work-w");
        self.running.until("empty folders", || {
            let left =
                |inner: &str| std::fs::read_dir(folder.join(inner)).map_or(0, Iterator::count);
            (left("containers") == 0 && left("volumes") == 0).then_some(())
        });
    }
}

pub(crate) const PROCESS: &[&str] = &["--driver", "process"];
pub(crate) const RUNC: &[&str] = &["--driver", "runc", "--images", "images", "--image", "base"];

#[test]
fn task_goes_on_while_its_worker_is_killed_and_no_line_is_lost_or_repeated() {
    let mut counting = Counting::new(PROCESS, |_| {});
    for bytes in ["1", "100", "200"] {
        counting.kill_at(bytes, PROCESS);
    }
    counting.check();
}

#[test]
fn container_goes_on_while_its_worker_is_killed_and_is_removed_in_the_end() {
    if !rootfs::is_runc_usable() {
        return;
    }
    let mut counting = Counting::new(RUNC, |sandbox| {
        rootfs::write(&sandbox.path().join("images/base"))
    });
    for bytes in ["1", "100", "200"] {
        counting.kill_at(bytes, RUNC);
    }
    counting.check();
}

#[test]
fn task_in_a_container_is_isolated_limited_and_returns_its_outputs() {
    if !rootfs::is_runc_usable() {
        return;
    }
    let sandbox = Sandbox::new();
    rootfs::write(&sandbox.path().join("images/base"));
    let running = sandbox.start_quiet(&[]);
    let _worker = start_with("w", RUNC, &running, &sandbox);
    let execute = |task: &str, arguments: &[&str]| {
        write_task(&sandbox, task);
        let arguments = [&["execute", "-c", "task.yml"], arguments].concat();
        let executed = run(&arguments, &running, &sandbox);
        let (stdout, stderr) = (text(&executed.stdout), text(&executed.stderr));
        (executed.status.code(), stdout, stderr)
    };
    std::fs::create_dir(sandbox.path().join("src")).expect("writable");
    std::fs::write(sandbox.path().join("src/data.txt"), "input\n").expect("writable");
    let (code, stdout, stderr) = execute(
        "inputs: [{name: src}]\noutputs: [{name: out}]\nrun:\n  path: sh\n  args: [-c, 'cat src/data.txt; echo $$; cat /proc/self/uid_map; echo 1 > out/one; test -e /root-of-the-machine; exit 3']\n",
        &["-i", "src=src", "-o", "out=result"],
    );
    assert_eq!(code, Some(3), "{stderr}");
    let lines: Vec<&str> = stdout.lines().collect();
    assert_eq!(
        lines[..2],
        ["input", "1"],
        "the first process of its namespace"
    );
    let output = std::fs::read_to_string(sandbox.path().join("result/one"));
    assert_eq!(output.expect("downloaded"), "1\n");
    let (code, _, stderr) = execute("image: other\nrun: {path: sh}\n", &[]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("no image \"other\""), "{stderr}");
    let (_, _, stderr) = execute("run: {path: /no/such/program}\n", &[]);
    assert!(stderr.contains("/no/such/program"), "{stderr}");
    if let Err(error) = davy_cgroup::Hierarchy::open("davy-probe") {
        davy_test_support::skip(&format!("no limits: {error}"));
        return;
    }
    let (_, _, stderr) = execute(
        "limits: {memory_max: 33554432}\nrun: {path: sh, args: [-c, 'x=$(head -c 100000000 /dev/zero | tr \"\\0\" a); echo ${#x}']}\n",
        &[],
    );
    assert!(
        stderr.contains("out of memory") && stderr.contains("33554432"),
        "{stderr}"
    );
    let (_, _, stderr) = execute(
        "limits: {pids_max: 30}\ntimeout_seconds: 1\nrun: {path: sh, args: [-c, 'f() { f | f & }; f; sleep 100']}\n",
        &[],
    );
    assert!(stderr.contains("its limit of 30 processes"), "{stderr}");
}

#[test]
fn idle_worker_ends_within_a_second_and_comes_back() {
    let sandbox = Sandbox::new();
    let running = sandbox.start_quiet(&[]);
    let mut worker = start("w", &running, &sandbox);
    let pid = worker.0.id() as libc::pid_t;
    let clock = davy_base::Clock::system();
    let signalled = clock.monotonic();
    // SAFETY: kill has no memory effects; the process is a child of this test.
    unsafe { libc::kill(pid, libc::SIGTERM) };
    assert_eq!(worker.0.wait().expect("a child").code(), Some(0));
    // It waits neither for its request for builds, which takes ten seconds, nor for the symbol index of a new build. The
    // bound leaves room for a busy machine; a wait for the index of a debug build takes longer.
    let span = clock.monotonic().saturating_sub(signalled);
    assert!(span < std::time::Duration::from_secs(3), "{span:?}");
    let state = |expected: &str| {
        let row = format!("\"name\":\"w\",\"state\":\"{expected}\"");
        text(&running.get("/api/v1/workers").body).contains(&row)
    };
    assert!(state("landed"));
    let _worker = restart("w", &running, &sandbox);
    write_task(&sandbox, "run: {path: echo, args: [again]}\n");
    let executed = run(&["execute", "-c", "task.yml"], &running, &sandbox);
    assert_eq!(
        text(&executed.stdout),
        "again\n",
        "{}",
        text(&executed.stderr)
    );
}

#[test]
fn workers_land_and_retire_after_their_builds() {
    let sandbox = Sandbox::new();
    let running = sandbox.start_quiet(SOON);
    let mut worker = start("w", &running, &sandbox);
    let task = "run: {path: sh, args: [-c, 'while [ ! -e ../../../stop ]; do sleep 0.02; done; exit 4']}\n";
    let rows = || text(&running.get("/api/v1/workers").body);
    let in_state = |expected: &str| {
        let row = format!("\"name\":\"w\",\"state\":\"{expected}\"");
        rows().contains(&row).then_some(())
    };
    for (action, expected) in [("land", Some("landed")), ("retire", None)] {
        let stop = sandbox.path().join("work-w/stop");
        let _ = std::fs::remove_file(&stop);
        write_task(&sandbox, task);
        let executing = command(&["execute", "-c", "task.yml"], &running, &sandbox)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("run the binary");
        running.until("a started build", || {
            let builds = text(&running.get("/api/v1/builds").body);
            builds.contains("\"state\":\"started\"").then_some(())
        });
        let changed = run(&["workers", action, "w"], &running, &sandbox);
        assert!(changed.status.success(), "{}", text(&changed.stderr));
        running.until("a worker that leaves", || {
            in_state("landing").or_else(|| in_state("retiring"))
        });
        // The build that runs is finished.
        std::fs::write(&stop, "").expect("writable");
        let ended = executing.wait_with_output().expect("it ends");
        assert_eq!(ended.status.code(), Some(4), "{}", text(&ended.stderr));
        if let Some(expected) = expected {
            running.until("a landed worker", || in_state(expected));
            drop(worker);
            worker = restart("w", &running, &sandbox);
        } else {
            running.until("no worker", || {
                (!rows().contains("\"name\":\"w\"")).then_some(())
            });
            let left = std::fs::read_dir(sandbox.path().join("work-w/containers"));
            assert_eq!(left.expect("a folder").count(), 0);
            // Its session has ended with it.
            assert_eq!(worker.0.wait().expect("a child").code(), Some(1));
        }
    }
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
