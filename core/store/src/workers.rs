//! Workers and their keys.

use crate::args::args;
use crate::{Error, Store};
use davy_model::WorkerState;
use davy_model::build::LEASE;
use davy_model::sync::generation;
use davy_model::worker::HEARTBEAT_MAX;
use serde::Serialize;
use sqlx::AssertSqlSafe;
use std::collections::BTreeSet;

/// How long a challenge can be answered.
const CHALLENGE_MAX_MS: i64 = HEARTBEAT_MAX;

/// A worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct WorkerRow {
    /// Its name.
    pub name: String,
    /// Its state, as `davy_model::WorkerState`.
    pub state: String,
    /// When it entered the state.
    pub since: i64,
    /// Its last report or registration.
    pub heartbeat_at: i64,
    /// Its last accepted report.
    pub synced_at: i64,
    /// The number of its registration.
    pub registration: i64,
    /// The generation of its last accepted report.
    pub generation: i64,
    /// Whether it is removed instead of stalled.
    pub is_ephemeral: bool,
    /// Its platform.
    pub platform: String,
    /// Its tags, as a JSON array.
    pub tags: String,
    /// Builds at the same time, at most.
    pub capacity: i64,
    /// The version of Davy.
    pub version: String,
    /// What it says about itself, as JSON.
    pub status: Option<String>,
    /// The first handles of other workers in its last report, as a JSON array.
    pub foreign_handles: String,
    /// Its containers in the database.
    pub containers: i64,
    /// Its volumes in the database.
    pub volumes: i64,
    /// Containers and volumes that it has to destroy.
    pub doomed: i64,
    /// Created containers and volumes that its last report lacked.
    pub missing: i64,
    /// The containers in its last report.
    pub reported_containers: i64,
    /// The volumes in its last report.
    pub reported_volumes: i64,
    /// Handles in its last report that no row named; it is told to destroy them.
    pub unknown_handles: i64,
    /// When a report last had such handles.
    pub unknown_at: Option<i64>,
    /// The size of the file system of its folder, in bytes; `None` if it has not said.
    pub disk_bytes: Option<i64>,
    /// What is free there, in bytes.
    pub disk_free_bytes: Option<i64>,
    /// The id of its process in the table of processes.
    pub process: Option<String>,
}

/// What a worker says when it registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewWorker {
    /// Its name.
    pub name: String,
    /// The challenge that it has signed.
    pub challenge: String,
    /// The key that the signature was checked with.
    pub public_key: String,
    /// Whether it is removed instead of stalled.
    pub is_ephemeral: bool,
    /// Its platform.
    pub platform: String,
    /// Its tags, as a JSON array.
    pub tags: String,
    /// Containers at the same time, at most.
    pub capacity: i64,
    /// The version of Davy.
    pub version: String,
    /// Builds of an earlier registration whose tasks it still has.
    pub builds: Vec<i64>,
}

/// What the requests of a registered worker are checked with.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct WorkerSession {
    /// The number of the registration.
    pub registration: i64,
    /// What every request signs.
    pub nonce: String,
    /// The key of the worker, in hexadecimal.
    pub public_key: String,
}

/// A key of a worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct WorkerKeyRow {
    /// The worker.
    pub worker: String,
    /// Ed25519, in hexadecimal.
    pub public_key: String,
    /// When it was added.
    pub created_at: i64,
    /// The operator who added it.
    pub created_by: String,
    /// When it was revoked.
    pub revoked_at: Option<i64>,
}

impl Store {
    /// Adds or replaces the key of a worker. Sessions of the previous key end.
    pub async fn put_worker_key(
        &self,
        worker: &str,
        public_key: &str,
        operator: &str,
    ) -> Result<(), Error> {
        let mut transaction = self.begin().await?;
        let now = transaction.now_sql();
        transaction
            .execute(
                AssertSqlSafe(format!(
                    "INSERT INTO worker_keys (worker, public_key, created_at, created_by)
                     VALUES ($1, $2, {now}, $3)
                     ON CONFLICT (worker) DO UPDATE SET
                        public_key = excluded.public_key, created_at = excluded.created_at,
                        created_by = excluded.created_by, revoked_at = NULL, challenge = NULL"
                )),
                args![worker, public_key, operator],
            )
            .await?;
        transaction
            .execute(
                "UPDATE workers SET nonce = NULL WHERE name = $1",
                args![worker],
            )
            .await?;
        transaction.commit().await
    }

