//! Rows for the drills and the simulated fleet: many workers with containers at once, garbage, and what a central
//! collector does, which is the baseline of the comparison.

use crate::args::args;
use crate::{Error, Store};
use sqlx::AssertSqlSafe;

/// Rows that one statement inserts, at most.
const ROWS_MAX: u32 = 20_000;
/// How long the builds of simulated workers are held.
const HELD_MS: i64 = 24 * 3_600_000;

/// Simulated workers: `PREFIX-00000` and so on, each with containers `WORKER-c000` and so on.
#[derive(Clone, Copy, Debug)]
pub struct SimulatedWorkers<'a> {
    /// The beginning of the names of workers; in tables of only this drill's rows.
    pub prefix: &'a str,
    /// How many workers there are.
    pub workers: u32,
    /// How many containers each one has.
    pub containers: u32,
}

impl SimulatedWorkers<'_> {
    /// The name of a worker.
    pub fn worker(&self, number: u32) -> String {
        format!("{}-{number:05}", self.prefix)
    }

    /// The handle of a container of a worker.
    pub fn container(&self, worker: u32, number: u32) -> String {
        format!("{}-{worker:05}-c{number:03}", self.prefix)
    }
}

/// The numbers from 0 to `$2` (exclusive) as column `n`, after an offset `$1`.
fn numbers(is_postgres: bool) -> &'static str {
    if is_postgres {
        "(SELECT generate_series($1::bigint, $2::bigint - 1) AS n)"
    } else {
        "(WITH RECURSIVE r (n) AS (SELECT $1 UNION ALL SELECT n + 1 FROM r WHERE n + 1 < $2) SELECT n FROM r)"
    }
}

/// An expression: a number with leading zeros.
fn padded(is_postgres: bool, number: &str, digits: u32) -> String {
    if is_postgres {
        format!("lpad(({number})::text, {digits}, '0')")
    } else {
        format!("printf('%0{digits}d', {number})")
    }
}

impl Store {
    /// Adds the same public key for all simulated workers.
    pub async fn load_worker_keys(
        &self,
        of: SimulatedWorkers<'_>,
        public_key: &str,
    ) -> Result<(), Error> {
        let mut session = self.session().await?;
        let (now, is_postgres) = (session.now_sql(), session.is_postgres());
        let (numbers, worker) = (numbers(is_postgres), padded(is_postgres, "n", 5));
        session
            .execute(
                AssertSqlSafe(format!(
                    "INSERT INTO worker_keys (worker, public_key, created_at, created_by)
                     SELECT $3 || '-' || {worker}, $4, {now}, 'drill' FROM {numbers} numbers
                     WHERE TRUE ON CONFLICT (worker) DO UPDATE SET
                        public_key = excluded.public_key, revoked_at = NULL"
                )),
                args![0_i64, i64::from(of.workers), of.prefix, public_key],
            )
            .await?;
        Ok(())
    }

