//! Limits on the connections that a member uses at the same time.

use crate::Error;
use davy_base::Clock;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a query waits for a connection of its budget before it fails.
const WAIT_MAX: Duration = Duration::from_secs(3);

/// One member's share of the pool. The sum of all budgets may exceed the size of the pool.
#[derive(Debug)]
pub(crate) struct Budget {
    pub(crate) member: Arc<str>,
    pub(crate) connections: u32,
    clock: Clock,
    permits: Arc<Semaphore>,
    waiting: AtomicU32,
    refused: AtomicU64,
}

/// Counts one waiting query for as long as it exists, so that a cancelled query is no longer counted.
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
    pub(crate) fn new(member: &str, connections: u32, clock: Clock) -> Self {
        let connections = connections.max(1);
        Self {
            member: member.into(),
            connections,
            clock,
            permits: Arc::new(Semaphore::new(connections as usize)),
            waiting: AtomicU32::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// A permit for one connection, released when it is dropped.
    pub(crate) async fn take(&self) -> Result<OwnedSemaphorePermit, Error> {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(permit);
        }
        let _waiting = Waiting::new(&self.waiting);
        let permit = Arc::clone(&self.permits).acquire_owned();
        // The semaphore is never closed, so the only error is the timeout.
        if let Ok(Ok(permit)) = self.clock.timeout(WAIT_MAX, permit).await {
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
    use davy_base::Timestamp;

    #[tokio::test(start_paused = true)]
    async fn query_fails_after_waiting_three_seconds_for_an_exhausted_budget() {
        let clock = Clock::tokio(Timestamp::EPOCH);
        let budget = Budget::new("scanner", 1, clock.clone());
        let held = budget.take().await.expect("the budget is unused");
        assert_eq!((budget.in_use(), budget.waiting()), (1, 0));
        let error = budget.take().await.expect_err("the budget is exhausted");
        assert!(matches!(error, Error::Budget { seconds: 3, .. }), "{error}");
        assert_eq!(clock.monotonic(), WAIT_MAX);
        assert_eq!((budget.waiting(), budget.refused()), (0, 1));
        drop(held);
        let _again = budget.take().await.expect("the permit was released");
    }
}
