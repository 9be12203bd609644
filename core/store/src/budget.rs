//! How many connections a member may use at once.

use crate::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a query waits for a connection of its budget.
const WAIT_MAX: Duration = Duration::from_secs(3);

/// One member's share of the pool. Budgets may add up to more than the pool holds.
#[derive(Debug)]
pub(crate) struct Budget {
    pub(crate) member: Arc<str>,
    pub(crate) connections: u32,
    permits: Arc<Semaphore>,
    waiting: AtomicU32,
    refused: AtomicU64,
}

/// Counts its owner among those who wait, even if it is dropped while it waits.
struct Waiting<'a>(&'a AtomicU32);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicU32) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Budget {
    pub(crate) fn new(member: &str, connections: u32) -> Self {
        let connections = connections.max(1);
        Self {
            member: member.into(),
            connections,
            permits: Arc::new(Semaphore::new(connections as usize)),
            waiting: AtomicU32::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// The right to one connection, held until it is dropped.
    pub(crate) async fn take(&self) -> Result<OwnedSemaphorePermit, Error> {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(permit);
        }
        let _waiting = Waiting::new(&self.waiting);
        let waited = tokio::time::timeout(WAIT_MAX, Arc::clone(&self.permits).acquire_owned());
        // The semaphore is never closed, so the only error is that the time is over.
        if let Ok(Ok(permit)) = waited.await {
            return Ok(permit);
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
        Err(Error::Budget {
            member: self.member.to_string(),
            connections: self.connections,
            seconds: WAIT_MAX.as_secs(),
        })
    }

    pub(crate) fn in_use(&self) -> u32 {
        self.connections
            .saturating_sub(self.permits.available_permits() as u32)
    }

    pub(crate) fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }

    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_spent_budget_is_waited_for_and_then_named() {
        let budget = Budget::new("scanner", 1);
        let held = budget.take().await.expect("the first is free");
        assert_eq!((budget.in_use(), budget.waiting()), (1, 0));
        let error = budget.take().await.expect_err("the only one is taken");
        assert!(
            error.to_string().contains("\"scanner\" waited 3 s"),
            "{error}"
        );
        assert_eq!((budget.waiting(), budget.refused()), (0, 1));
        drop(held);
        let _again = budget.take().await.expect("it was given back");
    }
}
