//! Periodic work that runs once in the fleet.
//!
//! A process claims a due tick and gets a lease, which expires, and a fencing token, which increases
//! with every claim. A process may continue without noticing that its lease has expired; its later calls
//! carry an old token and are rejected once another process has claimed the tick.
//!
//! Callers read the current time from [`Store::now`], so that all of them use the database's clock.

use crate::args::args;
use crate::listen::WAKE;
use crate::{Error, Store};
use serde::Serialize;

/// A claimed tick: the lease and its fencing token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The fencing token: the number of this claim of the tick.
    pub fence: i64,
    /// When the lease expires, in milliseconds since 1970 UTC.
    pub lease_until: i64,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The work was done.
    Done,
    /// The run returned an error or panicked.
    Failed,
    /// The run exceeded its time limit.
    TimedOut,
    /// The process stopped before the run was done; the tick is due again immediately.
    Stopped,
}

impl Outcome {
    /// Its representation in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::TimedOut => "timed-out",
            Self::Stopped => "stopped",
        }
    }
}

/// A row of `ticks`. Times are milliseconds since 1970 UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct Tick {
    /// The name of the periodic member.
    pub name: String,
    /// From the start of one run to the start of the next, in milliseconds; 0 before the first claim.
    pub interval_ms: i64,
    /// The time of the first claim.
    pub known_since: Option<i64>,
    /// The process that claimed it last.
    pub holder: Option<String>,
    /// The latest fencing token, which is the number of claims.
    pub fence: i64,
    /// When the lease expires; `None` if no process holds one.
    pub lease_until: Option<i64>,
    /// The start of the latest run.
    pub started_at: Option<i64>,
    /// The end of the latest run; `None` while it runs, and if it was stopped or never finished.
    pub finished_at: Option<i64>,
    /// The end of the latest successful run.
    pub last_run: Option<i64>,
    /// The outcome of the latest finished run, as [`Outcome::as_str`].
    pub outcome: Option<String>,
    /// The error of that run.
    pub error: Option<String>,
    /// The duration of that run, in milliseconds.
    pub duration_ms: Option<i64>,
    /// Whether a run was requested before the interval has passed.
    pub woken: bool,
}

impl Tick {
    /// Whether the last success, or else the first claim, is more than two intervals ago. A tick that
    /// was never claimed has no interval and is never stale. `now` is the database's time.
    pub fn is_stale(&self, now: i64) -> bool {
        let Some(since) = self.last_run.or(self.known_since) else {
            return false;
        };
        now.saturating_sub(since) > self.interval_ms.saturating_mul(2)
    }
}

impl Store {
    /// Claims a tick for `holder` with a lease of `lease` milliseconds from `now`. Returns `None` unless
    /// the tick is due and no process holds a live lease on it. It is due when `interval` milliseconds have
    /// passed since its last start, when it was woken since, and when its last run never finished.
    ///
    /// Of several concurrent claims one succeeds: both databases evaluate the condition while they hold
    /// the lock on the row.
    pub async fn claim(
        &self,
        name: &str,
        holder: &str,
        now: i64,
        interval: i64,
        lease: i64,
    ) -> Result<Option<Claim>, Error> {
        let lease_until = now.saturating_add(lease);
        let fence: Option<(i64,)> = self
            .session()
            .await?
            .optional(
                "INSERT INTO ticks
                    (name, interval_ms, known_since, holder, fence, lease_until, started_at, woken)
                 VALUES ($1, $2, $3, $4, 1, $5, $3, FALSE)
                 ON CONFLICT (name) DO UPDATE SET
                    interval_ms = excluded.interval_ms,
                    known_since = COALESCE(ticks.known_since, excluded.known_since),
                    holder = excluded.holder,
                    fence = ticks.fence + 1,
                    lease_until = excluded.lease_until,
                    started_at = excluded.started_at,
                    finished_at = NULL,
                    woken = FALSE
                 WHERE (ticks.lease_until IS NULL OR ticks.lease_until <= $3)
                   AND (ticks.woken OR ticks.finished_at IS NULL OR ticks.started_at + $2 <= $3)
                 RETURNING fence",
                args![name, interval, now, holder, lease_until],
            )
            .await?;
        Ok(fence.map(|(fence,)| Claim { fence, lease_until }))
    }

    /// Extends a lease to `until` (milliseconds since 1970 UTC). Returns false if another process has
    /// claimed the tick or the run is finished; the caller must stop working on it.
    ///
    /// An expired lease can be extended as long as no other process has claimed the tick.
    pub async fn renew(&self, name: &str, fence: i64, until: i64) -> Result<bool, Error> {
        let rows = self
            .session()
            .await?
            .execute(
                "UPDATE ticks SET lease_until = $3
                 WHERE name = $1 AND fence = $2 AND lease_until IS NOT NULL",
                args![name, fence, until],
            )
            .await?;
        Ok(rows > 0)
    }

    /// Finishes a run at `now` and releases its lease. Returns false and writes nothing if the lease has
    /// expired or another process has claimed the tick: the run does not count and is repeated.
    pub async fn finish(
        &self,
        name: &str,
        fence: i64,
        now: i64,
        outcome: Outcome,
        error: Option<&str>,
    ) -> Result<bool, Error> {
        let rows = self
            .session()
            .await?
            .execute(
                "UPDATE ticks SET
                    lease_until = NULL,
                    finished_at = CASE WHEN $6 THEN NULL ELSE $3 END,
                    last_run = CASE WHEN $7 THEN $3 ELSE last_run END,
                    duration_ms = $3 - started_at,
                    outcome = $4,
                    error = $5
                 WHERE name = $1 AND fence = $2 AND lease_until > $3",
                args![
                    name,
                    fence,
                    now,
                    outcome.as_str(),
                    error,
                    outcome == Outcome::Stopped,
                    outcome == Outcome::Done
                ],
            )
            .await?;
        Ok(rows > 0)
    }

    /// Requests a run of the tick as soon as possible. If a run is in progress, another one follows it,
    /// because the current one may have missed the reason for the request. On Postgres, listeners of
    /// [`WAKE`] receive the name.
    pub async fn wake(&self, name: &str) -> Result<(), Error> {
        let mut transaction = self.begin().await?;
        transaction
            .execute(
                "INSERT INTO ticks (name, interval_ms, fence, woken) VALUES ($1, 0, 0, TRUE)
                 ON CONFLICT (name) DO UPDATE SET woken = TRUE",
                args![name],
            )
            .await?;
        transaction.notify(WAKE, name).await?;
        transaction.commit().await
    }

    /// All ticks, sorted by name.
    pub async fn ticks(&self) -> Result<Vec<Tick>, Error> {
        self.session()
            .await?
            .all(
                "SELECT name, interval_ms, known_since, holder, fence, lease_until, started_at,
                        finished_at, last_run, outcome, error, duration_ms, woken
                 FROM ticks ORDER BY name",
                args![],
            )
            .await
    }

    /// Deletes the ticks that were last started before `before` (milliseconds since 1970 UTC) and whose
    /// lease has expired: those of members that no longer exist. Returns their number.
    pub async fn delete_ticks_before(&self, before: i64) -> Result<u64, Error> {
        self.session()
            .await?
            .execute(
                "DELETE FROM ticks WHERE started_at < $1 AND (lease_until IS NULL OR lease_until < $1)",
                args![before],
            )
            .await
    }
}
