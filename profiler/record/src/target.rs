//! What is recorded.

use std::path::PathBuf;

/// The processes to record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A running process, with the threads and processes that it starts from now on.
    Pid(u32),
    /// The next child process of the calling thread, with its own children.
    NextChild,
    /// The processes of a cgroup and of those below it, whenever they start: its folder, or its path below the mount of a
    /// hierarchy, as in `/proc/PID/cgroup`.
    Cgroup(PathBuf),
}

/// How the processes of a cgroup are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// The kernel samples whatever runs while it belongs to the cgroup. Needs version 2, or the controller `perf_event` of
    /// version 1, and permission to sample all processes.
    Kernel,
    /// The processes are listed 20 times per second, and what they start is sampled from its start. A process that joins
    /// from elsewhere is not sampled before the next listing.
    Processes,
}
