//! The report of a worker and its response: one transaction of at most four statements, whatever the number of handles.
//!
//! The rules are those of `davy_model::sync::reconcile`; the tests compare both. The first statement locks the row
//! of the worker, so reports of one worker follow each other, and each of the later statements sees what the
//! previous report has committed.

use crate::args::{Value, args};
use crate::session::Session;
use crate::{Error, Store};
use davy_model::sync::{Part, registration};
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

/// The SQL in which the two databases differ. `$1` is the worker.
struct Dialect {
    now: &'static str,
    /// The reported handles in `$2`, with the columns `handle` and `kind`.
    reported: &'static str,
    /// Compares the report with the rows: the number `unknown` of handles without a row, and the JSON array `foreigners` of
    /// the first handles of other workers.
    compared: String,
    /// Notes what is missing, and returns what is doomed.
    noted: String,
    /// What is concluded from the absence of a handle holds for these rows only.
    covered: &'static str,
}

/// Unknown handles that a report adds, at most; the next reports add the others. Postgres takes about a second for them, and
/// ends a statement after eight.
const UNKNOWN_MAX: u32 = 20_000;

/// On Postgres the state of doomed rows is compared so that no index is used for it: while a storm of garbage is collected,
/// the planner takes `destroying` for rare, and would read the doomed rows of all workers for the report of each one.
const DOOMED: &str = "(state || '') = 'destroying'";

impl Dialect {
    fn of(session: &Session, part: Option<&Part>) -> Self {
        let now = session.now_sql();
        // Handles are compared by their bytes in both databases.
        let covered = match part {
            None => "",
            Some(Part { until: None, .. }) => " AND handle > $3",
            Some(Part { until: Some(_), .. }) => " AND handle > $3 AND handle <= $4",
        };
        if session.is_postgres() {
            // The report is parsed once in each statement. Most handles are the worker's own, so only the others are
            // looked up one by one.
            let reported = "(SELECT key AS handle, value AS kind FROM json_each_text($2::json))";
            let last = FOREIGN_MAX;
            Self {
                now,
                reported,
                compared: format!(
                    "(SELECT COUNT(*) FILTER (WHERE h.handle IS NULL) AS unknown,
                        to_json(COALESCE((array_agg(h.handle ORDER BY h.handle)
                            FILTER (WHERE h.handle IS NOT NULL))[1:{last}], '{{}}'))::text AS foreigners
                     FROM (SELECT handle FROM {reported} r
                        WHERE handle NOT IN (SELECT handle FROM handles WHERE worker = $1)) o
                     LEFT JOIN handles h ON h.handle = o.handle)"
                ),
                noted: format!(
                    "WITH reported AS MATERIALIZED {reported},
                     noted AS (UPDATE handles SET missing_since = CASE WHEN missing_since IS NULL THEN {now} END
                        WHERE worker = $1 AND state <> 'destroying'
                        AND ((missing_since IS NOT NULL AND handle IN (SELECT handle FROM reported))
                          OR (missing_since IS NULL AND state = 'created'
                            AND handle NOT IN (SELECT handle FROM reported){covered})))
                     SELECT handle, kind, state FROM handles WHERE worker = $1 AND {DOOMED}"
                ),
                covered,
            }
        } else {
            let reported = "(SELECT key AS handle, value AS kind FROM json_each($2))";
            Self {
                now,
                reported,
                compared: format!(
                    "(SELECT (SELECT COUNT(*) FROM {reported} r
                            WHERE NOT EXISTS (SELECT 1 FROM handles h WHERE h.handle = r.handle)) AS unknown,
                        (SELECT json_group_array(handle) FROM (
                            SELECT h.handle FROM {reported} r JOIN handles h ON h.handle = r.handle
                            WHERE h.worker <> $1 ORDER BY h.handle LIMIT {FOREIGN_MAX})) AS foreigners)"
                ),
                // Rows to destroy are rewritten, so that the statement returns them; time does not matter to them.
                noted: format!(
                    "UPDATE handles SET missing_since = CASE
                        WHEN handle IN (SELECT handle FROM {reported} r) THEN NULL
                        WHEN state = 'destroying' THEN missing_since
                        ELSE COALESCE(missing_since, {now}) END
                     WHERE worker = $1 AND (state = 'destroying'
                        OR (missing_since IS NOT NULL AND handle IN (SELECT handle FROM {reported} r))
                        OR (missing_since IS NULL AND state = 'created'
                            AND handle NOT IN (SELECT handle FROM {reported} r){covered}))
                     RETURNING handle, kind, state"
                ),
                covered,
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
        let handles = serde_json::to_string(&report.handles).unwrap_or_default();
        let mut transaction = self.begin().await?;
        let Dialect {
            now,
            reported,
            compared,
            noted,
            covered,
        } = Dialect::of(&transaction, report.part.as_ref());
        let [containers, volumes] = report.totals().map(|count| count as i64);
        // The worker, its handles, and the ends of the part.
        let mut values = args![worker, &handles].to_vec();
        if let Some(part) = &report.part {
            values.push((&part.after).into());
            values.extend(part.until.as_ref().map(Value::from));
        }
        let accepted: Option<(String, i64)> = transaction
            .optional(
                AssertSqlSafe(format!(
                    "UPDATE workers SET
                        generation = $3, heartbeat_at = {now}, synced_at = {now}, status = $5,
                        reported_containers = $6, reported_volumes = $7,
                        unknown_handles = c.unknown,
                        unknown_at = CASE WHEN c.unknown > 0 THEN {now} ELSE unknown_at END,
                        since = CASE WHEN state = 'stalled' THEN {now} ELSE since END,
                        state = CASE WHEN state = 'stalled' THEN 'running' ELSE state END,
                        foreign_handles = c.foreigners
                     FROM {compared} c
                     WHERE name = $1 AND generation < $3 AND registration = $4 AND nonce IS NOT NULL
                     RETURNING foreign_handles, unknown_handles"
                )),
                args![
                    worker,
                    &handles,
                    report.generation,
                    registration(report.generation),
                    status,
                    containers,
                    volumes
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
                    "DELETE FROM handles WHERE worker = $1 AND {DOOMED}
                       AND handle NOT IN (SELECT handle FROM {reported} r){covered}
                     RETURNING kind"
                )),
                &values,
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
                         LIMIT {UNKNOWN_MAX} ON CONFLICT (handle) DO NOTHING"
                    )),
                    args![worker, &handles],
                )
                .await?;
        }
        let rows: Vec<(String, String, String)> =
            transaction.all(AssertSqlSafe(noted), &values).await?;
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
