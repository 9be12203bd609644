//! What the members `gc.*` do: they mark containers and volumes that workers have to destroy, and remove rows
//! that nobody needs.
//!
//! The rules are those of `due` in `davy_model`; the tests compare both. Every statement is a transaction that
//! changes at most `batch` rows, which it picks first. On Postgres it skips rows that another transaction holds, so it neither waits
//! for reports of workers nor makes two markers wait for each other; what was skipped is marked by the next
//! run. Rows are found by partial indices that hold only what may have to be collected.

use crate::args::args;
use crate::session::Session;
use crate::{Error, Store};
use davy_model::HandleKind;
use davy_model::build::{OVER_KEPT, PENDING_MAX};
use davy_model::handle::{CREATING_MAX, MISSING_MAX, TERMINAL_KEPT};
use davy_model::worker::{ABSENT_KEPT, HEARTBEAT_MAX};
use sqlx::AssertSqlSafe;

/// The states of a build that is over.
const OVER: &str = "('succeeded', 'failed', 'errored', 'aborted')";

/// The rows that a run has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marked {
    /// Containers or volumes that are to be destroyed from now on.
    pub doomed: u64,
    /// Containers or volumes whose creation has timed out.
    pub timed_out: u64,
    /// Rows removed: missing containers and volumes, old builds, absent workers.
    pub removed: u64,
    /// Builds or workers that were moved to another state.
    pub moved: u64,
}

impl Marked {
    /// Adds another run.
    pub fn add(&mut self, other: Self) {
        self.doomed += other.doomed;
        self.timed_out += other.timed_out;
        self.removed += other.removed;
        self.moved += other.moved;
    }

    /// Whether nothing was changed.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }
}

/// The clause that locks rows of a subquery and skips those that are locked.
fn skip_locked(session: &Session, tables: &str) -> String {
    if session.is_postgres() {
        format!("FOR UPDATE OF {tables} SKIP LOCKED")
    } else {
        String::new()
    }
}

