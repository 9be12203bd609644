//! Workers under bad conditions: wrong clocks, a full disk, a network that is cut, buckets that are far away, and no
//! privileges.

use crate::rootfs;
use crate::running::{Running, Sandbox};
use crate::workers::{
    PROCESS, RUNC, SOON, Worker, command, run, start_with, text, until_running, worker_command,
    write_task,
};
use serde_json::Value;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

/// Whether the worker has no container and no volume on its disk.
fn is_clean(sandbox: &Sandbox, worker: &str) -> Option<()> {
    let folder = sandbox.path().join(format!("work-{worker}"));
    let left = |inner: &str| std::fs::read_dir(folder.join(inner)).map_or(0, Iterator::count);
    (left("containers") == 0 && left("volumes") == 0).then_some(())
}

/// Waits until nothing is left of the builds of a worker: neither on its disk nor in the database.
fn until_clean(running: &Running, sandbox: &Sandbox, worker: &str) {
    running.until("nothing left", || {
        is_clean(sandbox, worker)?;
        let are_none = |path: &str| running.json(path).as_array().is_some_and(Vec::is_empty);
        (are_none("/api/v1/containers") && are_none("/api/v1/volumes")).then_some(())
    });
}

fn until_logged(running: &Running, build: u32) {
    running.until("a line of the log", || {
        let response = running.get(&format!("/api/v1/builds/{build}"));
        let row: Value = serde_json::from_slice(&response.body).ok()?;
        (row["log_bytes"].as_i64()? > 0).then_some(())
    });
}

/// The library that changes the clock of the programs that load it.
fn fake_time() -> Option<PathBuf> {
    let mut folders = std::fs::read_dir("/usr/lib").ok()?.flatten();
    folders.find_map(|folder| {
        let library = folder.path().join("faketime/libfaketimeMT.so.1");
        library.exists().then_some(library)
    })
}

/// Runs a build on a worker that is ten minutes ahead of its server, or behind it.
fn check_skew(library: &Path, is_worker_ahead: bool) {
    // Only forward: the library changes the CPU time of threads too, which would become negative.
    let ahead = |command: &mut Command| {
        command
            .env("LD_PRELOAD", library)
            .env("FAKETIME", "+600")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    };
    let mut date = Command::new("date");
    ahead(date.arg("+%s"));
    let date = text(&date.output().expect("date").stdout);
    let date: i64 = date.trim().parse().expect("seconds");
    let now = davy_base::Clock::system().now().millis() / 1_000;
    assert!((date - now - 600).abs() < 60, "{date} at {now}");
    let sandbox = Sandbox::new();
    let quiet = [&["--profiler-enabled", "false"], SOON].concat();
    let running = sandbox.start_prepared(&quiet, |command| {
        if !is_worker_ahead {
            ahead(command);
        }
    });
    let made = run(&["token", "worker", "w"], &running, &sandbox);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let mut worker = worker_command("w", PROCESS, &running, &sandbox);
    if is_worker_ahead {
        ahead(&mut worker);
    }
    let _worker = Worker(worker.spawn().expect("run the binary"));
    until_running("w", &running);
    write_task(
        &sandbox,
        "run: {path: sh, args: [-c, 'for i in 1 2 3; do echo line $i; sleep 0.1; done; exit 5']}\n",
    );
    let executed = run(&["execute", "-c", "task.yml"], &running, &sandbox);
    assert_eq!(
        executed.status.code(),
        Some(5),
        "{}",
        text(&executed.stderr)
    );
    assert_eq!(text(&executed.stdout), "line 1\nline 2\nline 3\n");
    until_clean(&running, &sandbox, "w");
    let workers = text(&running.get("/api/v1/workers").body);
    let row = "\"name\":\"w\",\"state\":\"running\"";
    assert!(workers.contains(row), "{workers}");
}

#[test]
fn worker_whose_clock_is_ten_minutes_off_runs_builds_and_loses_nothing() {
    let Some(library) = fake_time() else {
        davy_test_support::skip("libfaketime is not installed; run ops/dev/need faketime");
        return;
    };
    for is_worker_ahead in [true, false] {
        check_skew(&library, is_worker_ahead);
    }
}

