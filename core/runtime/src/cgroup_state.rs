//! The published cgroup of a child.

use davy_cgroup::Cgroup;

/// The cgroup of a child, as its member publishes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CgroupState {
    /// The cgroup of the current run, or of the last one.
    pub cgroup: Option<Cgroup>,
    /// Processes of earlier runs that the kernel killed because memory ran out.
    pub oom_kills_before: u64,
    /// Why the child is neither limited nor counted, or not completely.
    pub problem: Option<String>,
}

impl CgroupState {
    /// Processes that the kernel killed because memory ran out, in all runs.
    pub fn oom_kills(&self) -> u64 {
        let current = self.cgroup.as_ref().and_then(Cgroup::oom_kills);
        self.oom_kills_before + current.unwrap_or(0)
    }
}
