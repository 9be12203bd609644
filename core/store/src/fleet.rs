//! What the page Fleet and the metrics show: workers, their sums, and what the collectors still have to do.

use crate::args::args;
use crate::workers::WorkerRow;
use crate::{Error, Store};
use davy_model::WorkerState;
use davy_model::build::PENDING_MAX;
use davy_model::worker::HEARTBEAT_MAX;
use serde::Serialize;
use sqlx::AssertSqlSafe;

/// Rows that a backlog counts, at most.
pub const BACKLOG_MAX: u32 = 100_000;

/// The states of a build that is over.
const OVER: &str = "('succeeded', 'failed', 'errored', 'aborted')";

/// The workers in one state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct WorkerSum {
    /// The state, as `davy_model::WorkerState`.
    pub state: String,
    /// How many there are.
    pub workers: i64,
    /// Builds that they may run at the same time.
    pub capacity: i64,
    /// Containers in their last reports.
    pub containers: i64,
    /// Volumes in their last reports.
    pub volumes: i64,
}

/// Builds that are not over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct BuildSums {
    /// Builds that wait for a worker.
    pub pending: i64,
    /// Builds that run.
    pub started: i64,
    /// When the build that has waited for longest was created.
    pub pending_since: Option<i64>,
}

/// What a collector still has to do. Counts stop at [`BACKLOG_MAX`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct Backlog {
    /// Rows that the next run of the collector changes.
    pub due: i64,
    /// Rows that are marked, and that workers have to destroy.
    pub doomed: i64,
    /// When the oldest of these was marked.
    pub doomed_since: Option<i64>,
}

/// The file system of a worker, and its process.
#[derive(Clone, Copy, Debug)]
pub struct WorkerUsage<'a> {
    /// The id of the process, new at each start.
    pub process: &'a str,
    /// The machine's name.
    pub host: &'a str,
    /// The unix process id.
    pub pid: u32,
    /// The version of Davy.
    pub version: &'a str,
    /// The report of the process, as JSON.
    pub report: &'a str,
    /// The size of the file system of its folder, in bytes.
    pub disk_bytes: Option<i64>,
    /// What is free there, in bytes.
    pub disk_free_bytes: Option<i64>,
}

impl Store {
    /// Workers after a name, sorted by name.
    pub async fn workers(&self, after: &str, limit: u32) -> Result<Vec<WorkerRow>, Error> {
        self.workers_in(None, after, limit).await
    }