    /// Revokes the key of a worker; its session ends. Returns false if it has no key that is not revoked.
    pub async fn revoke_worker_key(&self, worker: &str) -> Result<bool, Error> {
        let mut transaction = self.begin().await?;
        let now = transaction.now_sql();
        let rows = transaction
            .execute(
                AssertSqlSafe(format!(
                    "UPDATE worker_keys SET revoked_at = {now}, challenge = NULL
                     WHERE worker = $1 AND revoked_at IS NULL"
                )),
                args![worker],
            )
            .await?;
        transaction
            .execute(
                "UPDATE workers SET nonce = NULL WHERE name = $1",
                args![worker],
            )
            .await?;
        transaction.commit().await?;
        Ok(rows > 0)
    }

    /// All keys, sorted by worker.
    pub async fn worker_keys(&self) -> Result<Vec<WorkerKeyRow>, Error> {
        self.session()
            .await?
            .all(
                "SELECT worker, public_key, created_at, created_by, revoked_at
                 FROM worker_keys ORDER BY worker",
                args![],
            )
            .await
    }

    /// The challenge that the next registration of a worker has to sign, with its key: `fresh`, or an earlier one
    /// that can still be answered, so that a stranger who asks cannot invalidate it. `None` without a valid key.
    pub async fn worker_challenge(
        &self,
        worker: &str,
        fresh: &str,
    ) -> Result<Option<(String, String)>, Error> {
        let mut session = self.session().await?;
        let now = session.now_sql();
        session
            .optional(
                AssertSqlSafe(format!(
                    "UPDATE worker_keys SET
                        challenge = CASE WHEN challenge IS NULL OR challenge_at <= {now} - $3
                            THEN $2 ELSE challenge END,
                        challenge_at = CASE WHEN challenge IS NULL OR challenge_at <= {now} - $3
                            THEN {now} ELSE challenge_at END
                     WHERE worker = $1 AND revoked_at IS NULL
                     RETURNING challenge, public_key"
                )),
                args![worker, fresh, CHALLENGE_MAX_MS / 2],
            )
            .await
    }

