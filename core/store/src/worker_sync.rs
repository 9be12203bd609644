//! The report of a worker and its response: one transaction of at most four statements, whatever the number of handles.
//!
//! The rules are those of `davy_model::sync::reconcile`; the tests compare both. The first statement locks the row
//! of the worker, so reports of one worker follow each other, and each of the later statements sees what the
//! previous report has committed.

use crate::args::args;
use crate::session::Session;
use crate::{Error, Store};
use davy_model::sync::registration;
use davy_model::{HandleKind, Report};
use sqlx::AssertSqlSafe;

/// Foreign handles that are named, at most.
const FOREIGN_MAX: u32 = 10;

/// The response to a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncOutcome {
    /// The report counts.
    Accepted {
        /// What the worker has to destroy, sorted.
        doomed: Vec<(String, HandleKind)>,
        /// The first reported handles of other workers, sorted; nothing has happened to them.
        foreign: Vec<String>,
        /// Rows of what the worker has destroyed, by kind: containers, then volumes.
        swept: [u64; 2],
    },
    /// The report was delayed, or its sender has been replaced: nothing has changed.
    Stale {
        /// The generation of the last accepted report.
        generation: i64,
    },
    /// There is no such worker, or its key was revoked.
    UnknownWorker,
}

/// The SQL in which the two databases differ.
struct Dialect {
    now: &'static str,
    /// The reported handles in `$2`, with the columns `handle` and `kind`.
    reported: &'static str,
    /// The aggregate that makes a JSON array of the column `handle`.
    array: &'static str,
}

impl Dialect {
    fn of(session: &Session) -> Self {
        let now = session.now_sql();
        if session.is_postgres() {
            Self {
                now,
                reported: "(SELECT key AS handle, value AS kind FROM json_each_text($2::json))",
                array: "COALESCE(json_agg(handle), '[]')::text",
            }
        } else {
            Self {
                now,
                reported: "(SELECT key AS handle, value AS kind FROM json_each($2))",
                array: "json_group_array(handle)",
            }
        }
    }
}

impl Store {
    /// Compares the report of a worker with the rows, updates them, and returns what the worker has to destroy.
    /// `status` is what the worker says about itself, as JSON.
    ///
    /// The report also counts as a heartbeat: a stalled worker runs again. Handles must have been checked by
    /// [`Report::check`].
    pub async fn sync_worker(
        &self,
        worker: &str,
        report: &Report,
        status: Option<&str>,
    ) -> Result<SyncOutcome, Error> {
        let of_kind = |kind| report.handles.values().filter(|of| **of == kind).count() as i64;
        let handles = serde_json::to_string(&report.handles).unwrap_or_default();
        let mut transaction = self.begin().await?;
        let Dialect {
            now,
            reported,
            array,
        } = Dialect::of(&transaction);
        let accepted: Option<(String, i64)> = transaction
            .optional(
                AssertSqlSafe(format!(
                    "UPDATE workers SET
                        generation = $3, heartbeat_at = {now}, synced_at = {now}, status = $5,
                        reported_containers = $6, reported_volumes = $7,
                        unknown_handles = u.handles,
                        unknown_at = CASE WHEN u.handles > 0 THEN {now} ELSE unknown_at END,
                        since = CASE WHEN state = 'stalled' THEN {now} ELSE since END,
                        state = CASE WHEN state = 'stalled' THEN 'running' ELSE state END,
                        foreign_handles = (SELECT {array} FROM (
                            SELECT h.handle FROM {reported} r JOIN handles h ON h.handle = r.handle
                            WHERE h.worker <> $1 ORDER BY h.handle LIMIT {FOREIGN_MAX}) f)
                     FROM (SELECT COUNT(*) AS handles FROM {reported} r
                        WHERE NOT EXISTS (SELECT 1 FROM handles h WHERE h.handle = r.handle)) u
                     WHERE name = $1 AND generation < $3 AND registration = $4 AND nonce IS NOT NULL
                     RETURNING foreign_handles, unknown_handles"
                )),
                args![
                    worker,
                    &handles,
                    report.generation,
                    registration(report.generation),
                    status,
                    of_kind(HandleKind::Container),
                    of_kind(HandleKind::Volume)
                ],
            )
            .await?;
        let Some((foreign, unknown)) = accepted else {
            let current: Option<(i64,)> = transaction
                .optional(
                    "SELECT generation FROM workers WHERE name = $1 AND nonce IS NOT NULL",
                    args![worker],
                )
                .await?;
            transaction.commit().await?;
            return Ok(match current {
                Some((generation,)) => SyncOutcome::Stale { generation },
                None => SyncOutcome::UnknownWorker,
            });
        };
        let removed: Vec<(String,)> = transaction
            .all(
                AssertSqlSafe(format!(
                    "DELETE FROM handles WHERE worker = $1 AND state = 'destroying'
                       AND handle NOT IN (SELECT handle FROM {reported} r)
                     RETURNING kind"
                )),
                args![worker, &handles],
            )
            .await?;
        // Only this worker's reports insert rows of what it has; those of its builds exist before it has them.
        if unknown > 0 {
            transaction
                .execute(
                    AssertSqlSafe(format!(
                        "INSERT INTO handles (handle, worker, kind, state, since)
                         SELECT r.handle, $1, r.kind, 'destroying', {now} FROM {reported} r
                         WHERE NOT EXISTS (SELECT 1 FROM handles h WHERE h.handle = r.handle)
                         ON CONFLICT (handle) DO NOTHING"
                    )),
                    args![worker, &handles],
                )
                .await?;
        }
        // Rows to destroy are rewritten without a change, so that the statement returns them.
        let rows: Vec<(String, String, String)> = transaction
            .all(
                AssertSqlSafe(format!(
                    "UPDATE handles SET missing_since = CASE
                        WHEN handle IN (SELECT handle FROM {reported} r) THEN NULL
                        ELSE COALESCE(missing_since, {now}) END
                     WHERE worker = $1 AND (state = 'destroying'
                        OR (missing_since IS NOT NULL AND handle IN (SELECT handle FROM {reported} r))
                        OR (missing_since IS NULL AND state = 'created'
                            AND handle NOT IN (SELECT handle FROM {reported} r)))
                     RETURNING handle, kind, state"
                )),
                args![worker, &handles],
            )
            .await?;
        transaction.commit().await?;
        let mut doomed: Vec<(String, HandleKind)> = rows
            .into_iter()
            .filter(|(_, _, state)| state == "destroying")
            .filter_map(|(handle, kind, _)| Some((handle, HandleKind::parse(&kind)?)))
            .collect();
        doomed.sort();
        let is_container = |(kind,): &&(String,)| kind == HandleKind::Container.as_str();
        let containers = removed.iter().filter(is_container).count() as u64;
        Ok(SyncOutcome::Accepted {
            swept: [containers, removed.len() as u64 - containers],
            doomed,
            foreign: serde_json::from_str(&foreign).unwrap_or_default(),
        })
    }
}
