//! Metrics of the cgroups of child processes.

use super::families::Families;
use crate::report::Report;

/// Adds the families of the child processes that this process supervises.
pub(super) fn add(families: &mut Families<'_>, report: &Report) -> Result<(), prometheus::Error> {
    let (mut cpu, mut memory, mut memory_max, mut pids) = (vec![], vec![], vec![], vec![]);
    let (mut io, mut pressure, mut kills) = (vec![], vec![], vec![]);
    for member in &report.members {
        let Some(cgroup) = &member.cgroup else {
            continue;
        };
        let name = member.name.as_str();
        let labels = [("member", name)];
        kills.push(families.counter(&labels, cgroup.oom_kills as f64));
        cpu.extend(
            cgroup
                .cpu_seconds
                .map(|value| families.counter(&labels, value)),
        );
        for (all, bytes) in [
            (&mut memory, cgroup.memory_bytes),
            (&mut memory_max, cgroup.memory_max_bytes),
            (&mut pids, cgroup.pids),
        ] {
            all.extend(bytes.map(|value| families.gauge(&labels, value as f64)));
        }
        for (direction, bytes) in [("read", cgroup.read_bytes), ("write", cgroup.written_bytes)] {
            let labels = [("member", name), ("direction", direction)];
            io.extend(bytes.map(|value| families.counter(&labels, value as f64)));
        }
        for (resource, seconds) in [
            ("cpu", cgroup.cpu_pressure_seconds),
            ("memory", cgroup.memory_pressure_seconds),
            ("io", cgroup.io_pressure_seconds),
        ] {
            let labels = [("member", name), ("resource", resource)];
            pressure.extend(seconds.map(|value| families.counter(&labels, value)));
        }
    }
    families.add("davy_member_cgroup_cpu_seconds_total", cpu)?;
    families.add("davy_member_cgroup_io_bytes_total", io)?;
    families.add("davy_member_cgroup_memory_bytes", memory)?;
    families.add("davy_member_cgroup_memory_max_bytes", memory_max)?;
    families.add("davy_member_cgroup_pids", pids)?;
    families.add("davy_member_cgroup_pressure_seconds_total", pressure)?;
    families.add("davy_member_oom_kills_total", kills)
}
