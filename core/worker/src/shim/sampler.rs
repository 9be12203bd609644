//! The process that samples a container from outside while it runs.

use super::spec::SAMPLER_LOG;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, PipeReader, Read as _, pipe};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// How long it may take to start, in milliseconds.
const START_MILLIS: i32 = 5_000;
/// The length of its reason in the log of a build, in bytes, at most.
const REASON_BYTES: usize = 500;

/// Starts it, and waits until it samples. The kernel ends it when this process ends: then it sends what it has.
pub(super) fn start(command: &[OsString], folder: &Path) -> Result<(), String> {
    let [program, arguments @ ..] = command else {
        return Ok(());
    };
    let log = folder.join(SAMPLER_LOG);
    let failed = |error: io::Error| format!("cannot start {}: {error}", program.display());
    let (ready, to_ready) = pipe().map_err(failed)?;
    let mut sampler = Command::new(program);
    sampler
        .args(arguments)
        // The standard input of this process is the lock of the container.
        .stdin(Stdio::null())
        .stdout(to_ready)
        .stderr(File::create(&log).map_err(failed)?)
        .process_group(0);
    // SAFETY: the closure only makes a system call without memory effects.
    unsafe {
        sampler.pre_exec(|| {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) == 0 {
                return Ok(());
            }
            Err(io::Error::last_os_error())
        });
    }
    let mut child = sampler.spawn().map_err(failed)?;
    // The pipe ends with the child.
    drop(sampler);
    if is_ready(ready) {
        // Reaped with the orphans of the task.
        return Ok(());
    }
    let _ = child.kill();
    let _ = child.wait();
    Err(reason(&fs::read_to_string(&log).unwrap_or_default()))
}

/// Whether it has written that it samples.
fn is_ready(mut ready: PipeReader) -> bool {
    let mut poll = libc::pollfd {
        fd: ready.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: the pointer is to one descriptor that outlives the call.
    let found = unsafe { libc::poll(&raw mut poll, 1, START_MILLIS) };
    // One byte is enough: it writes a line at once.
    found > 0 && ready.read_exact(&mut [0]).is_ok()
}

/// The last message in a log.
fn reason(log: &str) -> String {
    let last = log.lines().rfind(|line| !line.trim().is_empty());
    let last = last.map_or("it has not started in 5 s", |line| {
        line.strip_prefix("davy: ").unwrap_or(line)
    });
    last.chars().take(REASON_BYTES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(script: &str) -> Result<(), String> {
        let folder = tempfile::tempdir().expect("create a folder");
        let command = ["sh", "-c", script].map(OsString::from);
        start(&command, folder.path())
    }

    #[test]
    fn sampler_is_ready_when_it_has_written_a_line_and_otherwise_states_why_not() {
        assert_eq!(start(&[], Path::new("/nowhere")), Ok(()));
        assert_eq!(started("echo recording; exec sleep 0"), Ok(()));
        assert_eq!(
            started("echo first >&2; echo 'davy: the kernel refuses' >&2; exit 1"),
            Err("the kernel refuses".to_owned())
        );
    }
}
