//! Whether writes to the bucket succeed.

use crate::fault::Fault;
use davy_base::Timestamp;
use std::sync::Mutex;

/// Whether writes succeed, by the last one.
#[derive(Debug, Default)]
pub struct Health(Mutex<Option<Failing>>);

/// Writes fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// When the first write failed after the last success.
    pub since: Timestamp,
    /// Why the last one failed.
    pub message: String,
}

impl Health {
    /// Why writes fail, if the last one did.
    pub fn failing(&self) -> Option<Failing> {
        self.0.lock().expect("no panic while it is held").clone()
    }

    pub(crate) fn succeeded(&self) {
        *self.0.lock().expect("no panic while it is held") = None;
    }

    pub(crate) fn failed(&self, now: Timestamp, fault: &Fault) {
        let mut failing = self.0.lock().expect("no panic while it is held");
        let since = failing.as_ref().map_or(now, |failing| failing.since);
        *failing = Some(Failing {
            since,
            message: fault.to_string(),
        });
    }
}
