//! One-off builds.

use crate::args::args;
use crate::{Error, Store};
use davy_model::build::LEASE;
use davy_model::worker::CONTAINERS_MAX;
use davy_model::{BuildState, Task, WorkerState};
use serde::Serialize;
use sqlx::AssertSqlSafe;
use std::collections::BTreeSet;

/// Pending builds that one claim considers, at most; the oldest ones.
const CANDIDATES_MAX: u32 = 50;

/// A build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct BuildRow {
    /// Assigned by the database.
    pub id: i64,
    /// Its state, as `davy_model::BuildState`.
    pub state: String,
    /// When it entered the state.
    pub since: i64,
    /// When it was created.
    pub created_at: i64,
    /// The person who created it.
    pub created_by: String,
    /// Its task, as JSON.
    pub task: String,
    /// Whether its inputs are uploaded.
    pub is_ready: bool,
    /// The worker that claimed it.
    pub worker: Option<String>,
    /// Whether a person has requested to abort it.
    pub is_abort_requested: bool,
    /// When a worker claimed it.
    pub started_at: Option<i64>,
    /// The exit code of its task.
    pub exit_code: Option<i64>,
    /// Why its task could not be run to its end.
    pub error: Option<String>,
    /// The size of its log, in bytes.
    pub log_bytes: i64,
    /// What its task has used, as JSON.
    pub usage: Option<String>,
}

/// A lease that was renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Renewed {
    /// Whether a person has requested to abort the build.
    pub is_abort_requested: bool,
    /// The size of its log, in bytes.
    pub log_bytes: i64,
}

/// A build that a worker has claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedBuild {
    /// The build.
    pub id: i64,
    /// Its task, as JSON.
    pub task: String,
    /// The container that the worker has to create.
    pub container: String,
    /// The volume that the worker has to create for the container.
    pub volume: String,
}

/// The handles of the container and the volume of a claim.
#[derive(Clone, Copy, Debug)]
pub struct ClaimHandles<'a> {
    /// The container.
    pub container: &'a str,
    /// The volume.
    pub volume: &'a str,
}

/// How a worker ended a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuildEnd {
    /// The task has exited.
    Exited {
        /// Its exit code.
        code: i32,
    },
    /// The task could not be run to its end.
    Errored {
        /// Why.
        error: String,
    },
    /// The task was stopped because a person aborted the build.
    Aborted,
}

const COLUMNS: &str = "id, state, since, created_at, created_by, task, is_ready, worker,
    is_abort_requested, started_at, exit_code, error, log_bytes, usage";

impl Store {
    /// Creates a build, and returns its id. Workers claim it when it is ready.
    pub async fn create_build(
        &self,
        operator: &str,
        task: &str,
        platform: &str,
        is_ready: bool,
    ) -> Result<i64, Error> {
        let mut session = self.session().await?;
        let now = session.now_sql();
        let (id,): (i64,) = session
            .one(
                AssertSqlSafe(format!(
                    "INSERT INTO builds (state, since, created_at, created_by, task, platform, is_ready)
                     VALUES ('pending', {now}, {now}, $1, $2, $3, $4) RETURNING id"
                )),
                args![operator, task, platform, is_ready],
            )
            .await?;
        Ok(id)
    }

    /// Says that the inputs of a build are uploaded. Returns false if it is not pending.
    pub async fn ready_build(&self, id: i64) -> Result<bool, Error> {
        let rows = self
            .session()
            .await?
            .execute(
                "UPDATE builds SET is_ready = TRUE WHERE id = $1 AND state = 'pending'",
                args![id],
            )
            .await?;
        Ok(rows > 0)
    }

    /// A build.
    pub async fn build(&self, id: i64) -> Result<Option<BuildRow>, Error> {
        self.session()
            .await?
            .optional(
                AssertSqlSafe(format!("SELECT {COLUMNS} FROM builds WHERE id = $1")),
                args![id],
            )
            .await
    }

