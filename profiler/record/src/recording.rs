//! The result of a recording.

use crate::options::CallGraph;
use crate::target::Mechanism;

/// The result of a recording.
#[derive(Debug)]
pub struct Recording {
    /// Samples by stack, with their number and their CPU time.
    pub profile: davy_profile::Profile,
    /// Number of samples.
    pub samples: u64,
    /// Records that the kernel dropped because a ring was full.
    pub lost: u64,
    /// Times that the kernel throttled sampling because it took too long.
    pub throttled: u64,
    /// Samples whose stack does not reach its root; it begins with `(stack truncated)`. Unknown, and 0, with
    /// [`CallGraph::Fp`].
    pub cut: u64,
    /// The samples among `cut` whose copy of the stack was too short.
    pub short: u64,
    /// Whether the profile includes time in the kernel, as `[kernel]`.
    pub has_kernel: bool,
    /// How the processes of a cgroup were found; `None` if the target was not a cgroup.
    pub mechanism: Option<Mechanism>,
    /// Processes of a cgroup that could not be sampled.
    pub refused: u64,
    /// Why the last one of them could not be sampled.
    pub refusal: Option<String>,
    /// How callers were found: [`CallGraph::Fp`] if the kernel cannot copy stacks.
    pub call_graph: CallGraph,
    /// Files that could not be symbolized, and why.
    pub nameless: Vec<(String, String)>,
}
