//! Calls of `runc`, or of another OCI runtime with the same commands.

use davy_base::Clock;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long a call may take.
const CALL_MAX: Duration = Duration::from_mins(2);
/// How often an unfinished call is looked at.
const LOOK: Duration = Duration::from_millis(10);
/// The length of a message of the runtime in an error, at most.
const MESSAGE_CHARS_MAX: usize = 500;

/// What every call needs.
pub(crate) struct Call<'a> {
    pub(crate) program: &'a Path,
    pub(crate) state: &'a Path,
}

impl Call<'_> {
    fn command(&self, log: &Path) -> Command {
        let mut command = Command::new(self.program);
        command
            .arg("--root")
            .arg(self.state)
            .arg("--log")
            .arg(log)
            .args(["--log-format", "json"])
            .stdin(Stdio::null());
        command
    }
}

/// Starts a container and leaves it running; returns the process number of its first process, which is a child of
/// this process if it adopts orphans.
pub(crate) fn start(
    call: &Call<'_>,
    container: &str,
    bundle: &Path,
    folder: &Path,
    [stdout, stderr]: [Stdio; 2],
    clock: &Clock,
) -> io::Result<libc::pid_t> {
    let (log, pid_file) = (folder.join("runc.log"), folder.join("pid"));
    let child = call
        .command(&log)
        .args(["run", "--detach", "--bundle"])
        .arg(bundle)
        .arg("--pid-file")
        .arg(&pid_file)
        .arg(container)
        .stdout(stdout)
        .stderr(stderr)
        .spawn();
    let child = child.map_err(|error| {
        io::Error::other(format!("cannot run {}: {error}", call.program.display()))
    })?;
    let started = wait(child, &log, clock).and_then(|()| {
        let pid = fs::read_to_string(&pid_file)?;
        pid.trim().parse().map_err(io::Error::other)
    });
    if started.is_err() {
        // The first error says why.
        let _ = delete(call, container, folder, clock);
    }
    started
}

/// Kills and removes a container. One that does not exist is removed.
pub(crate) fn delete(
    call: &Call<'_>,
    container: &str,
    folder: &Path,
    clock: &Clock,
) -> io::Result<()> {
    if !call.state.join(container).exists() {
        return Ok(());
    }
    let log = folder.join("runc.log");
    let child = call
        .command(&log)
        .args(["delete", "--force", container])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let deleted = wait(child, &log, clock);
    let state = call.state.join(container);
    // A container whose creation was interrupted has a folder without a state.
    if deleted.is_err() && !state.join("state.json").exists() {
        return crate::folder::remove(&state);
    }
    deleted
}

/// Waits for a call; the error is what the runtime has logged.
fn wait(mut child: Child, log: &Path, clock: &Clock) -> io::Result<()> {
    let limit = clock.monotonic().saturating_add(CALL_MAX);
    loop {
        if let Some(status) = child.try_wait()? {
            if status.success() {
                return Ok(());
            }
            let message = message(log);
            return Err(io::Error::other(format!(
                "the OCI runtime failed ({status}): {message}"
            )));
        }
        if clock.monotonic() >= limit {
            child.kill()?;
            child.wait()?;
            return Err(io::Error::other(format!(
                "the OCI runtime did not finish within {} s",
                CALL_MAX.as_secs()
            )));
        }
        std::thread::park_timeout(LOOK);
    }
}

/// The last message of the log.
fn message(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let last = text.lines().rev().find_map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(line["msg"].as_str()?.to_owned())
    });
    let last = last.unwrap_or_else(|| "no message".to_owned());
    last.chars().take(MESSAGE_CHARS_MAX).collect()
}