    /// Registers the process of a worker that has signed its challenge. Returns the number of the registration,
    /// or `None` if the challenge was answered before, has expired, or the key was replaced.
    ///
    /// Requests of an earlier registration are refused from now on. Builds that it held are
    /// adopted if the new process has their tasks; the others become `errored`: a task never runs twice.
    pub async fn register_worker(&self, new: &NewWorker) -> Result<Option<i64>, Error> {
        let mut transaction = self.begin().await?;
        let now = transaction.now_sql();
        let registered: Option<(i64,)> = transaction
            .optional(
                AssertSqlSafe(format!(
                    "UPDATE worker_keys SET challenge = NULL, registrations = registrations + 1
                     WHERE worker = $1 AND challenge = $2 AND public_key = $3
                       AND revoked_at IS NULL AND challenge_at > {now} - $4
                     RETURNING registrations"
                )),
                args![&new.name, &new.challenge, &new.public_key, CHALLENGE_MAX_MS],
            )
            .await?;
        let Some((registration,)) = registered else {
            transaction.commit().await?;
            return Ok(None);
        };
        transaction
            .execute(
                AssertSqlSafe(format!(
                    "INSERT INTO workers (name, state, since, heartbeat_at, synced_at, registration,
                        generation, nonce, is_ephemeral, platform, tags, capacity, version)
                     VALUES ($1, 'running', {now}, {now}, {now}, $2, $3, $4, $5, $6, $7, $8, $9)
                     ON CONFLICT (name) DO UPDATE SET
                        state = CASE WHEN workers.state IN ('stalled', 'landed')
                            THEN 'running' ELSE workers.state END,
                        since = CASE WHEN workers.state IN ('stalled', 'landed')
                            THEN excluded.since ELSE workers.since END,
                        heartbeat_at = excluded.heartbeat_at, registration = excluded.registration,
                        generation = excluded.generation, nonce = excluded.nonce,
                        is_ephemeral = excluded.is_ephemeral, platform = excluded.platform,
                        tags = excluded.tags, capacity = excluded.capacity,
                        version = excluded.version, foreign_handles = '[]'"
                )),
                args![
                    &new.name,
                    registration,
                    generation(registration, 0),
                    &new.challenge,
                    new.is_ephemeral,
                    &new.platform,
                    &new.tags,
                    new.capacity,
                    &new.version
                ],
            )
            .await?;
        for build in &new.builds {
            transaction
                .execute(
                    AssertSqlSafe(format!(
                        "UPDATE builds SET fence = $3, lease_until = {now} + $4
                         WHERE id = $1 AND worker = $2 AND state = 'started' AND fence < $3"
                    )),
                    args![*build, &new.name, registration, LEASE],
                )
                .await?;
        }
        transaction
            .execute(
                AssertSqlSafe(format!(
                    "UPDATE builds SET state = 'errored', since = {now},
                        error = 'worker ' || worker || ' was restarted before the task was started, or lost it'
                     WHERE worker = $1 AND state = 'started' AND fence <> $2"
                )),
                args![&new.name, registration],
            )
            .await?;
        transaction.commit().await?;
        Ok(Some(registration))
    }

    /// What the requests of a worker are checked with; `None` if it is not registered or its key was revoked.
    pub async fn worker_session(&self, worker: &str) -> Result<Option<WorkerSession>, Error> {
        self.session()
            .await?
            .optional(
                "SELECT w.registration, w.nonce, k.public_key
                 FROM workers w JOIN worker_keys k ON k.worker = w.name
                 WHERE w.name = $1 AND w.nonce IS NOT NULL AND k.revoked_at IS NULL",
                args![worker],
            )
            .await
    }

    /// Lets the process of a worker stop: it gets no builds until it registers again, and is landed if it runs none.
    /// Builds that were assigned to it and that it has not received become pending again. Returns how many.
    pub async fn leave_worker(
        &self,
        worker: &str,
        registration: i64,
        running: &BTreeSet<i64>,
    ) -> Result<u64, Error> {
        let mut transaction = self.begin().await?;
        let now = transaction.now_sql();
        // A claim locks the same row and needs capacity, so none follows.
        let left = transaction
            .execute(
                AssertSqlSafe(format!(
                    "UPDATE workers SET capacity = 0,
                        since = CASE WHEN $3 AND state = 'running' AND NOT is_ephemeral
                            THEN {now} ELSE since END,
                        state = CASE WHEN $3 AND state = 'running' AND NOT is_ephemeral
                            THEN 'landed' ELSE state END
                     WHERE name = $1 AND registration = $2 AND nonce IS NOT NULL"
                )),
                args![worker, registration, running.is_empty()],
            )
            .await?;
        if left == 0 {
            transaction.commit().await?;
            return Ok(0);
        }
        let assigned: Vec<(i64,)> = transaction
            .all(
                "SELECT id FROM builds WHERE worker = $1 AND fence = $2 AND state = 'started'",
                args![worker, registration],
            )
            .await?;
        let mut returned = 0;
        for (build,) in assigned {
            if running.contains(&build) {
                continue;
            }
            returned += transaction
                .execute(
                    AssertSqlSafe(format!(
                        "UPDATE builds SET since = {now}, started_at = NULL, worker = NULL, fence = 0,
                            lease_until = 0,
                            state = CASE WHEN is_abort_requested THEN 'aborted' ELSE 'pending' END
                         WHERE id = $1"
                    )),
                    args![build],
                )
                .await?;
            for rows in [
                "container IN (SELECT handle FROM handles WHERE build = $1)",
                "build = $1",
            ] {
                transaction
                    .execute(
                        AssertSqlSafe(format!(
                            "DELETE FROM handles WHERE worker = $2 AND state = 'creating' AND {rows}"
                        )),
                        args![build, worker],
                    )
                    .await?;
            }
        }
        transaction.commit().await?;
        Ok(returned)
    }

    /// Lets a worker finish its builds and leave. Returns false if it is not running.
    pub async fn land_worker(&self, worker: &str) -> Result<bool, Error> {
        self.set_worker_state(worker, WorkerState::Landing, "state = 'running'")
            .await
    }

    /// Lets a worker finish its builds, destroy what it has, and be removed. Returns false if it does not exist or
    /// retires already.
    pub async fn retire_worker(&self, worker: &str) -> Result<bool, Error> {
        self.set_worker_state(worker, WorkerState::Retiring, "state <> 'retiring'")
            .await
    }

    async fn set_worker_state(
        &self,
        worker: &str,
        state: WorkerState,
        condition: &str,
    ) -> Result<bool, Error> {
        let mut session = self.session().await?;
        let now = session.now_sql();
        let rows = session
            .execute(
                AssertSqlSafe(format!(
                    "UPDATE workers SET state = $2, since = {now} WHERE name = $1 AND {condition}"
                )),
                args![worker, state.as_str()],
            )
            .await?;
        Ok(rows > 0)
    }
}
