//! What a process says of itself: members, usages, what the kernel knows. Every process writes its
//! report into the database; whoever is asked reads all of them.

use crate::usage::Usage;
use serde::{Deserialize, Serialize};

/// A process and everything that it hosts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// The process's id, new at each start.
    pub id: String,
    /// Its name: a kind, or what the operator called it.
    pub process: String,
    /// The machine's name.
    pub host: String,
    /// The process id on that machine.
    pub pid: u32,
    /// The address of its debug port.
    pub debug: String,
    /// When the report was made, in milliseconds since 1970.
    pub at: i64,
    /// What the kernel counts of it.
    pub kernel: Kernel,
    /// Its members.
    pub members: Vec<MemberReport>,
}

/// The kernel's figures of a process, from /proc and its cgroup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kernel {
    /// Resident memory.
    pub resident_bytes: u64,
    /// CPU time, user and system.
    pub cpu_seconds: f64,
    /// Threads.
    pub threads: u64,
    /// Open files.
    pub open_files: u64,
    /// The memory limit of its cgroup; 0 where there is none.
    pub memory_limit_bytes: u64,
}

/// A member of a process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MemberReport {
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: String,
    /// Since when, in milliseconds since 1970.
    pub since: i64,
    /// How often it was started again.
    pub restarts: u64,
    /// Tasks that it left behind when it ended.
    pub leaked: u64,
    /// The unix process of a member that is one.
    pub child_pid: Option<u32>,
    /// Why it fell.
    pub error: Option<String>,
    /// What it says of itself, such as what it waits for.
    pub note: Option<String>,
    /// Database connections that it holds, and may hold.
    pub connections: Option<Connections>,
    /// What it costs.
    #[serde(flatten)]
    pub usage: Usage,
    /// What each of its operations costs.
    pub operations: Vec<OperationReport>,
}

/// What an operation costs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OperationReport {
    /// Its name.
    pub op: String,
    /// What it costs.
    #[serde(flatten)]
    pub usage: Usage,
}

/// Database connections of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connections {
    /// Queries under way.
    pub in_use: u32,
    /// Queries under way at most.
    pub budget: u32,
    /// Queries that wait for one of the others to end.
    pub waiting: u32,
}

impl Kernel {
    /// Of this process, as far as the kernel tells.
    pub(crate) fn read() -> Self {
        let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let status = text("/proc/self/status");
        let field = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next());
            number.and_then(|number| number.parse().ok()).unwrap_or(0)
        };
        Self {
            resident_bytes: field("VmRSS:") * 1_024,
            cpu_seconds: cpu_seconds(&text("/proc/self/stat")),
            threads: field("Threads:"),
            open_files: std::fs::read_dir("/proc/self/fd").map_or(0, |files| files.count() as u64),
            memory_limit_bytes: memory_limit(&text("/proc/self/cgroup")),
        }
    }
}

/// Ticks a second of the times in /proc/PID/stat, the same on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// User and system time, from `/proc/self/stat`; its fields are counted after the name, which may
/// hold anything.
fn cpu_seconds(stat: &str) -> f64 {
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |index: usize| {
        fields
            .get(index)
            .and_then(|f| f.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    (ticks(11) + ticks(12)) / TICKS_PER_SECOND
}

/// The smallest limit on the way from this process's cgroup (v2) to the root.
fn memory_limit(cgroup: &str) -> u64 {
    let Some(path) = cgroup.lines().find_map(|line| line.strip_prefix("0::/")) else {
        return 0;
    };
    let mut folder = std::path::Path::new("/sys/fs/cgroup").join(path);
    let mut limit = u64::MAX;
    while folder.starts_with("/sys/fs/cgroup") {
        let text = std::fs::read_to_string(folder.join("memory.max")).unwrap_or_default();
        limit = limit.min(text.trim().parse().unwrap_or(u64::MAX));
        if !folder.pop() {
            break;
        }
    }
    if limit == u64::MAX { 0 } else { limit }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_knows_this_process() {
        let kernel = Kernel::read();
        assert!(kernel.resident_bytes > 1 << 20, "{kernel:?}");
        assert!(kernel.threads >= 1, "{kernel:?}");
        assert!(kernel.open_files >= 3, "{kernel:?}");
    }

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_shift_the_times() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194304 1 0 0 0 150 50 0 0 20 0";
        assert!((cpu_seconds(stat) - 2.0).abs() < 1e-9);
    }
}
