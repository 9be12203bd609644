//! Whether writes to the bucket succeed.

use crate::fault::Fault;
use davy_base::Timestamp;
use tokio::sync::watch;

/// Whether the last write succeeded.
#[derive(Debug, Default)]
pub struct Health(watch::Sender<Option<Failing>>);

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
        self.0.borrow().clone()
    }

    /// Returns when writes fail.
    pub async fn fails(&self) {
        let mut failing = self.0.subscribe();
        // The sender exists as long as `self`, so this cannot fail.
        let _ = failing.wait_for(Option::is_some).await;
    }

    pub(crate) fn succeeded(&self) {
        self.0.send_if_modified(|failing| failing.take().is_some());
    }

    pub(crate) fn failed(&self, now: Timestamp, fault: &Fault) {
        self.0.send_modify(|failing| {
            let since = failing.as_ref().map_or(now, |failing| failing.since);
            *failing = Some(Failing {
                since,
                message: fault.to_string(),
            });
        });
    }
}