    /// Workers in a state after a name, sorted by name.
    pub async fn workers_in(
        &self,
        state: Option<WorkerState>,
        after: &str,
        limit: u32,
    ) -> Result<Vec<WorkerRow>, Error> {
        let state = state.map_or("", WorkerState::as_str);
        self.session()
            .await?
            .all(
                "WITH page AS (
                    SELECT * FROM workers WHERE name > $1 AND ($3 = '' OR state = $3)
                    ORDER BY name LIMIT $2),
                 sums AS (
                    SELECT worker,
                        COUNT(CASE WHEN kind = 'container' THEN 1 END) AS containers,
                        COUNT(CASE WHEN kind = 'volume' THEN 1 END) AS volumes,
                        COUNT(CASE WHEN state = 'destroying' THEN 1 END) AS doomed,
                        COUNT(missing_since) AS missing
                    FROM handles WHERE worker IN (SELECT name FROM page) GROUP BY worker)
                 SELECT name, state, since, heartbeat_at, synced_at, registration, generation,
                        is_ephemeral, platform, tags, capacity, version, status, foreign_handles,
                        reported_containers, reported_volumes, unknown_handles, unknown_at, disk_bytes, disk_free_bytes, process,
                        COALESCE(containers, 0) AS containers, COALESCE(volumes, 0) AS volumes,
                        COALESCE(doomed, 0) AS doomed, COALESCE(missing, 0) AS missing
                 FROM page LEFT JOIN sums ON worker = name ORDER BY name",
                args![after, limit, state],
            )
            .await
    }

    /// The workers with the most containers in their last reports, without counting rows of handles.
    pub async fn fullest_workers(&self, limit: u32) -> Result<Vec<WorkerRow>, Error> {
        self.session()
            .await?
            .all(
                "SELECT name, state, since, heartbeat_at, synced_at, registration, generation,
                        is_ephemeral, platform, tags, capacity, version, status, foreign_handles,
                        reported_containers, reported_volumes, unknown_handles, unknown_at, disk_bytes, disk_free_bytes, process,
                        reported_containers AS containers, reported_volumes AS volumes,
                        reported_containers * 0 AS doomed, reported_containers * 0 AS missing
                 FROM workers ORDER BY reported_containers DESC, name LIMIT $1",
                args![limit],
            )
            .await
    }

    /// The sums of workers by state, sorted by state.
    pub async fn worker_sums(&self) -> Result<Vec<WorkerSum>, Error> {
        self.session()
            .await?
            .all(
                "SELECT state, COUNT(*) AS workers, CAST(SUM(capacity) AS BIGINT) AS capacity,
                        CAST(SUM(reported_containers) AS BIGINT) AS containers,
                        CAST(SUM(reported_volumes) AS BIGINT) AS volumes
                 FROM workers GROUP BY state ORDER BY state",
                args![],
            )
            .await
    }

    /// How many builds wait and run.
    pub async fn build_sums(&self) -> Result<BuildSums, Error> {
        self.session()
            .await?
            .one(
                "SELECT (SELECT COUNT(*) FROM builds WHERE state = 'pending') AS pending,
                        (SELECT COUNT(*) FROM builds WHERE state = 'started') AS started,
                        (SELECT MIN(created_at) FROM builds WHERE state = 'pending')
                            AS pending_since",
                args![],
            )
            .await
    }

    /// What `gc.builds` still has to do.
    pub async fn build_backlog(&self) -> Result<Backlog, Error> {
        let mut session = self.session().await?;
        let now = session.now_sql();
        session
            .one(
                AssertSqlSafe(format!(
                    "SELECT (SELECT COUNT(*) FROM (
                        SELECT 1 FROM builds WHERE state = 'pending' AND since <= {now} - $2
                        UNION ALL
                        SELECT 1 FROM builds WHERE state = 'started' AND lease_until <= {now}
                        UNION ALL
                        SELECT 1 FROM builds WHERE NOT is_released AND state IN {OVER}
                        LIMIT $1) d) AS due,
                        (SELECT COUNT(*) FROM builds WHERE 1 = 0) AS doomed,
                        (SELECT MIN(since) FROM builds WHERE 1 = 0) AS doomed_since"
                )),
                args![BACKLOG_MAX, PENDING_MAX],
            )
            .await
    }

    /// What `gc.containers` and the workers still have to do.
    pub async fn container_backlog(&self) -> Result<Backlog, Error> {
        self.handle_backlog(
            "container",
            &format!(
                "SELECT 1 FROM builds b JOIN handles h ON h.build = b.id
                 WHERE NOT b.is_released AND b.state IN {OVER} AND h.kind = 'container'
                   AND h.state IN ('creating', 'created')"
            ),
        )
        .await
    }

    /// What `gc.volumes` and the workers still have to do.
    pub async fn volume_backlog(&self) -> Result<Backlog, Error> {
        self.handle_backlog(
            "volume",
            "SELECT 1 FROM handles h WHERE h.kind = 'volume' AND 1 = 0",
        )
        .await
    }

    async fn handle_backlog(&self, kind: &str, used: &str) -> Result<Backlog, Error> {
        // Also of volumes that are not copied: `due` may name a volume whose copies go first.
        self.session()
            .await?
            .one(
                AssertSqlSafe(format!(
                    "SELECT (SELECT COUNT(*) FROM ({used}
                        UNION ALL
                        SELECT 1 FROM handles h WHERE h.kind = $2 AND h.build IS NULL
                            AND h.container IS NULL AND h.state IN ('creating', 'created')
                            AND NOT EXISTS (SELECT 1 FROM handles c WHERE c.parent = h.handle)
                        UNION ALL
                        SELECT 1 FROM handles h WHERE h.kind = $2 AND h.state = 'failed'
                        LIMIT $1) d) AS due,
                        (SELECT COUNT(*) FROM (
                            SELECT 1 FROM handles h WHERE h.kind = $2 AND h.state = 'destroying'
                            LIMIT $1) d) AS doomed,
                        (SELECT MIN(h.since) FROM handles h
                            WHERE h.kind = $2 AND h.state = 'destroying') AS doomed_since"
                )),
                args![BACKLOG_MAX, kind],
            )
            .await
    }

    /// What `gc.workers` still has to do: silent workers, and those that leave.
    pub async fn worker_backlog(&self) -> Result<Backlog, Error> {
        let mut session = self.session().await?;
        let now = session.now_sql();
        session
            .one(
                AssertSqlSafe(format!(
                    "SELECT (SELECT COUNT(*) FROM workers
                            WHERE (state = 'running' AND heartbeat_at <= {now} - $1)
                               OR state IN ('landing', 'retiring')) AS due,
                        (SELECT COUNT(*) FROM workers WHERE 1 = 0) AS doomed,
                        (SELECT MIN(since) FROM workers WHERE 1 = 0) AS doomed_since"
                )),
                args![HEARTBEAT_MAX],
            )
            .await
    }

    /// Stores the report of a worker's process, with its file system. Returns false and changes nothing if the
    /// registration is not current, or the id is that of a process of another kind or worker.
    pub async fn worker_usage(
        &self,
        worker: &str,
        registration: i64,
        usage: WorkerUsage<'_>,
    ) -> Result<bool, Error> {
        let mut transaction = self.begin().await?;
        let rows = transaction
            .execute(
                "UPDATE workers SET disk_bytes = $3, disk_free_bytes = $4, process = $5
                 WHERE name = $1 AND registration = $2 AND nonce IS NOT NULL
                   AND NOT EXISTS (SELECT 1 FROM processes
                        WHERE id = $5 AND kind <> 'worker/' || $1)",
                args![
                    worker,
                    registration,
                    usage.disk_bytes,
                    usage.disk_free_bytes,
                    usage.process
                ],
            )
            .await?;
        if rows == 0 {
            transaction.commit().await?;
            return Ok(false);
        }
        let now = transaction.now_sql();
        let rows = transaction
            .execute(
                AssertSqlSafe(format!(
                    "INSERT INTO processes (id, kind, host, pid, version, started_at, seen_at, report)
                     SELECT $1, 'worker/' || $2, $3, $4, $5, clock.now, clock.now, $6
                     FROM (SELECT {now} AS now) AS clock WHERE TRUE
                     ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at, report = excluded.report
                     WHERE processes.kind = excluded.kind"
                )),
                args![
                    usage.process,
                    worker,
                    usage.host,
                    usage.pid,
                    usage.version,
                    usage.report
                ],
            )
            .await?;
        transaction.commit().await?;
        Ok(rows > 0)
    }
}
