//! Why threads, or their stacks in the kernel, are not sampled.

use std::io;
use std::sync::Arc;

/// The last reason; empty while everything is sampled.
#[derive(Debug)]
pub(super) struct Refusal {
    /// What is missing, for the log.
    missing: &'static str,
    reason: Arc<str>,
}

impl Refusal {
    pub(super) fn new(missing: &'static str) -> Self {
        Self {
            missing,
            reason: Arc::default(),
        }
    }

    pub(super) fn reason(&self) -> Arc<str> {
        Arc::clone(&self.reason)
    }

    /// Notes and logs an error of the system, with advice on what to change.
    pub(super) fn note(&mut self, what: &str, error: &io::Error) {
        let advice = match error.raw_os_error() {
            Some(libc::EAGAIN) => "; raise the limit of pending signals (`ulimit -i`)",
            Some(libc::EPERM | libc::ENOSYS) => "; allow it in the container's seccomp profile",
            Some(libc::ENOENT) => "; mount /proc",
            Some(libc::EACCES) => {
                "; allow it by `sysctl kernel.perf_event_paranoid=1` or CAP_PERFMON"
            }
            Some(libc::EMFILE) => {
                "; raise the limit of open files (`ulimit -n`), one for each thread"
            }
            _ => "",
        };
        self.set(format!("{what}: {error}{advice}"));
    }

    /// Forgets the reason, because every thread is sampled again.
    pub(super) fn clear(&mut self) {
        self.reason = Arc::default();
    }

    /// Notes a reason, and logs it if it is new.
    pub(super) fn set(&mut self, reason: String) {
        if *self.reason != *reason {
            tracing::warn!(reason, "{}", self.missing);
            self.reason = reason.into();
        }
    }
}
