//! Why threads are not sampled.

use std::io;
use std::sync::Arc;

/// The last reason; empty while every thread is sampled.
#[derive(Debug, Default)]
pub(super) struct Refusal {
    reason: Arc<str>,
}

impl Refusal {
    pub(super) fn reason(&self) -> Arc<str> {
        Arc::clone(&self.reason)
    }

    /// Notes and logs an error of the system, with advice on what to change.
    pub(super) fn note(&mut self, what: &str, error: &io::Error) {
        let advice = match error.raw_os_error() {
            Some(libc::EAGAIN) => "; raise the limit of pending signals (`ulimit -i`)",
            Some(libc::EPERM | libc::ENOSYS) => "; allow it in the container's seccomp profile",
            Some(libc::ENOENT) => "; mount /proc",
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
            tracing::warn!(reason, "threads are missing from the CPU profile");
            self.reason = reason.into();
        }
    }
}