/// A file system of 16 MiB, which is removed in the end.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` if this machine does not let the test mount one.
    fn mount(folder: &Path) -> Option<Self> {
        std::fs::create_dir(folder).expect("writable");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=16m", "davy-test"]);
        let mounted = mount.arg(folder).stderr(Stdio::null()).status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(folder.to_owned()));
        }
        davy_test_support::skip("mounting a file system is not permitted");
        None
    }

    /// Writes a file until nothing more fits.
    fn fill(&self) {
        let mut file = File::create(self.0.join("ballast")).expect("writable");
        let block = vec![7; 4 << 10];
        while file.write_all(&block).is_ok() {}
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("ballast")).expect("a file");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn full_disk_of_a_worker_ends_builds_with_a_reason_and_does_not_stop_deletion() {
    let sandbox = Sandbox::new();
    let Some(disk) = SmallDisk::mount(&sandbox.path().join("work-w")) else {
        return;
    };
    let running = sandbox.start_quiet(SOON);
    let options = [PROCESS, &["--profiler", "false"]].concat();
    let worker = start_with("w", &options, &running, &sandbox);
    let execute = || {
        command(&["execute", "-c", "task.yml"], &running, &sandbox)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("run the binary")
    };
    // The disk becomes full while a task runs, which prints nothing more: its exit code is not lost.
    let stop = sandbox.path().join("stop");
    let stopping = format!("while [ ! -e {} ]; do sleep 0.05; done", stop.display());
    write_task(
        &sandbox,
        &format!("run: {{path: sh, args: [-c, 'echo started; {stopping}; exit 4']}}\n"),
    );
    let executing = execute();
    until_logged(&running, 1);
    disk.fill();
    File::create(&stop).expect("writable");
    let ended = executing.wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), Some(4), "{}", text(&ended.stderr));
    // What it had is destroyed although nothing more fits, and what is freed by that is filled again.
    until_clean(&running, &sandbox, "w");
    disk.fill();
    let ended = execute().wait_with_output().expect("it ends");
    let stderr = text(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("No space left on device"), "{stderr}");
    until_clean(&running, &sandbox, "w");
    // A task that fills the disk with its output.
    disk.free();
    write_task(&sandbox, "run: {path: sh, args: [-c, 'yes full']}\n");
    let ended = execute().wait_with_output().expect("it ends");
    let stderr = text(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("cannot store the output of the task: No space left on device"),
        "{stderr}"
    );
    until_clean(&running, &sandbox, "w");
    write_task(&sandbox, "run: {path: echo, args: [again]}\n");
    let ended = execute().wait_with_output().expect("it ends");
    assert_eq!(text(&ended.stdout), "again\n", "{}", text(&ended.stderr));
    drop(worker);
}

/// A network between a worker and its server.
#[derive(Clone)]
struct Network {
    url: String,
    /// `None` while it is cut.
    connections: Arc<Mutex<Option<Vec<TcpStream>>>>,
}

