//! Why a recording cannot start.

use crate::limits::{HZ_MAX, STACK_BYTES_MAX, STACK_BYTES_MIN};
use std::path::PathBuf;

/// Why a recording cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel does not permit it.
    #[error("the kernel does not allow sampling {target} ({source}): {reason}")]
    Forbidden {
        /// What was to be sampled.
        target: String,
        /// Why, and how to permit it.
        reason: String,
        /// The kernel's error.
        source: std::io::Error,
    },
    /// The process does not exist.
    #[error("process {pid} not found")]
    NoProcess {
        /// The pid.
        pid: u32,
    },
    /// The cgroup does not exist.
    #[error("cgroup {} not found; expected a folder, or a path below {}", path.display(), places(mounts))]
    NoCgroup {
        /// What was searched.
        path: PathBuf,
        /// Where hierarchies are mounted.
        mounts: Vec<PathBuf>,
    },
    /// Another system call failed.
    #[error("cannot {action}: {source}")]
    Failed {
        /// What was attempted, such as `sample process 1`.
        action: String,
        /// The kernel's error.
        source: std::io::Error,
    },
    /// The sampling rate is out of range.
    #[error("invalid sampling rate of {hz} Hz; expected 1 to {HZ_MAX}")]
    Hz {
        /// The rate.
        hz: u32,
    },
    /// The size of the stack copy is out of range.
    #[error("invalid stack copy of {bytes} B; expected {STACK_BYTES_MIN} B to {STACK_BYTES_MAX} B")]
    StackBytes {
        /// The size.
        bytes: u32,
    },
}

/// Folders as a list.
fn places(folders: &[PathBuf]) -> String {
    if folders.is_empty() {
        return "the mount of a cgroup hierarchy; none is mounted".to_owned();
    }
    let folders: Vec<String> = folders
        .iter()
        .map(|folder| folder.display().to_string())
        .collect();
    folders.join(" or ")
}
