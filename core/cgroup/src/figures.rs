//! What a cgroup has used.

use crate::cgroup::Cgroup;
use crate::mounts::{Own, Version, own_of_process};
use std::path::Path;

/// What a cgroup has used. `None`: the kernel does not offer it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Figures {
    /// CPU time of all processes since the cgroup was created, in microseconds.
    pub cpu_microseconds: Option<u64>,
    /// Memory in use, caches of files included, in bytes.
    pub memory_bytes: Option<u64>,
    /// The most memory that was in use at once, in bytes.
    pub memory_peak_bytes: Option<u64>,
    /// The limit of memory, in bytes; `None` without one too.
    pub memory_max_bytes: Option<u64>,
    /// Bytes read from block devices.
    pub read_bytes: Option<u64>,
    /// Bytes written to block devices.
    pub written_bytes: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// Processes that the kernel killed because the cgroup was out of memory.
    pub oom_kills: Option<u64>,
    /// How often a process could not be started because of the limit of processes.
    pub pids_refused: Option<u64>,
}

/// How long processes waited for something since the cgroup was created, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Pressure {
    /// At least one process waited for the CPU.
    pub cpu_some: Option<u64>,
    /// At least one process waited for memory.
    pub memory_some: Option<u64>,
    /// All processes waited for memory.
    pub memory_full: Option<u64>,
    /// At least one process waited for I/O.
    pub io_some: Option<u64>,
    /// All processes waited for I/O.
    pub io_full: Option<u64>,
}

/// What limits of version 1 read as when there is none: the largest number of pages.
const V1_UNLIMITED: u64 = 1 << 62;

/// The smallest memory limit of the cgroup of this process and those above it, in bytes. `None` without a limit, or if it
/// cannot be read.
pub fn own_memory_max() -> Option<u64> {
    memory_max(&own_of_process().ok()?)
}

fn memory_max(own: &Own) -> Option<u64> {
    let read = |path: &Path| std::fs::read_to_string(path).ok();
    match own.version {
        Version::V1 => {
            // The kernel has looked at those above, which a container may not see.
            let mut files = own.folders.iter().map(|folder| folder.join("memory.stat"));
            let limit = files.find_map(|path| keyed(&read(&path)?, "hierarchical_memory_limit"))?;
            (limit < V1_UNLIMITED).then_some(limit)
        }
        Version::V2 => {
            let folders = own.folders.first()?.ancestors();
            let limits = folders.map(|folder| read(&folder.join("memory.max")));
            limits.filter_map(|text| text?.trim().parse().ok()).min()
        }
    }
}

impl Cgroup {
    fn text(&self, file: &str) -> Option<String> {
        std::fs::read_to_string(self.file(file)?).ok()
    }

    fn number(&self, file: &str) -> Option<u64> {
        self.text(file)?.trim().parse().ok()
    }

    fn entry(&self, file: &str, key: &str) -> Option<u64> {
        keyed(&self.text(file)?, key)
    }

    /// What it has used.
    pub fn figures(&self) -> Figures {
        let pids = self.number("pids.current");
        let pids_refused = self.entry("pids.events", "max");
        match self.version() {
            Version::V1 => {
                let io = self.text("blkio.throttle.io_service_bytes");
                let io = |operation| io.as_deref().map(|text| v1_io(text, operation));
                let limit = self.number("memory.limit_in_bytes");
                Figures {
                    cpu_microseconds: self.number("cpuacct.usage").map(|nanos| nanos / 1_000),
                    memory_bytes: self.number("memory.usage_in_bytes"),
                    memory_peak_bytes: self.number("memory.max_usage_in_bytes"),
                    memory_max_bytes: limit.filter(|limit| *limit < V1_UNLIMITED),
                    read_bytes: io("Read"),
                    written_bytes: io("Write"),
                    pids,
                    oom_kills: self.entry("memory.oom_control", "oom_kill"),
                    pids_refused,
                }
            }
            Version::V2 => {
                let io = self.text("io.stat");
                let io = |key| io.as_deref().map(|text| v2_io(text, key));
                Figures {
                    cpu_microseconds: self.entry("cpu.stat", "usage_usec"),
                    memory_bytes: self.number("memory.current"),
                    memory_peak_bytes: self.number("memory.peak"),
                    memory_max_bytes: self.number("memory.max"),
                    read_bytes: io("rbytes"),
                    written_bytes: io("wbytes"),
                    pids,
                    oom_kills: self.entry("memory.events", "oom_kill"),
                    pids_refused,
                }
            }
        }
    }

