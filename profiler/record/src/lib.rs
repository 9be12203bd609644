#![doc = include_str!("../README.md")]

mod event;
mod files;
mod jit;
mod maps;
mod names;
mod parse;
mod recorder;
mod refusal;
mod ring;
mod roots;
mod stacks;
mod tables;
mod walk;

pub use names::Names;
pub use recorder::{Recorder, Target};

/// How the callers of a sample are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CallGraph {
    /// By unwind tables, and where those end, by the kernel along frame pointers.
    #[default]
    Auto,
    /// By unwind tables, from a copy of the stack.
    Dwarf,
    /// By the kernel along frame pointers: the least work, and whole only if all code keeps them.
    Fp,
}

/// How to record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordOptions {
    /// Samples a second of each thread's CPU time, 1 to 10,000.
    pub hz: u32,
    /// How callers are found.
    pub call_graph: CallGraph,
    /// Bytes of the stack that are copied with each sample, 1,024 to 65,000.
    pub stack_bytes: u32,
}

impl Default for RecordOptions {
    fn default() -> Self {
        Self {
            hz: 99,
            call_graph: CallGraph::Auto,
            stack_bytes: 32 << 10,
        }
    }
}

const HZ_MAX: u32 = 10_000;
const STACK_BYTES_MIN: u32 = 1_024;
/// A record holds 64 KiB with its head.
const STACK_BYTES_MAX: u32 = 65_000;

impl RecordOptions {
    /// Whether they are in their ranges.
    pub fn check(self) -> Result<(), Error> {
        let (hz, bytes) = (self.hz, self.stack_bytes);
        if !(1..=HZ_MAX).contains(&hz) {
            return Err(Error::Hz { hz });
        }
        if !(STACK_BYTES_MIN..=STACK_BYTES_MAX).contains(&bytes) {
            return Err(Error::StackBytes { bytes });
        }
        Ok(())
    }
}

/// What a recording brought.
#[derive(Debug)]
pub struct Recording {
    /// Samples by stack, with their number and their CPU time.
    pub profile: davy_profile::Profile,
    /// Samples.
    pub samples: u64,
    /// Records that the kernel had no place for.
    pub lost: u64,
    /// How often the kernel left out samples, because taking them took too long.
    pub throttled: u64,
    /// Samples whose stack is not known up to its root; it begins with `(stack cut)`. With
    /// [`CallGraph::Fp`] nobody knows.
    pub cut: u64,
    /// Of those, the ones whose copy of the stack was too short.
    pub short: u64,
    /// Whether time that the kernel spends for the program is in it, as `[kernel]`.
    pub has_kernel: bool,
    /// How callers were found: without the kernel's help for tables, [`CallGraph::Fp`].
    pub call_graph: CallGraph,
    /// Files whose functions have no names, and why.
    pub nameless: Vec<(String, String)>,
}

/// Why nothing can be recorded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel does not allow it.
    #[error("the kernel does not allow to sample {what} ({source}): {why}")]
    Forbidden {
        /// What was to be sampled.
        what: String,
        /// The reason, and the way out.
        why: String,
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
    #[error("{hz} samples a second can't be taken: at least 1 and at most {HZ_MAX}")]
    Hz {
        /// As given.
        hz: u32,
    },
    /// A setting is out of its range.
    #[error(
        "{bytes} bytes of stack can't be copied: at least {STACK_BYTES_MIN} and at most {STACK_BYTES_MAX}"
    )]
    StackBytes {
        /// As given.
        bytes: u32,
    },
}
