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

/// The latest claimable build, and when it was read.
#[derive(Default)]
pub(super) struct Claims(Mutex<Option<(Duration, Option<i64>)>>);

/// The attempts of one worker.
pub(super) struct Attempts {
    until: Duration,
    /// The latest claimable build at the last attempt.
    seen: Option<i64>,
}

impl Claims {
    async fn latest(&self, store: &Store, clock: &Clock) -> Result<Option<i64>, Problem> {
        let mut cached = self.0.lock().await;
        let now = clock.monotonic();
        if let Some((at, latest)) = *cached
            && now.saturating_sub(at) < AGE_MAX
        {
            return Ok(latest);
        }
        let latest = store.latest_claimable_build().await;
        let latest = latest.map_err(failed("builds"))?;
        *cached = Some((now, latest));
        Ok(latest)
    }
}

impl Attempts {
    pub(super) fn new(clock: &Clock) -> Self {
        Self {
            until: clock.monotonic().saturating_add(WAIT_MAX),
            seen: None,
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
            let is_new = latest.is_some() && self.seen != latest;
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