impl Network {
    fn to(server: &str) -> Self {
        let server: SocketAddr = server
            .strip_prefix("http://")
            .and_then(|address| address.parse().ok())
            .expect("an address");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let this = Self {
            url,
            connections: Arc::new(Mutex::new(Some(Vec::new()))),
        };
        let connections = this.connections.clone();
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let mut open = connections.lock().expect("the connections");
                let Some(open) = open.as_mut() else {
                    continue;
                };
                let far = TcpStream::connect(server).expect("connected");
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (from, to) = (from.try_clone(), to.try_clone());
                    pass(from.expect("a socket"), to.expect("a socket"));
                }
                open.extend([near, far]);
            }
        });
        this
    }

    fn cut(&self) {
        let open = self.connections.lock().expect("the connections").take();
        for connection in open.into_iter().flatten() {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    fn heal(&self) {
        *self.connections.lock().expect("the connections") = Some(Vec::new());
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    std::thread::spawn(move || {
        let mut buffer = [0; 4 << 10];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}

/// Moves the last messages of a worker into the past.
fn age(sandbox: &Sandbox, worker: &str, milliseconds: i64) {
    let url = format!("sqlite:{}", sandbox.path().join("data/davy.db").display());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let store = davy_store::Store::open(&url).await.expect("the database");
        let aged = store.age_worker(worker, milliseconds).await;
        aged.expect("aged");
        store.close().await;
    });
}

#[test]
fn network_cut_for_longer_than_a_worker_may_be_silent_costs_no_live_container_and_leaves_no_garbage()
 {
    let sandbox = Sandbox::new();
    let running = sandbox.start_quiet(SOON);
    let network = Network::to(&running.page);
    let made = run(&["token", "worker", "w"], &running, &sandbox);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let child = worker_command("w", PROCESS, &running, &sandbox)
        .env("DAVY_SERVER", &network.url)
        .spawn();
    let _worker = Worker(child.expect("run the binary"));
    until_running("w", &running);
    let stop = sandbox.path().join("stop");
    let counting = format!(
        "i=0; while [ ! -e {} ]; do echo line $i; i=$((i+1)); sleep 0.05; done; echo last $i; exit 5",
        stop.display()
    );
    write_task(
        &sandbox,
        &format!("run: {{path: sh, args: [-c, '{counting}']}}\n"),
    );
    let in_state = |expected: &str| {
        let row = format!("\"name\":\"w\",\"state\":\"{expected}\"");
        running.until(expected, || {
            let workers = text(&running.get("/api/v1/workers").body);
            workers.contains(&row).then_some(())
        });
    };
    let execute = || {
        let mut executing = command(&["execute", "-c", "task.yml"], &running, &sandbox);
        executing.stdout(Stdio::piped()).stderr(Stdio::piped());
        executing.spawn().expect("run the binary")
    };
    // Longer than a worker may be silent, and shorter than its leases.
    let executing = execute();
    until_logged(&running, 1);
    network.cut();
    age(&sandbox, "w", 120_000);
    in_state("stalled");
    let containers = running.json("/api/v1/containers");
    assert_eq!(containers[0]["state"], "created", "{containers}");
    network.heal();
    in_state("running");
    File::create(&stop).expect("writable");
    let ended = executing.wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), Some(5), "{}", text(&ended.stderr));
    let stdout = text(&ended.stdout);
    let lines: Vec<&str> = stdout.lines().collect();
    let count = lines.len() - 1;
    let mut expected: Vec<String> = (0..count).map(|line| format!("line {line}")).collect();
    expected.push(format!("last {count}"));
    assert_eq!(lines, expected, "no line is lost or repeated");
    until_clean(&running, &sandbox, "w");
    // Longer than the leases: the build is over, and its task is ended when the worker is back.
    std::fs::remove_file(&stop).expect("a file");
    let executing = execute();
    until_logged(&running, 2);
    network.cut();
    age(&sandbox, "w", 400_000);
    let ended = executing.wait_with_output().expect("it ends");
    let stderr = text(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("did not report"), "{stderr}");
    network.heal();
    in_state("running");
    until_clean(&running, &sandbox, "w");
}

/// The options of a bucket whose server runs.
fn remote_buckets() -> Vec<(&'static str, Vec<String>)> {
    let variable = |name: &str| std::env::var(name).ok();
    let name = |kind: &str| format!("{kind}://davy/builds-{}", std::process::id());
    let s3 = || {
        Some(vec![
            format!("--bucket-url={}", name("s3")),
            format!("--bucket-endpoint={}", variable("DEV_S3")?),
            format!("--bucket-access-key={}", variable("DEV_S3_ACCESS_KEY")?),
            format!("--bucket-secret-key={}", variable("DEV_S3_SECRET_KEY")?),
        ])
    };
    let swift = || {
        Some(vec![
            format!("--bucket-url={}", name("swift")),
            format!("--bucket-auth-url={}/auth/v1.0", variable("DEV_SWIFT")?),
            format!("--bucket-user={}", variable("DEV_SWIFT_USER")?),
            format!("--bucket-password={}", variable("DEV_SWIFT_PASSWORD")?),
        ])
    };
    let mut running = Vec::new();
    for (name, options) in [("S3", s3()), ("Swift", swift())] {
        if let Some(options) = options {
            running.push((name, options));
        } else {
            davy_test_support::skip(&format!(
                "the server of {name} does not run; start the tests with `ops/dev/versitygw run ops/dev/swift run`"
            ));
        }
    }
    running
}

