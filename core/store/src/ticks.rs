//! Periodic work that runs once in the fleet.
//!
//! Who wants to run a tick claims it: a lease with an end, and a fence, a number that grows at every
//! claim. Whoever lets the lease run out may still believe that it has the work, but everything that
//! it says from then on carries an old fence and is refused once somebody else has claimed.

use crate::args::args;
use crate::listen::WAKE;
use crate::{Error, Store};
use serde::Serialize;

/// The right to run a tick, until its lease ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Which claim of this tick it is; grows with each.
    pub fence: i64,
    /// When the right ends, in milliseconds since 1970 UTC.
    pub lease_until: i64,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It did its work.
    Done,
    /// It said that it failed.
    Failed,
    /// It took longer than it may.
    TimedOut,
    /// Its process was asked to stop before it was done; the tick is due again at once.
    Stopped,
}

impl Outcome {
    /// As it stands in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::TimedOut => "timed-out",
            Self::Stopped => "stopped",
        }
    }
}

/// A tick as it stands. Times are milliseconds since 1970 UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct Tick {
    /// The periodic member.
    pub name: String,
    /// From one start to the next, in milliseconds; 0 before the first claim.
    pub interval_ms: i64,
    /// The first claim.
    pub known_since: Option<i64>,
    /// Who runs it, or ran it last.
    pub holder: Option<String>,
    /// Claims so far.
    pub fence: i64,
    /// The end of the lease; none while nobody runs it.
    pub lease_until: Option<i64>,
    /// The start of the latest run.
    pub started_at: Option<i64>,
    /// The end of the latest run; none while it runs and after it was cut off.
    pub finished_at: Option<i64>,
    /// The end of the latest run that did its work.
    pub last_run: Option<i64>,
    /// How the latest run that ended did: the text of an [`Outcome`].
    pub outcome: Option<String>,
    /// What that run says went wrong.
    pub error: Option<String>,
    /// How long that run took, in milliseconds.
    pub duration_ms: Option<i64>,
    /// Whether somebody wants a run before the interval is over.
    pub woken: bool,
}

impl Tick {
    /// Whether it has done nothing for more than twice its interval. A tick that nobody has ever
    /// claimed has no interval and is never stale.
    pub fn is_stale(&self, now: i64) -> bool {
        let Some(since) = self.last_run.or(self.known_since) else {
            return false;
        };
        now.saturating_sub(since) > self.interval_ms.saturating_mul(2)
    }
}

impl Store {
    /// Claims a tick for `holder` at `now`, for `lease` milliseconds: if nobody has a live lease on
    /// it, and it is due. It is due when `interval` milliseconds have passed since its last start,
    /// when it was woken since, and when its last run never ended. None otherwise.
    ///
    /// Of any number who ask at once one gets it: both databases lock the row before they judge it.
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

    /// Moves the end of a lease to `until` (milliseconds since 1970 UTC). False: somebody else has
    /// claimed the tick since, or the run is over; stop working on it.
    ///
    /// A holder that is late, but after whom nobody came, keeps its lease.
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

    /// Ends a run at `now` and gives the lease back. False, and nothing is written, if the lease has
    /// run out or somebody else has claimed the tick since: whatever this run did, it does not count
    /// and is done again.
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

    /// Wants a run of the tick as soon as may be. While it runs this is remembered, and it runs once
    /// more: what it is woken for may have come too late for the run that is under way. On Postgres,
    /// listeners of [`WAKE`] are told the name.
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

    /// All ticks, by name.
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

    /// Forgets the ticks whose last start is before `before` (milliseconds since 1970 UTC) and that
    /// nobody has a lease on: members that are no more. Gives how many those were.
    pub async fn forget_ticks(&self, before: i64) -> Result<u64, Error> {
        self.session()
            .await?
            .execute(
                "DELETE FROM ticks WHERE started_at < $1 AND (lease_until IS NULL OR lease_until < $1)",
                args![before],
            )
            .await
    }
}