impl Store {
    /// Marks one batch of containers (`gc.containers`).
    pub async fn mark_containers(&self, batch: u32) -> Result<Marked, Error> {
        let mut session = self.session().await?;
        let removed = expire(&mut session, HandleKind::Container, batch).await?;
        let (now, locked) = (session.now_sql(), skip_locked(&session, "h"));
        let live = format!(
            "h.kind = 'container' AND h.state IN ('creating', 'created')
             AND (h.terminal_at IS NULL OR h.terminal_at <= {now} - $2)"
        );
        // Postgres has to look up the live rows of each build by the index: it would rather read all rows for each batch.
        let of_front = if session.is_postgres() {
            format!(
                "SELECT h.handle FROM front b CROSS JOIN LATERAL
                    (SELECT h.handle FROM handles h WHERE h.build = b.id AND {live} LIMIT $1 {locked}) h
                 LIMIT $1"
            )
        } else {
            format!(
                "SELECT h.handle FROM front b JOIN handles h ON h.build = b.id
                 WHERE {live} LIMIT $1"
            )
        };
        let front = front("");
        // Of builds that are over, and of none, for example because the row of the build was removed.
        let mut doomed = session
            .execute(
                AssertSqlSafe(format!(
                    "WITH front AS MATERIALIZED ({front}), picked AS MATERIALIZED ({of_front})
                     UPDATE handles SET state = 'destroying', since = {now}, missing_since = NULL
                     WHERE handle IN (SELECT handle FROM picked)"
                )),
                args![batch, TERMINAL_KEPT],
            )
            .await?;
        doomed += session
            .execute(
                AssertSqlSafe(format!(
                    "WITH picked AS MATERIALIZED (SELECT h.handle FROM handles h
                         WHERE h.build IS NULL AND h.container IS NULL AND {live}
                         LIMIT $1 {locked})
                     UPDATE handles SET state = 'destroying', since = {now}, missing_since = NULL
                     WHERE handle IN (SELECT handle FROM picked)"
                )),
                args![batch, TERMINAL_KEPT],
            )
            .await?;
        // What is marked is not looked at again by the next batch.
        let moved = release(&mut session, batch).await?;
        let mut marked =
            settle(&mut session, HandleKind::Container, batch, removed, doomed).await?;
        marked.moved += moved;
        Ok(marked)
    }

    /// Marks one batch of volumes (`gc.volumes`): those that no container uses and no volume is a copy of.
    pub async fn mark_volumes(&self, batch: u32) -> Result<Marked, Error> {
        let mut session = self.session().await?;
        let removed = expire(&mut session, HandleKind::Volume, batch).await?;
        let (now, locked) = (session.now_sql(), skip_locked(&session, "h"));
        let doomed = session
            .execute(
                AssertSqlSafe(format!(
                    "WITH picked AS MATERIALIZED (SELECT h.handle FROM handles h
                         WHERE h.kind = 'volume' AND h.build IS NULL AND h.container IS NULL
                         AND h.state IN ('creating', 'created')
                         AND NOT EXISTS (SELECT 1 FROM handles c WHERE c.parent = h.handle)
                         LIMIT $1 {locked})
                     UPDATE handles SET state = 'destroying', since = {now}, missing_since = NULL
                     WHERE handle IN (SELECT handle FROM picked)"
                )),
                args![batch],
            )
            .await?;
        settle(&mut session, HandleKind::Volume, batch, removed, doomed).await
    }

    /// Moves one batch of builds on (`gc.builds`): builds that waited or were silent for too long become `errored`,
    /// and old ones are removed with their logs.
    pub async fn mark_builds(&self, batch: u32) -> Result<Marked, Error> {
        let mut session = self.session().await?;
        let (now, locked) = (session.now_sql(), skip_locked(&session, "b"));
        let mut moved = session
            .execute(
                AssertSqlSafe(format!(
                    "WITH picked AS MATERIALIZED (SELECT b.id FROM builds b
                         WHERE b.state = 'pending' AND b.since <= {now} - $2
                         LIMIT $1 {locked})
                     UPDATE builds SET state = 'errored', since = {now}, error = CASE WHEN is_ready
                        THEN 'no fitting worker claimed the build in time'
                        ELSE 'the inputs were not uploaded in time' END
                     WHERE id IN (SELECT id FROM picked)"
                )),
                args![batch, PENDING_MAX],
            )
            .await?;
        moved += session
            .execute(
                AssertSqlSafe(format!(
                    "WITH picked AS MATERIALIZED (SELECT b.id FROM builds b
                         WHERE b.state = 'started' AND b.lease_until <= {now}
                         LIMIT $1 {locked})
                     UPDATE builds SET since = {now},
                        state = CASE WHEN is_abort_requested THEN 'aborted' ELSE 'errored' END,
                        error = 'worker ' || worker || ' did not report about the task in time'
                     WHERE id IN (SELECT id FROM picked)"
                )),
                args![batch],
            )
            .await?;
        release(&mut session, batch).await?;
        let removed = session
            .execute(
                AssertSqlSafe(format!(
                    "WITH picked AS MATERIALIZED (SELECT b.id FROM builds b
                         WHERE b.is_released AND NOT b.has_objects AND b.since <= {now} - $2
                         ORDER BY b.since
                         LIMIT $1 {locked})
                     DELETE FROM builds
                     WHERE id IN (SELECT id FROM picked)"
                )),
                args![batch, OVER_KEPT],
            )
            .await?;
        Ok(Marked {
            removed,
            moved,
            ..Marked::default()
        })
    }

    /// Moves one batch of workers on (`gc.workers`): silent workers stall, drained ones land or are removed, and
    /// those that are absent for too long are removed with the rows of what they had.
    pub async fn mark_workers(&self, batch: u32) -> Result<Marked, Error> {
        let mut session = self.session().await?;
        let (now, locked) = (session.now_sql(), skip_locked(&session, "w"));
        let drained =
            "NOT EXISTS (SELECT 1 FROM builds b WHERE b.worker = w.name AND b.state = 'started')";
        let silent = format!("w.heartbeat_at <= {now} - {HEARTBEAT_MAX}");
        // Removed with its rows; `retiring` with neither builds nor handles is removed below as well.
        let gone = format!(
            "((w.state = 'running' AND w.is_ephemeral AND {silent})
              OR (w.state = 'retiring' AND {drained} AND {silent})
              OR (w.state IN ('stalled', 'landed') AND w.since <= {now} - {ABSENT_KEPT}))"
        );
        let mut moved = session
            .execute(
                AssertSqlSafe(format!(
                    "WITH picked AS MATERIALIZED (SELECT w.name FROM workers w
                         WHERE w.state = 'landing' AND {drained}
                         LIMIT $1 {locked})
                     UPDATE workers SET state = 'landed', since = {now}
                     WHERE name IN (SELECT name FROM picked)"
                )),
                args![batch],
            )
            .await?;
        moved += session
            .execute(
                AssertSqlSafe(format!(
                    "WITH picked AS MATERIALIZED (SELECT w.name FROM workers w
                         WHERE w.state = 'running' AND NOT w.is_ephemeral AND {silent}
                         LIMIT $1 {locked})
                     UPDATE workers SET state = 'stalled', since = {now}
                     WHERE name IN (SELECT name FROM picked)"
                )),
                args![batch],
            )
            .await?;
        let both = skip_locked(&session, "h, w");
        let mut removed = session
            .execute(
                AssertSqlSafe(format!(
                    "WITH picked AS MATERIALIZED (SELECT h.handle
                         FROM workers w JOIN handles h ON h.worker = w.name
                         WHERE {gone}
                         LIMIT $1 {both})
                     DELETE FROM handles
                     WHERE handle IN (SELECT handle FROM picked)"
                )),
                args![batch],
            )
            .await?;
        removed += session
            .execute(
                AssertSqlSafe(format!(
                    "WITH picked AS MATERIALIZED (SELECT w.name FROM workers w
                         WHERE ({gone} OR (w.state = 'retiring' AND {drained}))
                         AND NOT EXISTS (SELECT 1 FROM handles h WHERE h.worker = w.name)
                         LIMIT $1 {locked})
                     DELETE FROM workers
                     WHERE name IN (SELECT name FROM picked)"
                )),
                args![batch],
            )
            .await?;
        // Keys that were revoked long ago, of workers that are gone.
        removed += session
            .execute(
                AssertSqlSafe(format!(
                    "WITH picked AS MATERIALIZED (SELECT k.worker FROM worker_keys k
                         WHERE k.revoked_at <= {now} - {ABSENT_KEPT}
                         AND NOT EXISTS (SELECT 1 FROM workers w WHERE w.name = k.worker)
                         LIMIT $1)
                     DELETE FROM worker_keys
                     WHERE worker IN (SELECT worker FROM picked)"
                )),
                args![batch],
            )
            .await?;
        Ok(Marked {
            removed,
            moved,
            ..Marked::default()
        })
    }
}

