//! Why a recording cannot start.

use crate::limits::{HZ_MAX, STACK_BYTES_MAX, STACK_BYTES_MIN};

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
