//! A running quickstart in a temporary folder, on free ports.

use crate::http::{self, Response};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

/// Timeout of every wait.
const PATIENCE: Duration = Duration::from_mins(1);

/// The binary, without the `DAVY_` variables of the environment.
pub(crate) fn davy() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_davy"));
    for (name, _) in std::env::vars() {
        if name.starts_with("DAVY_") {
            command.env_remove(name);
        }
    }
    command
}

/// A process that is killed when the test ends.
pub(crate) struct Running {
    child: Child,
    /// Lines of its log.
    lines: Receiver<String>,
    log: Arc<Mutex<String>>,
    pub(crate) page: String,
    pub(crate) archive: String,
    pub(crate) debug: String,
}

/// A temporary folder in which a quickstart can run several times.
pub(crate) struct Sandbox {
    folder: TempDir,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        Self {
            folder: TempDir::new().expect("create a temporary folder"),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn bucket(&self) -> PathBuf {
        self.path().join("data/store")
    }

    /// Starts a quickstart with short intervals and waits until it is ready.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        self.start_prepared(arguments, |_| {})
    }

    /// Like [`Sandbox::start`], with a change of the command.
    pub(crate) fn start_prepared(
        &self,
        arguments: &[&str],
        prepare: impl FnOnce(&mut Command),
    ) -> Running {
        let mut command = davy();
        command
            .arg("quickstart")
            .args([
                "--http-listen",
                "127.0.0.1:0",
                "--archive-listen",
                "127.0.0.1:0",
            ])
            .args([
                "--debug-listen",
                "127.0.0.1:0",
                "--archive-flush-interval",
                "100ms",
            ])
            .args(["--profiler-window", "1s", "--data-dir"])
            .arg(self.path().join("data"))
            .args(arguments)
            .current_dir(self.path());
        prepare(&mut command);
        let running = Running::spawn(command);
        running.until("readiness", || {
            (running.get("/readyz").status == 200).then_some(())
        });
        running
    }

    /// Like [`Sandbox::start`], without profiling itself: the archive contains only what a test pushes.
    pub(crate) fn start_quiet(&self, arguments: &[&str]) -> Running {
        self.start(&[&["--profiler-enabled", "false"], arguments].concat())
    }
}

impl Running {
    fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("run the binary");
        let (send, lines) = channel();
        let log = Arc::new(Mutex::new(String::new()));
        let (stderr, kept) = (child.stderr.take().expect("stderr is a pipe"), log.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                kept.lock().expect("the log").push_str(&format!("{line}\n"));
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
        let mut first = String::new();
        stdout.read_line(&mut first).expect("read standard output");
        let mut urls = first
            .split(['(', ' ', ',', ')', '\n'])
            .filter(|word| word.starts_with("http://"));
        let mut next = || urls.next().map(|url| url.trim_end_matches('/').to_owned());
        let (Some(page), Some(archive), Some(debug)) = (next(), next(), next()) else {
            let _ = child.wait();
            panic!(
                "davy quickstart did not start: {first:?} {}",
                log.lock().expect("the log")
            );
        };
        let debug = debug.trim_end_matches("/debug/pprof").to_owned();
        Self {
            child,
            lines,
            log,
            page,
            archive,
            debug,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("the log").clone()
    }

    pub(crate) fn signal(&self, signal: i32) {
        // SAFETY: kill takes two integers; the child has not been waited for, so its pid is its own.
        let result = unsafe { libc::kill(self.pid() as i32, signal) };
        assert_eq!(result, 0, "signal the process");
    }

    /// Waits until it exits.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("wait for the process")
    }

    /// Stops it with SIGTERM.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.signal(libc::SIGTERM);
        self.wait()
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(mut self) {
        self.signal(libc::SIGKILL);
        self.wait();
    }

    /// Polls until the condition returns a value.
    pub(crate) fn until<T>(&self, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
        let clock = davy_base::Clock::system();
        while clock.monotonic() < PATIENCE {
            if let Some(found) = ask() {
                return found;
            }
            // Polls at each log line, and without one at an interval.
            let _ = self.lines.recv_timeout(Duration::from_millis(50));
        }
        panic!("timed out waiting for {what}; log:\n{}", self.log());
    }

    pub(crate) fn get(&self, path_and_query: &str) -> Response {
        http::get(&format!("{}{path_and_query}", self.page))
    }

    /// JSON from the listener of the page.
    pub(crate) fn json(&self, path_and_query: &str) -> serde_json::Value {
        self.get(path_and_query).json()
    }

    /// Resident memory in bytes.
    pub(crate) fn resident(&self) -> u64 {
        let mut status = String::new();
        let file = std::fs::File::open(format!("/proc/{}/status", self.pid()));
        file.and_then(|mut file| file.read_to_string(&mut status))
            .expect("the process is alive");
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .expect("a process has memory");
        let kib: u64 = line
            .split_whitespace()
            .nth(1)
            .and_then(|n| n.parse().ok())
            .expect("a number");
        kib * 1_024
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