#[test]
fn builds_keep_their_logs_and_files_in_a_remote_bucket() {
    for (name, options) in remote_buckets() {
        let sandbox = Sandbox::new();
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let running = sandbox.start_quiet(&options);
        let _worker = start_with("w", PROCESS, &running, &sandbox);
        std::fs::create_dir(sandbox.path().join("src")).expect("writable");
        std::fs::write(sandbox.path().join("src/data.txt"), "input\n").expect("writable");
        write_task(
            &sandbox,
            "inputs: [{name: src}]\noutputs: [{name: out}]\nrun: {path: sh, args: [-c, 'cat src/data.txt > out/copy; seq 1 60000']}\n",
        );
        let arguments = "execute -c task.yml -i src=src -o out=result";
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let executed = run(&arguments, &running, &sandbox);
        assert!(
            executed.status.success(),
            "{name}: {}",
            text(&executed.stderr)
        );
        let mut expected = String::new();
        for number in 1..=60_000 {
            expected += &format!("{number}\n");
        }
        assert!(text(&executed.stdout) == expected, "{name}: the whole log");
        let copy = std::fs::read_to_string(sandbox.path().join("result/copy"));
        assert_eq!(copy.expect("downloaded"), "input\n", "{name}");
        // Read again, from the objects.
        let logs = run(&["builds", "logs", "1"], &running, &sandbox);
        assert!(text(&logs.stdout) == expected, "{name}: the whole log");
        // The database has no more than the index and the newest small parts.
        let database = std::fs::metadata(sandbox.path().join("data/davy.db"));
        let bytes = database.expect("a file").len();
        assert!(bytes < expected.len() as u64 * 2, "{name}: {bytes} bytes");
    }
}

/// The user `nobody`.
const NOBODY: u32 = 65_534;

#[test]
fn worker_of_an_ordinary_user_runs_tasks_in_containers_as_that_user() {
    if !rootfs::is_runc_usable() {
        return;
    }
    // SAFETY: the call has no memory effects.
    if unsafe { libc::geteuid() } != 0 {
        davy_test_support::skip("not root: the other tests with runc run as an ordinary user");
        return;
    }
    let sandbox = Sandbox::new();
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(sandbox.path(), open).expect("changed");
    rootfs::write(&sandbox.path().join("images/base"));
    let running = sandbox.start_quiet(SOON);
    let made = run(&["token", "worker", "w"], &running, &sandbox);
    assert!(made.status.success(), "{}", text(&made.stderr));
    std::fs::create_dir(sandbox.path().join("work-w")).expect("writable");
    for path in ["w.key", "work-w"] {
        let path = sandbox.path().join(path);
        chown(path, Some(NOBODY), Some(NOBODY)).expect("changed");
    }
    let unshared = Command::new("unshare")
        .args(["--user", "--map-root-user", "true"])
        .uid(NOBODY)
        .gid(NOBODY)
        .stderr(Stdio::null())
        .status();
    if !unshared.is_ok_and(|status| status.success()) {
        davy_test_support::skip("ordinary users may not make user namespaces");
        return;
    }
    let options = [RUNC, &["--profiler", "false"]].concat();
    let child = worker_command("w", &options, &running, &sandbox)
        .uid(NOBODY)
        .gid(NOBODY)
        .spawn();
    let Ok(child) = child else {
        davy_test_support::skip("user nobody cannot reach the binary");
        return;
    };
    let _worker = Worker(child);
    until_running("w", &running);
    write_task(
        &sandbox,
        "outputs: [{name: out}]\nrun: {path: sh, args: [-c, 'cat /proc/self/uid_map; echo 1 > out/one; exit 3']}\n",
    );
    let arguments = ["execute", "-c", "task.yml", "-o", "out=result"];
    let executed = run(&arguments, &running, &sandbox);
    assert_eq!(
        executed.status.code(),
        Some(3),
        "{}",
        text(&executed.stderr)
    );
    let stdout = text(&executed.stdout);
    let map: Vec<&str> = stdout.split_whitespace().collect();
    assert_eq!(
        map,
        ["0", "65534", "1"],
        "root is that user, and nobody else"
    );
    let output = std::fs::read_to_string(sandbox.path().join("result/one"));
    assert_eq!(output.expect("downloaded"), "1\n");
    until_clean(&running, &sandbox, "w");
}
