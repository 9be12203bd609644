//! A running process.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Timeout of every wait.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
/// Interval of polls.
const LOOK: Duration = Duration::from_millis(30);

/// Polls until the condition returns a value or the timeout passes. Returns the value and the time it
/// took.
pub(crate) fn within<T>(
    bound: Duration,
    mut ask: impl FnMut() -> Option<T>,
) -> Option<(T, Duration)> {
    let clock = davy_base::Clock::system();
    let (_open, nothing) = std::sync::mpsc::channel::<()>();
    loop {
        if let Some(found) = ask() {
            return Some((found, clock.monotonic()));
        }
        if clock.monotonic() > bound {
            return None;
        }
        let _ = nothing.recv_timeout(LOOK);
    }
}

/// The binary in a folder, without the `DAVY_` variables of the environment.
pub(crate) fn davy(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_davy"));
    for (name, _) in std::env::vars() {
        if name.starts_with("DAVY_") {
            command.env_remove(name);
        }
    }
    command
        .env("USER", "operator")
        .env_remove("SUDO_USER")
        .current_dir(folder)
        .stdin(Stdio::null());
    command
}

/// Standard output of a command that must have succeeded.
pub(crate) fn text(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A process that is killed when the test ends.
pub(crate) struct Process {
    child: Child,
    log: Arc<Mutex<String>>,
    pub(crate) kind: String,
    pub(crate) page: Option<String>,
    pub(crate) archive: Option<String>,
    pub(crate) debug: String,
}

impl Process {
    /// Starts `davy KIND` and reads its addresses.
    pub(crate) fn start(mut command: Command, kind: &str) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("run the binary");
        let log = Arc::new(Mutex::new(String::new()));
        let (stderr, kept) = (child.stderr.take().expect("stderr is a pipe"), log.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                kept.lock().expect("the log").push_str(&format!("{line}\n"));
            }
        });
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
        let mut first = String::new();
        stdout.read_line(&mut first).expect("read standard output");
        let urls = first
            .split(['(', ' ', ',', ')', '\n'])
            .filter(|word| word.starts_with("http://"));
        let (mut page, mut archive, mut debug) = (None, None, None);
        for url in urls {
            if let Some(url) = url.strip_suffix("/debug/pprof/") {
                debug = Some(url.to_owned());
            } else if let Some(url) = url.strip_suffix('/') {
                page = Some(url.to_owned());
            } else {
                archive = Some(url.to_owned());
            }
        }
        let Some(debug) = debug else {
            let _ = child.wait();
            let log = log.lock().expect("the log");
            panic!("{kind} did not start: {first:?} {log}");
        };
        Self {
            child,
            log,
            kind: kind.to_owned(),
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

    pub(crate) fn signal(&self, number: i32) {
        signal(self.pid(), number);
    }

    /// Waits until it exits, up to a timeout.
    pub(crate) fn ends_within(&mut self, bound: Duration) -> Option<(ExitStatus, Duration)> {
        within(bound, || {
            self.child.try_wait().expect("a child of this process")
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn signal(pid: u32, number: i32) {
    // SAFETY: kill takes two integers; the process is a descendant of this one.
    let result = unsafe { libc::kill(pid.cast_signed(), number) };
    assert_eq!(result, 0, "signal process {pid}");
}

/// Whether a process is running, not only waiting to be reaped.
pub(crate) fn is_running(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|state| state != 'Z')
}
