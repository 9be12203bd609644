//! Why the kernel refuses to sample, and the way out.

use crate::Error;
use crate::event::Follow;
use std::io;
use std::os::unix::fs::MetadataExt as _;

/// Up to this setting one may sample one's own programs.
const PARANOID_OWN: i32 = 2;

/// The error of an event that could not be opened.
pub(crate) fn of(follow: Follow, hz: u32, source: io::Error) -> Error {
    let what = match follow {
        Follow::Thread(thread) => format!("thread {thread}"),
        Follow::NextChild => "a command".to_owned(),
    };
    match source.raw_os_error() {
        Some(libc::EACCES | libc::EPERM | libc::ENOSYS) => {
            let owner = match follow {
                Follow::Thread(thread) => owner_of(thread),
                Follow::NextChild => None,
            };
            Error::Forbidden {
                what,
                why: why(
                    setting("perf_event_paranoid"),
                    // SAFETY: geteuid takes nothing and can't fail.
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
                what: format!(
                    "{hz} samples a second are more than kernel.perf_event_max_sample_rate allows"
                ),
                source,
            }
        }
        Some(libc::EMFILE) => Error::Failed {
            what: format!(
                "{what} can't be sampled: each thread takes an open file for each CPU, so raise the limit (ulimit -n)"
            ),
            source,
        },
        _ => Error::Failed {
            what: format!("{what} can't be sampled"),
            source,
        },
    }
}

/// The sentence behind the kernel's word.
fn why(paranoid: Option<i32>, user: u32, owner: Option<u32>, no_such_call: bool) -> String {
    let filter = "a filter of system calls forbids it, as those of containers do: run the container with --cap-add PERFMON, or davy outside of it";
    match (paranoid, owner) {
        _ if no_such_call => filter.to_owned(),
        (Some(paranoid), _) if paranoid > PARANOID_OWN && user != 0 => format!(
            "kernel.perf_event_paranoid is {paranoid}: set it to {PARANOID_OWN} (sysctl kernel.perf_event_paranoid={PARANOID_OWN}) to sample your own programs, or run with CAP_PERFMON"
        ),
        (_, Some(owner)) if owner != user && user != 0 => format!(
            "it is of user {owner}: run davy as that user or as root, or with CAP_PERFMON and CAP_SYS_PTRACE"
        ),
        (None, _) => "this kernel has no perf events".to_owned(),
        (Some(paranoid), _) => {
            format!("kernel.perf_event_paranoid is {paranoid}, which allows it, so {filter}")
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
    fn a_refusal_names_its_reason_and_the_way_out() {
        let check = |paranoid, user, owner, no_such_call, expected: &[&str]| {
            let text = why(paranoid, user, owner, no_such_call);
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
        check(Some(2), 1_000, Some(0), false, &["of user 0", "as root"]);
        check(
            Some(2),
            1_000,
            Some(1_000),
            false,
            &["allows it", "--cap-add PERFMON"],
        );
        check(Some(4), 0, None, false, &["a filter of system calls"]);
        check(Some(2), 1_000, None, true, &["a filter of system calls"]);
        check(None, 0, None, false, &["no perf events"]);
    }
}
