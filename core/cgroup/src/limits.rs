//! Limits of a cgroup.

use crate::cgroup::Cgroup;
use crate::error::{Error, at};
use crate::mounts::Version;

/// Limits of a cgroup; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Limits {
    /// Memory of all processes together, in bytes. A process is killed if the kernel cannot reclaim enough.
    pub memory_max: Option<u64>,
    /// The share of the CPU while others want it too: 1 to 10,000; 100 is that of a cgroup without a weight.
    pub cpu_weight: Option<u64>,
    /// Processes and threads, at most.
    pub pids_max: Option<u64>,
}

/// A value that the kernel takes for a limit.
struct Setting {
    limit: &'static str,
    controller: &'static str,
    file: &'static str,
    value: String,
    /// Whether a kernel may lack the file while it has the controller.
    is_optional: bool,
}

impl Limits {
    fn settings(self, version: Version) -> Vec<Setting> {
        let mut settings = Vec::new();
        let mut add = |limit, controller, file, value: u64, is_optional| {
            settings.push(Setting {
                limit,
                controller,
                file,
                value: value.to_string(),
                is_optional,
            });
        };
        if let Some(bytes) = self.memory_max {
            match version {
                Version::V1 => {
                    add("memory", "memory", "memory.limit_in_bytes", bytes, false);
                    // Without it the group would swap instead of being limited.
                    add(
                        "memory",
                        "memory",
                        "memory.memsw.limit_in_bytes",
                        bytes,
                        true,
                    );
                }
                Version::V2 => {
                    add("memory", "memory", "memory.max", bytes, false);
                    add("memory", "memory", "memory.swap.max", 0, true);
                }
            }
        }
        if let Some(weight) = self.cpu_weight {
            let weight = weight.clamp(1, 10_000);
            match version {
                Version::V1 => {
                    let shares = (weight * 1_024 / 100).max(2);
                    add("CPU", "cpu", "cpu.shares", shares, false);
                }
                Version::V2 => add("CPU", "cpu", "cpu.weight", weight, false),
            }
        }
        if let Some(pids) = self.pids_max {
            add("processes", "pids", "pids.max", pids, false);
        }
        settings
    }

    /// Sets the limits of a cgroup.
    pub(crate) fn apply(self, cgroup: &Cgroup) -> Result<(), Error> {
        for setting in self.settings(cgroup.version()) {
            let Some(path) = cgroup.file(setting.file) else {
                if setting.is_optional {
                    continue;
                }
                return Err(Error::Controller {
                    limit: setting.limit,
                    controller: setting.controller,
                });
            };
            std::fs::write(&path, setting.value).map_err(at(&path))?;
        }
        Ok(())
    }
}
