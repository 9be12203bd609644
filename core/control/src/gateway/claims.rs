//! When a waiting worker tries to claim a build: once at first, then whenever there is a newer pending one.
//!
//! All waiting workers of a process share one query, so the load of the database does not depend on their number.

use crate::problem::{Problem, failed};
use davy_base::Clock;
use davy_store::Store;
use std::time::Duration;
use tokio::sync::Mutex;

/// How long a worker waits, at most.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// How old the shared answer may be.
const AGE_MAX: Duration = Duration::from_millis(200);

/// The latest claimable build and the latest waiting terminal.
type Work = (Option<i64>, Option<String>);

/// The latest work, and when it was read.
#[derive(Default)]
pub(super) struct Claims(Mutex<Option<(Duration, Work)>>);

/// The attempts of one worker.
pub(super) struct Attempts {
    until: Duration,
    /// The latest work at the last attempt.
    seen: Work,
}

impl Claims {
    async fn latest(&self, store: &Store, clock: &Clock) -> Result<Work, Problem> {
        let mut cached = self.0.lock().await;
        let now = clock.monotonic();
        if let Some((at, latest)) = &*cached
            && now.saturating_sub(*at) < AGE_MAX
        {
            return Ok(latest.clone());
        }
        let latest = store.latest_work().await;
        let latest = latest.map_err(failed("builds"))?;
        *cached = Some((now, latest.clone()));
        Ok(latest)
    }
}

impl Attempts {
    pub(super) fn new(clock: &Clock) -> Self {
        Self {
            until: clock.monotonic().saturating_add(WAIT_MAX),
            seen: (None, None),
        }
    }

    /// Waits until the next attempt; false when the time is over.
    pub(super) async fn next(
        &mut self,
        claims: &Claims,
        store: &Store,
        clock: &Clock,
    ) -> Result<bool, Problem> {
        loop {
            let latest = claims.latest(store, clock).await?;
            let is_new = latest != (None, None) && self.seen != latest;
            self.seen = latest;
            if is_new {
                return Ok(true);
            }
            if clock.monotonic() >= self.until {
                return Ok(false);
            }
            clock.sleep(AGE_MAX).await;
        }
    }
}
