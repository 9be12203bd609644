//! The driver `process`: a container is the processes that have its handle in their environment. It does not isolate.

use crate::folder::check;
use std::fs;
use std::io;

/// The environment variable with the handle of a container.
pub(crate) const VARIABLE: &str = "DAVY_CONTAINER";
/// Searches for processes of a container, at most; each kills what the last one left.
const KILLS_MAX: u32 = 50;

/// Kills all processes of a container.
pub(crate) fn kill(container: &str) -> io::Result<()> {
    check(container)?;
    let entry = format!("{VARIABLE}={container}");
    for _ in 0..KILLS_MAX {
        let found = processes_with(entry.as_bytes())?;
        if found.is_empty() {
            return Ok(());
        }
        for pid in found {
            // SAFETY: kill has no memory effects. The process was seen with the handle in its environment just now;
            // pids are not reused that fast.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
    }
    Err(io::Error::other(
        "processes of the container start faster than they are killed",
    ))
}

/// Processes that have an entry in their environment and are not dead.
pub(crate) fn processes_with(entry: &[u8]) -> io::Result<Vec<libc::pid_t>> {
    let own = std::process::id() as libc::pid_t;
    let mut found = Vec::new();
    for process in fs::read_dir("/proc")? {
        let Some(pid) = process?
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        // Dead processes and those of other users cannot be read.
        let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else {
            continue;
        };
        if pid != own
            && environment
                .split(|byte| *byte == 0)
                .any(|other| other == entry)
        {
            found.push(pid);
        }
    }
    Ok(found)
}
