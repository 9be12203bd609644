#![doc = include_str!("../README.md")]

mod event;
mod maps;
mod names;
mod parse;
mod recorder;
mod ring;

pub use recorder::{Recorder, Target};

/// Why nothing can be recorded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel does not allow it.
    #[error(
        "the kernel does not allow to sample {what} ({source}): kernel.perf_event_paranoid is {paranoid}; it must be 2 or less for your own programs (sysctl kernel.perf_event_paranoid=2), or run with CAP_PERFMON; in a container the system call itself may be forbidden"
    )]
    Forbidden {
        /// What was to be sampled.
        what: String,
        /// The setting, as the kernel tells it.
        paranoid: String,
        /// What the kernel says.
        source: std::io::Error,
    },
    /// There is no such process.
    #[error("there is no process {pid}")]
    NoProcess {
        /// The pid as given.
        pid: u32,
    },
    /// Something else.
    #[error("{what}: {source}")]
    Failed {
        /// What could not be done.
        what: String,
        /// What the kernel says.
        source: std::io::Error,
    },
    /// A setting is out of its range.
    #[error("{hz} samples a second can't be taken: at least 1 and at most 10000")]
    Hz {
        /// As given.
        hz: u32,
    },
}