    /// Processes that the kernel killed because it was out of memory.
    pub fn oom_kills(&self) -> Option<u64> {
        self.figures().oom_kills
    }

    /// How long its processes waited. Only version 2 counts this.
    pub fn pressure(&self) -> Pressure {
        let read = |file: &str| self.text(file).unwrap_or_default();
        let (cpu, memory, io) = (
            read("cpu.pressure"),
            read("memory.pressure"),
            read("io.pressure"),
        );
        Pressure {
            cpu_some: total(&cpu, "some"),
            memory_some: total(&memory, "some"),
            memory_full: total(&memory, "full"),
            io_some: total(&io, "some"),
            io_full: total(&io, "full"),
        }
    }
}

/// The number after a key at the start of a line.
fn keyed(text: &str, key: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    let (_, value) = lines.find(|(name, _)| *name == key)?;
    value.trim().parse().ok()
}

/// The sum over all devices: `8:0 Read 4096`.
fn v1_io(text: &str, operation: &str) -> u64 {
    let bytes = text.lines().filter_map(|line| {
        let mut fields = line.split_whitespace();
        let (_, name, bytes) = (fields.next()?, fields.next()?, fields.next()?);
        (name == operation).then(|| bytes.parse::<u64>().ok())?
    });
    bytes.sum()
}

/// The sum over all devices: `8:0 rbytes=4096 wbytes=0 ...`.
fn v2_io(text: &str, key: &str) -> u64 {
    let fields = text
        .split_whitespace()
        .filter_map(|field| field.split_once('='));
    let bytes = fields.filter(|(name, _)| *name == key);
    bytes
        .filter_map(|(_, bytes)| bytes.parse::<u64>().ok())
        .sum()
}

/// The total of a line: `some avg10=0.00 avg60=0.00 avg300=0.00 total=123`.
fn total(text: &str, line: &str) -> Option<u64> {
    let fields = text.lines().find_map(|text| text.strip_prefix(line))?;
    let mut fields = fields.split_whitespace();
    fields.find_map(|field| field.strip_prefix("total=")?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smallest_memory_limit_of_those_above_applies() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("created");
            std::fs::write(path, text).expect("written");
        };
        write("v2/memory.max", "max\n");
        write("v2/a/memory.max", "1000\n");
        write("v2/a/b/memory.max", "2000\n");
        write(
            "v1/memory/a/memory.stat",
            "cache 5\nhierarchical_memory_limit 3000\n",
        );
        write(
            "v1/none/memory.stat",
            "hierarchical_memory_limit 9223372036854771712\n",
        );
        let limit = |version, folders: &[&str]| {
            let folders = folders.iter().map(|folder| root.path().join(folder));
            memory_max(&Own {
                version,
                folders: folders.collect(),
            })
        };
        assert_eq!(limit(Version::V2, &["v2/a/b"]), Some(1_000));
        assert_eq!(limit(Version::V2, &["v2"]), None);
        assert_eq!(
            limit(Version::V1, &["v1/cpu/a", "v1/memory/a"]),
            Some(3_000)
        );
        assert_eq!(limit(Version::V1, &["v1/none"]), None);
    }

    #[test]
    fn figures_of_the_kernel_are_summed_over_devices() {
        let v1 = "8:0 Read 4096\n8:0 Write 10\n8:16 Read 4\n8:0 Total 4106\nTotal 4110\n";
        assert_eq!((v1_io(v1, "Read"), v1_io(v1, "Write")), (4_100, 10));
        let v2 = "8:0 rbytes=4096 wbytes=10 rios=1\n8:16 rbytes=4 wbytes=0\n";
        assert_eq!((v2_io(v2, "rbytes"), v2_io(v2, "wbytes")), (4_100, 10));
        let oom = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n";
        assert_eq!(keyed(oom, "oom_kill"), Some(3));
        assert_eq!(keyed(oom, "oom"), None);
        let some = "some avg10=0.00 avg60=0.00 total=7\nfull avg10=0.00 total=5\n";
        assert_eq!(
            (total(some, "some"), total(some, "full")),
            (Some(7), Some(5))
        );
        assert_eq!(total("", "some"), None);
    }
}
