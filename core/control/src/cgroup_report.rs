//! What the cgroup of a child process or of a container has used.

use davy_cgroup::{Cgroup, Figures, Pressure};
use davy_runtime::CgroupState;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the cgroup of a child process or container has used since it started. `null`: the kernel does not offer it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CgroupReport {
    /// CPU time of all its processes, in seconds.
    pub cpu_seconds: Option<f64>,
    /// Memory in use, caches of files included, in bytes.
    pub memory_bytes: Option<u64>,
    /// The most memory that was in use at once, in bytes.
    pub memory_peak_bytes: Option<u64>,
    /// The limit of its memory, in bytes.
    pub memory_max_bytes: Option<u64>,
    /// Bytes read from block devices.
    pub read_bytes: Option<u64>,
    /// Bytes written to block devices.
    pub written_bytes: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// Time in which at least one process waited for the CPU, in seconds.
    pub cpu_pressure_seconds: Option<f64>,
    /// Time in which at least one process waited for memory, in seconds.
    pub memory_pressure_seconds: Option<f64>,
    /// Time in which at least one process waited for I/O, in seconds.
    pub io_pressure_seconds: Option<f64>,
    /// Processes that the kernel killed because memory ran out, in all runs of the child.
    pub oom_kills: u64,
    /// Why the child is not limited or counted completely.
    pub problem: Option<String>,
}

const MICROSECONDS: f64 = 1e6;

impl CgroupReport {
    /// Reads the files of the kernel.
    pub(crate) fn read(state: &CgroupState) -> Self {
        let cgroup = state.cgroup.as_ref();
        let figures = cgroup.map(Cgroup::figures).unwrap_or_default();
        let pressure = cgroup.map(Cgroup::pressure).unwrap_or_default();
        let mut report = Self::of(&figures, &pressure);
        report.oom_kills += state.oom_kills_before;
        report.problem.clone_from(&state.problem);
        report
    }

    /// What a worker says about a container; `None` if it says nothing that is understood.
    pub(crate) fn of_container(text: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Measured {
            #[serde(flatten)]
            figures: Figures,
            #[serde(default)]
            pressure: Pressure,
        }
        let Measured { figures, pressure } = serde_json::from_str(text).ok()?;
        Some(Self::of(&figures, &pressure))
    }

    fn of(figures: &Figures, pressure: &Pressure) -> Self {
        let seconds = |micros: Option<u64>| micros.map(|micros| micros as f64 / MICROSECONDS);
        Self {
            cpu_seconds: seconds(figures.cpu_microseconds),
            memory_bytes: figures.memory_bytes,
            memory_peak_bytes: figures.memory_peak_bytes,
            memory_max_bytes: figures.memory_max_bytes,
            read_bytes: figures.read_bytes,
            written_bytes: figures.written_bytes,
            pids: figures.pids,
            cpu_pressure_seconds: seconds(pressure.cpu_some),
            memory_pressure_seconds: seconds(pressure.memory_some),
            io_pressure_seconds: seconds(pressure.io_some),
            oom_kills: figures.oom_kills.unwrap_or(0),
            problem: None,
        }
    }
}