    /// Adds a started build for each simulated worker, with all its containers. They are not garbage until
    /// [`Store::end_simulated_builds`].
    pub async fn load_simulated_containers(&self, of: SimulatedWorkers<'_>) -> Result<(), Error> {
        let mut session = self.session().await?;
        let (now, is_postgres) = (session.now_sql(), session.is_postgres());
        let numbers = numbers(is_postgres);
        let worker = padded(is_postgres, "n", 5);
        session
            .execute(
                AssertSqlSafe(format!(
                    "INSERT INTO builds (state, since, created_at, created_by, task, platform,
                        is_ready, worker, fence, lease_until, started_at)
                     SELECT 'started', {now}, {now}, 'drill ' || $3, '{{}}', 'simulated', TRUE,
                        $3 || '-' || {worker}, 0, {now} + $4, {now} FROM {numbers} numbers"
                )),
                args![0_i64, i64::from(of.workers), of.prefix, HELD_MS],
            )
            .await?;
        let per = i64::from(of.containers.max(1));
        let total = i64::from(of.workers) * i64::from(of.containers);
        let (worker, number) = (
            padded(is_postgres, &format!("n / {per}"), 5),
            padded(is_postgres, &format!("n % {per}"), 3),
        );
        let mut first = 0;
        while first < total {
            let next = total.min(first + i64::from(ROWS_MAX));
            session
                .execute(
                    AssertSqlSafe(format!(
                        "INSERT INTO handles (handle, worker, kind, state, since, build)
                         SELECT w.name || '-c' || w.number, w.name, 'container', 'created', {now}, b.id
                         FROM (SELECT $3 || '-' || {worker} AS name, {number} AS number
                            FROM {numbers} numbers) w
                         JOIN builds b ON b.worker = w.name AND b.state = 'started'"
                    )),
                    args![first, next, of.prefix],
                )
                .await?;
            first = next;
        }
        Ok(())
    }

    /// Ends the builds of simulated workers, so that all their containers become garbage.
    pub async fn end_simulated_builds(&self, prefix: &str) -> Result<u64, Error> {
        let mut session = self.session().await?;
        let now = session.now_sql();
        session
            .execute(
                AssertSqlSafe(format!(
                    "UPDATE builds SET state = 'succeeded', since = {now}, exit_code = 0
                     WHERE created_by = 'drill ' || $1 AND state = 'started'"
                )),
                args![prefix],
            )
            .await
    }

    /// Adds containers that nothing uses: garbage of a worker. Their handles end in the numbers from `first`.
    pub async fn load_orphans(
        &self,
        worker: &str,
        first: u32,
        count: u32,
    ) -> Result<Vec<String>, Error> {
        let mut session = self.session().await?;
        let (now, is_postgres) = (session.now_sql(), session.is_postgres());
        let (numbers, number) = (numbers(is_postgres), padded(is_postgres, "n", 6));
        let rows: Vec<(String,)> = session
            .all(
                AssertSqlSafe(format!(
                    "INSERT INTO handles (handle, worker, kind, state, since)
                     SELECT $3 || '-g' || {number}, $3, 'container', 'created', {now}
                     FROM {numbers} numbers RETURNING handle"
                )),
                args![i64::from(first), i64::from(first + count), worker],
            )
            .await?;
        Ok(rows.into_iter().map(|(handle,)| handle).collect())
    }

    /// Moves the time since which handles of a worker are missing into the past, so that a drill need not wait for
    /// five minutes.
    pub async fn age_missing(&self, worker: &str, milliseconds: i64) -> Result<u64, Error> {
        self.session()
            .await?
            .execute(
                "UPDATE handles SET missing_since = missing_since - $2
                 WHERE worker = $1 AND missing_since IS NOT NULL",
                args![worker, milliseconds],
            )
            .await
    }

    /// Moves the last message of a worker and those about its builds into the past, so that a test need not wait until it
    /// is stalled or its leases expire.
    pub async fn age_worker(&self, worker: &str, milliseconds: i64) -> Result<(), Error> {
        let mut transaction = self.begin().await?;
        for statement in [
            "UPDATE workers SET heartbeat_at = heartbeat_at - $2 WHERE name = $1",
            "UPDATE builds SET lease_until = lease_until - $2
             WHERE worker = $1 AND state = 'started'",
        ] {
            transaction
                .execute(statement, args![worker, milliseconds])
                .await?;
        }
        transaction.commit().await
    }

    /// How many handles of workers with this prefix are left, and how many of them are doomed.
    pub async fn simulated_handles(&self, prefix: &str) -> Result<(i64, i64), Error> {
        self.session()
            .await?
            .one(
                "SELECT COUNT(*), COUNT(CASE WHEN state = 'destroying' THEN 1 END)
                 FROM handles WHERE worker >= $1 || '-' AND worker < $1 || '.'",
                args![prefix],
            )
            .await
    }

    /// Removes everything of workers with this prefix, in bounded batches.
    pub async fn delete_simulation(&self, prefix: &str) -> Result<(), Error> {
        let mut session = self.session().await?;
        loop {
            let rows = session
                .execute(
                    "DELETE FROM handles WHERE handle IN (SELECT handle FROM handles
                        WHERE worker >= $1 || '-' AND worker < $1 || '.' LIMIT $2)",
                    args![prefix, ROWS_MAX],
                )
                .await?;
            if rows == 0 {
                break;
            }
        }
        for sql in [
            "DELETE FROM builds WHERE created_by = 'drill ' || $1",
            "DELETE FROM workers WHERE name >= $1 || '-' AND name < $1 || '.'",
            "DELETE FROM worker_keys WHERE worker >= $1 || '-' AND worker < $1 || '.'",
            "DELETE FROM processes WHERE kind >= 'worker/' || $1 || '-' AND kind < 'worker/' || $1 || '.'",
        ] {
            session.execute(sql, args![prefix]).await?;
        }
        Ok(())
    }

    /// What a central collector reads of a worker: the containers of builds that are over.
    pub async fn central_garbage(&self, worker: &str) -> Result<Vec<String>, Error> {
        let rows: Vec<(String,)> = self
            .session()
            .await?
            .all(
                "SELECT h.handle FROM handles h JOIN builds b ON b.id = h.build
                 WHERE h.worker = $1 AND h.kind = 'container' AND h.state = 'created'
                   AND b.state = 'succeeded' ORDER BY h.handle",
                args![worker],
            )
            .await?;
        Ok(rows.into_iter().map(|(handle,)| handle).collect())
    }

    /// A central collector marks a container before it asks the worker to destroy it.
    pub async fn central_mark(&self, handle: &str) -> Result<bool, Error> {
        let mut session = self.session().await?;
        let now = session.now_sql();
        let rows = session
            .execute(
                AssertSqlSafe(format!(
                    "UPDATE handles SET state = 'destroying', since = {now}
                     WHERE handle = $1 AND state = 'created'"
                )),
                args![handle],
            )
            .await?;
        Ok(rows > 0)
    }

    /// A central collector removes the row of a container that the worker has destroyed.
    pub async fn central_remove(&self, handle: &str) -> Result<bool, Error> {
        let rows = self
            .session()
            .await?
            .execute(
                "DELETE FROM handles WHERE handle = $1 AND state = 'destroying'",
                args![handle],
            )
            .await?;
        Ok(rows > 0)
    }
}
