//! How to record.

use crate::error::Error;
use crate::limits::{HZ_MAX, STACK_BYTES_MAX, STACK_BYTES_MIN};

/// How the callers of a sample are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CallGraph {
    /// Unwind tables; where a walk ends early, the kernel's frame-pointer chain.
    #[default]
    Auto,
    /// Unwind tables, applied to a copy of the stack.
    Dwarf,
    /// The kernel's frame-pointer chain: the cheapest, and complete only if all code keeps frame
    /// pointers.
    Fp,
}

/// How to record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordOptions {
    /// Samples per second of each thread's CPU time, 1 to 10,000.
    pub hz: u32,
    /// How callers are found.
    pub call_graph: CallGraph,
    /// Bytes of stack copied with each sample, 1,024 to 65,000.
    pub stack_bytes: u32,
    /// Whether a frame without a name has its address and the build id of its file, so that an archive can name it later.
    /// Otherwise, all of a file are one frame with the name of the file.
    pub keeps_addresses: bool,
}

impl Default for RecordOptions {
    fn default() -> Self {
        Self {
            hz: 99,
            call_graph: CallGraph::Auto,
            stack_bytes: 32 << 10,
            keeps_addresses: false,
        }
    }
}

impl RecordOptions {
    /// Checks that every option is in its range.
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
