//! The output of tasks, in numbered chunks.

use crate::args::args;
use crate::{Error, Store};
use davy_model::build::{LEASE, LOG_BYTES_MAX, OVER_KEPT};
use sqlx::AssertSqlSafe;

/// A chunk of a log.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct LogChunk {
    /// The number of bytes of the log up to its end.
    pub number: i64,
    /// When it arrived.
    pub at: i64,
    /// Whole characters; bytes that are not text were replaced by the worker. Empty if it is in an object.
    pub text: String,
    /// The object that has its text.
    pub object: Option<String>,
    /// Its size, in bytes.
    pub size: i64,
}

/// The text of a chunk.
#[derive(Clone, Copy, Debug)]
pub enum LogText<'a> {
    /// It is stored in the row.
    Row(&'a str),
    /// It is in an object, which is written already.
    Object {
        /// The name of the object.
        name: &'a str,
        /// Its size.
        bytes: i64,
    },
}

/// What happened to a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is stored, now or by an earlier request, or does not begin at the end of the log.
    Stored {
        /// Whether a person has requested to abort the build.
        is_abort_requested: bool,
        /// The size of the log: where the next chunk begins.
        position: i64,
    },
    /// The worker does not hold the build.
    Fenced,
    /// The log would exceed [`LOG_BYTES_MAX`].
    TooLong,
}

impl Store {
    /// Appends a chunk to the log of a build, and renews the lease of the worker. A chunk that does not begin at the end
    /// of the log is not stored, so that a request can be repeated, also by another process of the worker that has
    /// divided the log differently.
    pub async fn append_log(
        &self,
        build: i64,
        worker: &str,
        fence: i64,
        position: i64,
        text: LogText<'_>,
    ) -> Result<Appended, Error> {
        let mut transaction = self.begin().await?;
        let now = transaction.now_sql();
        let held: Option<(bool, i64)> = transaction
            .optional(
                AssertSqlSafe(format!(
                    "UPDATE builds SET lease_until = {now} + $4
                     WHERE id = $1 AND worker = $2 AND fence = $3 AND state = 'started'
                     RETURNING is_abort_requested, log_bytes"
                )),
                args![build, worker, fence, LEASE],
            )
            .await?;
        let Some((is_abort_requested, log_bytes)) = held else {
            transaction.commit().await?;
            return Ok(Appended::Fenced);
        };
        let (text, object, bytes) = match text {
            LogText::Row(text) => (text, None, text.len() as i64),
            LogText::Object { name, bytes } => ("", Some(name), bytes),
        };
        let end = position.saturating_add(bytes);
        if position != log_bytes || bytes == 0 {
            transaction.commit().await?;
            return Ok(Appended::Stored {
                is_abort_requested,
                position: log_bytes,
            });
        }
        if end > LOG_BYTES_MAX {
            return Ok(Appended::TooLong);
        }
        transaction
            .execute(
                AssertSqlSafe(format!(
                    "INSERT INTO build_logs (build, number, at, text, object, size)
                     VALUES ($1, $2, {now}, $3, $4, $5)"
                )),
                args![build, end, text, object, bytes],
            )
            .await?;
        transaction
            .execute(
                "UPDATE builds SET log_bytes = $2, has_objects = has_objects OR $3 WHERE id = $1",
                args![build, end, object.is_some()],
            )
            .await?;
        transaction.commit().await?;
        Ok(Appended::Stored {
            is_abort_requested,
            position: end,
        })
    }

    /// Records that a build may have objects, before the first one is written.
    pub async fn has_objects(&self, build: i64) -> Result<(), Error> {
        self.session()
            .await?
            .execute(
                "UPDATE builds SET has_objects = TRUE WHERE id = $1 AND NOT has_objects",
                args![build],
            )
            .await
            .map(drop)
    }

    /// Builds that have objects and are about to be removed, at most `limit`. Their objects are deleted first.
    pub async fn expired_objects(&self, limit: u32) -> Result<Vec<i64>, Error> {
        let mut session = self.session().await?;
        let now = session.now_sql();
        let builds: Vec<(i64,)> = session
            .all(
                AssertSqlSafe(format!(
                    "SELECT id FROM builds WHERE is_released AND has_objects AND since <= {now} - $1
                     ORDER BY since LIMIT $2"
                )),
                args![OVER_KEPT, limit],
            )
            .await?;
        Ok(builds.into_iter().map(|(id,)| id).collect())
    }

    /// Records that the objects of a build are deleted.
    pub async fn deleted_objects(&self, build: i64) -> Result<(), Error> {
        self.session()
            .await?
            .execute(
                "UPDATE builds SET has_objects = FALSE WHERE id = $1",
                args![build],
            )
            .await
            .map(drop)
    }

    /// The chunks of a build whose text is in rows, in order.
    pub async fn log_in_rows(&self, build: i64, limit: u32) -> Result<Vec<LogChunk>, Error> {
        self.session()
            .await?
            .all(
                "SELECT number, at, text, object, size FROM build_logs
                 WHERE build = $1 AND object IS NULL ORDER BY number LIMIT $2",
                args![build, limit],
            )
            .await
    }

    /// Replaces chunks by one whose text is in an object: those that end after `start`, up to the one that ends at `end`.
    pub async fn fold_log(
        &self,
        build: i64,
        start: i64,
        end: i64,
        object: &str,
    ) -> Result<(), Error> {
        let mut transaction = self.begin().await?;
        let rows = transaction
            .execute(
                "UPDATE build_logs SET text = '', object = $3, size = $2 - $4
                 WHERE build = $1 AND number = $2 AND object IS NULL",
                args![build, end, object, start],
            )
            .await?;
        if rows > 0 {
            transaction
                .execute(
                    "DELETE FROM build_logs WHERE build = $1 AND number > $2 AND number < $3",
                    args![build, start, end],
                )
                .await?;
        }
        transaction.commit().await
    }

    /// The chunks of a build that end after a position, in order.
    pub async fn log_after(
        &self,
        build: i64,
        number: i64,
        limit: u32,
    ) -> Result<Vec<LogChunk>, Error> {
        self.session()
            .await?
            .all(
                "SELECT number, at, text, object, size FROM build_logs
                 WHERE build = $1 AND number > $2 ORDER BY number LIMIT $3",
                args![build, number, limit],
            )
            .await
    }
}
