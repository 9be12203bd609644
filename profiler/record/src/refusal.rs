//! Explains why the kernel refused to open an event, and how to permit it.

use crate::error::Error;
use crate::event::Follow;
use std::io;
use std::os::unix::fs::MetadataExt as _;

/// The highest `kernel.perf_event_paranoid` that permits sampling one's own processes.
const PARANOID_OWN: i32 = 2;

/// Converts the error of `perf_event_open`.
pub(crate) fn explain(follow: Follow, hz: u32, source: io::Error) -> Error {
    let target = match follow {
        Follow::Thread(thread) => format!("thread {thread}"),
        Follow::NextChild => "a command".to_owned(),
        Follow::Cgroup(_) => "a cgroup".to_owned(),
    };
    match source.raw_os_error() {
        Some(libc::EACCES | libc::EPERM | libc::ENOSYS) => {
            let owner = match follow {
                Follow::Thread(thread) => owner_of(thread),
                Follow::NextChild | Follow::Cgroup(_) => None,
            };
            Error::Forbidden {
                target,
                reason: reason(
                    setting("perf_event_paranoid"),
                    // SAFETY: geteuid has no arguments and cannot fail.
                    unsafe { libc::geteuid() },
                    owner,
                    source.raw_os_error() == Some(libc::ENOSYS),
                ),
                source,
            }
        }
        Some(libc::EINVAL)
            if setting("perf_event_max_sample_rate").is_some_and(|most| most < hz as i32) =>
        {
            Error::Failed {
                action: format!(
                    "sample at {hz} Hz, more than kernel.perf_event_max_sample_rate allows"
                ),
                source,
            }
        }
        Some(libc::EMFILE) => Error::Failed {
            action: format!(
                "sample {target} (each thread needs one open file per CPU: raise the limit with `ulimit -n`)"
            ),
            source,
        },
        _ => Error::Failed {
            action: format!("sample {target}"),
            source,
        },
    }
}

/// Why the kernel refused, and how to permit sampling.
fn reason(paranoid: Option<i32>, user: u32, owner: Option<u32>, no_such_call: bool) -> String {
    let filter = "a seccomp filter blocks perf_event_open, as in most containers: run the container with --cap-add PERFMON, or run davy outside the container";
    match (paranoid, owner) {
        _ if no_such_call => filter.to_owned(),
        (Some(paranoid), _) if paranoid > PARANOID_OWN && user != 0 => format!(
            "kernel.perf_event_paranoid is {paranoid}: set it to {PARANOID_OWN} (sysctl kernel.perf_event_paranoid={PARANOID_OWN}) to sample your own processes, or run with CAP_PERFMON"
        ),
        (_, Some(owner)) if owner != user && user != 0 => format!(
            "it belongs to user {owner}: run davy as that user or as root, or with CAP_PERFMON and CAP_SYS_PTRACE"
        ),
        (None, _) => "this kernel does not support perf events".to_owned(),
        (Some(paranoid), _) => {
            format!("kernel.perf_event_paranoid is {paranoid}, which permits it, so {filter}")
        }
    }
}

fn owner_of(thread: i32) -> Option<u32> {
    let folder = std::fs::metadata(format!("/proc/{thread}")).ok()?;
    Some(folder.uid())
}

fn setting(name: &str) -> Option<i32> {
    let text = std::fs::read_to_string(format!("/proc/sys/kernel/{name}")).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusal_names_the_reason_and_the_remedy() {
        let check = |paranoid, user, owner, no_such_call, expected: &[&str]| {
            let text = reason(paranoid, user, owner, no_such_call);
            for part in expected {
                assert!(text.contains(part), "{part:?} is not in {text:?}");
            }
        };
        check(
            Some(3),
            1_000,
            None,
            false,
            &["is 3", "set it to 2", "CAP_PERFMON"],
        );
        check(
            Some(2),
            1_000,
            Some(0),
            false,
            &["belongs to user 0", "as root"],
        );
        check(
            Some(2),
            1_000,
            Some(1_000),
            false,
            &["permits it", "--cap-add PERFMON"],
        );
        check(Some(4), 0, None, false, &["seccomp filter"]);
        check(Some(2), 1_000, None, true, &["seccomp filter"]);
        check(None, 0, None, false, &["does not support perf events"]);
    }
}
