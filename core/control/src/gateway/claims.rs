//! When a waiting worker tries to claim a build: once at first, then whenever there is a newer pending one.
//!
//! All waiting workers of a process share one query, so the load of the database does not depend on their number.

use super::{Gateway, failed};
use crate::problem::Problem;
use davy_base::Clock;
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
    async fn latest(&self, gateway: &Gateway) -> Result<Option<i64>, Problem> {
        let mut cached = self.0.lock().await;
        let now = gateway.clock.monotonic();
        if let Some((at, latest)) = *cached
            && now.saturating_sub(at) < AGE_MAX
        {
            return Ok(latest);
        }
        let latest = gateway.store.latest_claimable_build().await;
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
    pub(super) async fn next(&mut self, gateway: &Gateway) -> Result<bool, Problem> {
        loop {
            let latest = gateway.claims.latest(gateway).await?;
            let is_new = latest.is_some() && self.seen != latest;
            self.seen = latest;
            if is_new {
                return Ok(true);
            }
            if gateway.clock.monotonic() >= self.until {
                return Ok(false);
            }
            gateway.clock.sleep(AGE_MAX).await;
        }
    }
}