/// The first builds that are over and not released, `$1` at most, in the order of the index of exactly these. A batch looks
/// at no others, so that its cost does not depend on how many there are. One stays in front only while its container is
/// in use by a terminal or locked.
fn front(locked: &str) -> String {
    format!(
        "SELECT b.id FROM builds b WHERE NOT b.is_released AND b.state IN {OVER}
         ORDER BY b.id LIMIT $1 {locked}"
    )
}

/// Releases those builds of the front that have no container which is not doomed.
async fn release(session: &mut Session, batch: u32) -> Result<u64, Error> {
    let front = front(&skip_locked(session, "b"));
    session
        .execute(
            AssertSqlSafe(format!(
                "WITH front AS MATERIALIZED ({front})
                 UPDATE builds SET is_released = TRUE
                 WHERE id IN (SELECT f.id FROM front f
                    WHERE NOT EXISTS (SELECT 1 FROM handles h WHERE h.build = f.id
                        AND h.state IN ('creating', 'created')))"
            )),
            args![batch],
        )
        .await
}

/// Removes created rows that reports lacked for too long. The worker's row is locked too, so that no report of
/// it is in progress: both may delete containers, which changes the rows of their volumes.
async fn expire(session: &mut Session, kind: HandleKind, batch: u32) -> Result<u64, Error> {
    let locked = skip_locked(session, "h, w");
    session
        .execute(
            AssertSqlSafe(format!(
                "WITH picked AS MATERIALIZED (SELECT h.handle
                         FROM handles h JOIN workers w ON w.name = h.worker
                         WHERE h.missing_since IS NOT NULL AND h.kind = $2 AND h.state = 'created'
                         AND w.state <> 'stalled' AND h.missing_since <= w.synced_at - $3
                         LIMIT $1 {locked})
                     DELETE FROM handles
                     WHERE handle IN (SELECT handle FROM picked)"
            )),
            args![batch, kind.as_str(), MISSING_MAX],
        )
        .await
}

/// Dooms failed rows, and fails those whose creation has timed out.
async fn settle(
    session: &mut Session,
    kind: HandleKind,
    batch: u32,
    removed: u64,
    doomed: u64,
) -> Result<Marked, Error> {
    let (now, locked) = (session.now_sql(), skip_locked(session, "h"));
    let discarded = session
        .execute(
            AssertSqlSafe(format!(
                "WITH picked AS MATERIALIZED (SELECT h.handle FROM handles h
                         WHERE h.kind = $2 AND h.state = 'failed'
                         LIMIT $1 {locked})
                     UPDATE handles SET state = 'destroying', since = {now}, missing_since = NULL
                     WHERE handle IN (SELECT handle FROM picked)"
            )),
            args![batch, kind.as_str()],
        )
        .await?;
    let timed_out = session
        .execute(
            AssertSqlSafe(format!(
                "WITH picked AS MATERIALIZED (SELECT h.handle FROM handles h
                         WHERE h.kind = $2 AND h.state = 'creating' AND h.since <= {now} - $3
                         LIMIT $1 {locked})
                     UPDATE handles SET state = 'failed', since = {now}, missing_since = NULL
                     WHERE handle IN (SELECT handle FROM picked)"
            )),
            args![batch, kind.as_str(), CREATING_MAX],
        )
        .await?;
    Ok(Marked {
        doomed: doomed + discarded,
        timed_out,
        removed,
        moved: 0,
    })
}
