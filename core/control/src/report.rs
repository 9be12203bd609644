//! The report of a process: its members, their usage, and its resources as the kernel counts them.
//! Every process writes its report into the database, where the others read it.

use crate::cgroup_report::CgroupReport;
use crate::usage::Usage;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A process and the members that it hosts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// The id of the process, new at each start.
    pub id: String,
    /// The kind of the process, or the name that the operator gave it.
    pub process: String,
    /// The machine's name.
    pub host: String,
    /// The unix process id.
    pub pid: u32,
    /// The address of its debug port.
    pub debug: String,
    /// When the report was made, in milliseconds since 1970.
    pub at: i64,
    /// Its resources as the kernel counts them.
    pub kernel: KernelStatistics,
    /// Its members.
    pub members: Vec<MemberReport>,
}

/// The resources of a process, from /proc and its cgroup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "KernelStatistics")]
pub struct KernelStatistics {
    /// Resident memory, in bytes.
    pub resident_bytes: u64,
    /// User and system CPU time, in seconds.
    pub cpu_seconds: f64,
    /// Number of threads.
    pub threads: u64,
    /// Number of open file descriptors.
    pub open_files: u64,
    /// The memory limit of its cgroup, in bytes; 0 without a limit.
    pub memory_limit_bytes: u64,
}

/// A member of a process.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct MemberReport {
    /// Its name.
    pub name: String,
    /// Its state, such as `ready`; `-` for work without a member in this process.
    pub state: String,
    /// When it entered that state, in milliseconds since 1970.
    pub since: i64,
    /// Number of restarts.
    pub restarts: u64,
    /// Tasks that outlived it and were cancelled.
    pub leaked: u64,
    /// The unix process id of an isolated member.
    pub child_pid: Option<u32>,
    /// The error with which it failed.
    pub error: Option<String>,
    /// A note of the member about itself, such as what it waits for.
    pub note: Option<String>,
    /// Its database connections.
    pub connections: Option<Connections>,
    /// The cgroup of the process that the member supervises or runs in, if Davy made one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<CgroupReport>,
    /// Its usage.
    #[serde(flatten)]
    pub usage: Usage,
    /// The usage of each of its operations.
    pub operations: Vec<OperationReport>,
}

/// The usage of an operation.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct OperationReport {
    /// Its name.
    pub op: String,
    /// Its usage.
    #[serde(flatten)]
    pub usage: Usage,
}

/// Database connections of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Connections {
    /// Connections in use.
    pub in_use: u32,
    /// Connections that the member may use concurrently.
    pub budget: u32,
    /// Queries that wait for a connection.
    pub waiting: u32,
}

impl KernelStatistics {
    /// The resources of this process; 0 for values that can't be read.
    pub fn read() -> Self {
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
            memory_limit_bytes: davy_cgroup::own_memory_max().unwrap_or(0),
        }
    }
}

/// The unit of the times in /proc/PID/stat; the same on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// User and system CPU time from the text of `/proc/self/stat`, in seconds. Fields are counted from the
/// last `)`, since the process name in front of it may contain spaces and parentheses.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_of_this_process_are_plausible() {
        let kernel = KernelStatistics::read();
        assert!(kernel.resident_bytes > 1 << 20, "{kernel:?}");
        assert!(kernel.threads >= 1, "{kernel:?}");
        assert!(kernel.open_files >= 3, "{kernel:?}");
    }

    #[test]
    fn process_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194304 1 0 0 0 150 50 0 0 20 0";
        assert!((cpu_seconds(stat) - 2.0).abs() < 1e-9);
    }
}
