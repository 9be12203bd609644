//! Kernel settings and limits of processes.

use super::finding::{Finding, Findings};
use crate::config::Config;
use davy_cgroup::{Hierarchy, Version};
use davy_profile::units;

/// Sampling one's own processes with `davy record` works up to this `kernel.perf_event_paranoid`.
const PARANOID_OWN: i64 = 2;
/// Stacks of the kernel need at most this.
const PARANOID_KERNEL: i64 = 1;
/// Fewer open files are not enough for a busy archiver: connections, objects and the database.
const OPEN_FILES: u64 = 4_096;
/// Less memory leaves no room for buffers and the cache.
const MEMORY_BYTES: u64 = 512 << 20;

pub(super) fn check(config: &Config, has_limits: bool, findings: &mut Findings) {
    findings.add(perf_events(
        setting("perf_event_paranoid"),
        config.profiler_kernel_stacks,
    ));
    if config.profiler_kernel_stacks {
        findings.add(kernel_symbols(setting("kptr_restrict")));
    }
    findings.add(open_files(open_files_limit()));
    let limit = davy_control::KernelStatistics::read().memory_limit_bytes;
    findings.add(memory(limit));
    findings.add(cgroups(Hierarchy::probe(), has_limits));
}

/// A number in `/proc/sys/kernel`; none if the kernel does not have the setting.
fn setting(name: &str) -> Option<i64> {
    let text = std::fs::read_to_string(format!("/proc/sys/kernel/{name}")).ok()?;
    text.trim().parse().ok()
}

fn is_root() -> bool {
    // SAFETY: reads the id of this process.
    unsafe { libc::geteuid() == 0 }
}

fn perf_events(paranoid: Option<i64>, kernel_stacks: bool) -> Finding {
    const CHECK: &str = "perf events";
    let Some(paranoid) = paranoid else {
        return Finding::warning(
            CHECK,
            "the kernel has no perf events, so `davy record` cannot sample programs",
        )
        .advise("use a kernel with CONFIG_PERF_EVENTS; Davy's own profiles do not need it");
    };
    let most = if kernel_stacks {
        PARANOID_KERNEL
    } else {
        PARANOID_OWN
    };
    let value = format!("kernel.perf_event_paranoid is {paranoid}");
    if paranoid <= most || is_root() {
        return Finding::ok(CHECK, value);
    }
    let lacks = if kernel_stacks {
        "profiler.kernel_stacks needs at most 1"
    } else {
        "`davy record` needs at most 2"
    };
    Finding::warning(CHECK, format!("{value}; {lacks}")).advise(format!(
        "sysctl kernel.perf_event_paranoid={most}, and the same line in /etc/sysctl.d/davy.conf; or give the process CAP_PERFMON"
    ))
}

fn kernel_symbols(restrict: Option<i64>) -> Finding {
    const CHECK: &str = "kernel symbols";
    match restrict {
        None | Some(0) => Finding::ok(CHECK, "functions of the kernel have names"),
        Some(value) => Finding::warning(
            CHECK,
            format!(
                "kernel.kptr_restrict is {value}, so functions of the kernel may have no names"
            ),
        )
        .advise("sysctl kernel.kptr_restrict=0, or give the process CAP_SYSLOG"),
    }
}

fn open_files_limit() -> u64 {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: writes to one structure, which outlives the call.
    match unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } {
        0 => limit.rlim_cur,
        _ => u64::MAX,
    }
}

fn open_files(limit: u64) -> Finding {
    let detail = format!("this shell may open {limit} files");
    if limit >= OPEN_FILES {
        return Finding::ok("open files", detail);
    }
    Finding::warning(
        "open files",
        format!("{detail}; a busy archiver needs {OPEN_FILES}"),
    )
    .advise(format!(
        "ulimit -n {OPEN_FILES}, or LimitNOFILE={OPEN_FILES} in the unit of systemd"
    ))
}

fn memory(limit: u64) -> Finding {
    match limit {
        0 => Finding::ok("memory", "the control group has no memory limit"),
        limit if limit >= MEMORY_BYTES => Finding::ok(
            "memory",
            format!("the control group may use {}", units::bytes(limit as f64)),
        ),
        limit => Finding::warning(
            "memory",
            format!("the control group may use only {}", units::bytes(limit as f64)),
        )
        .advise("allow 512 MiB, or reduce archive.buffer_bytes, archive.merge_bytes and archive.cache_bytes"),
    }
}

/// `has_limits`: the configuration limits an isolated member.
fn cgroups(found: Result<Version, davy_cgroup::Error>, has_limits: bool) -> Finding {
    const CHECK: &str = "cgroups";
    match found {
        Ok(Version::V1) => Finding::ok(CHECK, "version 1 is writable"),
        Ok(Version::V2) => Finding::ok(CHECK, "version 2 is writable"),
        Err(error) if has_limits => Finding::warning(
            CHECK,
            format!("{error}; memory_max, cpu_weight and pids_max of members have no effect"),
        ),
        Err(error) => Finding::skipped(
            CHECK,
            format!("{error}; only limits of isolated members and of tasks need them"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_are_too_low_say_what_to_set() {
        let json = |finding: &Finding| serde_json::to_string(finding).expect("JSON");
        let check = |finding: Finding, expected: &str| {
            assert!(json(&finding).contains(expected), "{}", json(&finding));
        };
        check(open_files(1_024), "LimitNOFILE=4096");
        check(open_files(65_536), r#""outcome":"ok""#);
        check(memory(256 << 20), "only 256 MiB");
        check(memory(0), r#""outcome":"ok""#);
        let unwritable = || {
            Err(davy_cgroup::Error::Unavailable {
                reason: "not writable; set Delegate=yes".to_owned(),
            })
        };
        check(cgroups(unwritable(), true), "Delegate=yes");
        check(cgroups(unwritable(), true), r#""outcome":"warning""#);
        check(cgroups(unwritable(), false), r#""outcome":"skipped""#);
        check(cgroups(Ok(Version::V1), true), "version 1 is writable");
        check(kernel_symbols(Some(2)), "CAP_SYSLOG");
        check(perf_events(None, false), "CONFIG_PERF_EVENTS");
        if !is_root() {
            check(
                perf_events(Some(3), false),
                "sysctl kernel.perf_event_paranoid=2",
            );
            check(
                perf_events(Some(2), true),
                "sysctl kernel.perf_event_paranoid=1",
            );
        }
    }
}