    /// Builds below an id, newest first.
    pub async fn builds(&self, before: Option<i64>, limit: u32) -> Result<Vec<BuildRow>, Error> {
        self.builds_in(None, "", before, limit).await
    }

    /// Builds in a state below an id, newest first; of one worker if `worker` is not empty.
    pub async fn builds_in(
        &self,
        state: Option<BuildState>,
        worker: &str,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<BuildRow>, Error> {
        let state = state.map_or("", BuildState::as_str);
        self.session()
            .await?
            .all(
                AssertSqlSafe(format!(
                    "SELECT {COLUMNS} FROM builds
                     WHERE id < $1 AND ($3 = '' OR state = $3) AND ($4 = '' OR worker = $4)
                     ORDER BY id DESC LIMIT $2"
                )),
                args![before.unwrap_or(i64::MAX), limit, state, worker],
            )
            .await
    }

    /// The latest pending build that workers can claim, so that waiting workers notice a new one.
    pub async fn latest_claimable_build(&self) -> Result<Option<i64>, Error> {
        let (id,): (Option<i64>,) = self
            .session()
            .await?
            .one(
                "SELECT MAX(id) FROM builds WHERE state = 'pending' AND is_ready",
                args![],
            )
            .await?;
        Ok(id)
    }

    /// Claims the oldest pending build that fits a worker, with rows for its container and volume. Returns `None` if
    /// there is none, the worker runs as many as it may or has 250 containers, it is not running, or `fence` is not its current registration.
    ///
    /// A build is claimed at most once, because only the claim leads out of the state `pending` to `started`.
    pub async fn claim_build(
        &self,
        worker: &str,
        fence: i64,
        handles: ClaimHandles<'_>,
    ) -> Result<Option<ClaimedBuild>, Error> {
        let mut transaction = self.begin().await?;
        let now = transaction.now_sql();
        // Locks the row, so that two claims of a worker cannot exceed its capacity together.
        let running: Option<(String, String, i64, i64)> = transaction
            .optional(
                "UPDATE workers SET registration = registration
                 WHERE name = $1 AND registration = $2 AND state = $3 AND nonce IS NOT NULL
                 RETURNING platform, tags,
                    capacity - (SELECT COUNT(*) FROM builds b
                        WHERE b.worker = $1 AND b.state = 'started'),
                    $4 - (SELECT COUNT(*) FROM handles h
                        WHERE h.worker = $1 AND h.kind = 'container')",
                args![worker, fence, WorkerState::Running.as_str(), CONTAINERS_MAX],
            )
            .await?;
        let is_free =
            |(_, _, builds, containers): &(_, _, i64, i64)| *builds > 0 && *containers > 0;
        let Some((platform, tags, ..)) = running.filter(is_free) else {
            transaction.commit().await?;
            return Ok(None);
        };
        let tags: BTreeSet<String> = serde_json::from_str(&tags).unwrap_or_default();
        let candidates: Vec<(i64, String)> = transaction
            .all(
                "SELECT id, task FROM builds
                 WHERE state = 'pending' AND is_ready AND platform = $1 ORDER BY id LIMIT $2",
                args![&platform, CANDIDATES_MAX],
            )
            .await?;
        for (id, text) in candidates {
            let task: Option<Task> = serde_json::from_str(&text).ok();
            if !task.is_some_and(|task| task.fits(&platform, &tags)) {
                continue;
            }
            // Another worker may have claimed it since it was read.
            let claimed = transaction
                .execute(
                    AssertSqlSafe(format!(
                        "UPDATE builds SET state = 'started', since = {now}, started_at = {now},
                            worker = $2, fence = $3, lease_until = {now} + $4
                         WHERE id = $1 AND state = 'pending'"
                    )),
                    args![id, worker, fence, LEASE],
                )
                .await?;
            if claimed == 0 {
                continue;
            }
            transaction
                .execute(
                    AssertSqlSafe(format!(
                        "INSERT INTO handles (handle, worker, kind, state, since, build, container)
                         VALUES ($1, $3, 'container', 'creating', {now}, $4, NULL),
                                ($2, $3, 'volume', 'creating', {now}, NULL, $1)"
                    )),
                    args![handles.container, handles.volume, worker, id],
                )
                .await?;
            transaction.commit().await?;
            return Ok(Some(ClaimedBuild {
                id,
                task: text,
                container: handles.container.to_owned(),
                volume: handles.volume.to_owned(),
            }));
        }
        transaction.commit().await?;
        Ok(None)
    }

    /// Records that a worker has created a container or volume, or failed to. Returns false if the row is not in
    /// state `creating`, for example because it is doomed already.
    pub async fn created_handle(
        &self,
        worker: &str,
        handle: &str,
        succeeded: bool,
    ) -> Result<bool, Error> {
        let state = if succeeded { "created" } else { "failed" };
        let mut session = self.session().await?;
        let now = session.now_sql();
        let rows = session
            .execute(
                AssertSqlSafe(format!(
                    "UPDATE handles SET state = $3, since = {now}
                     WHERE handle = $1 AND worker = $2 AND state = 'creating'"
                )),
                args![handle, worker, state],
            )
            .await?;
        Ok(rows > 0)
    }

    /// Renews the lease of a worker on a build; `None` if the worker does not hold it.
    pub async fn renew_build(
        &self,
        id: i64,
        worker: &str,
        fence: i64,
    ) -> Result<Option<Renewed>, Error> {
        let mut session = self.session().await?;
        let now = session.now_sql();
        session
            .optional(
                AssertSqlSafe(format!(
                    "UPDATE builds SET lease_until = {now} + $4
                     WHERE id = $1 AND worker = $2 AND fence = $3 AND state = 'started'
                     RETURNING is_abort_requested, log_bytes"
                )),
                args![id, worker, fence, LEASE],
            )
            .await
    }

    /// Ends a build, with what its task has used as JSON. Returns false and changes nothing if the worker does not hold
    /// it.
    pub async fn finish_build(
        &self,
        id: i64,
        worker: &str,
        fence: i64,
        end: &BuildEnd,
        usage: Option<&str>,
    ) -> Result<bool, Error> {
        let (state, code, error) = match end {
            BuildEnd::Exited { code: 0 } => ("succeeded", Some(0), None),
            BuildEnd::Exited { code } => ("failed", Some(i64::from(*code)), None),
            BuildEnd::Errored { error } => ("errored", None, Some(&**error)),
            BuildEnd::Aborted => ("aborted", None, None),
        };
        let mut session = self.session().await?;
        let now = session.now_sql();
        let rows = session
            .execute(
                AssertSqlSafe(format!(
                    "UPDATE builds SET state = $4, since = {now}, exit_code = $5, error = $6,
                        usage = $7
                     WHERE id = $1 AND worker = $2 AND fence = $3 AND state = 'started'
                       AND ($4 <> 'aborted' OR is_abort_requested)"
                )),
                args![id, worker, fence, state, code, error, usage],
            )
            .await?;
        Ok(rows > 0)
    }

    /// Aborts a pending build, or requests the worker of a started one to abort it. Returns false if it is over or
    /// does not exist.
    pub async fn abort_build(&self, id: i64) -> Result<bool, Error> {
        let mut session = self.session().await?;
        let now = session.now_sql();
        let rows = session
            .execute(
                AssertSqlSafe(format!(
                    "UPDATE builds SET is_abort_requested = TRUE,
                        since = CASE WHEN state = 'pending' THEN {now} ELSE since END,
                        state = CASE WHEN state = 'pending' THEN 'aborted' ELSE state END
                     WHERE id = $1 AND state IN ('pending', 'started')"
                )),
                args![id],
            )
            .await?;
        Ok(rows > 0)
    }
}
