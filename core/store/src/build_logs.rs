//! The output of tasks, in numbered chunks.

use crate::args::args;
use crate::{Error, Store};
use davy_model::build::LEASE;
use sqlx::AssertSqlSafe;

/// The size of the log of a build, in bytes, at most.
pub const LOG_BYTES_MAX: i64 = 16 << 20;

/// A chunk of a log.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct LogChunk {
    /// Its number, from 1.
    pub number: i64,
    /// When it arrived.
    pub at: i64,
    /// Whole characters; bytes that are not text were replaced by the worker.
    pub text: String,
}

/// What happened to a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is stored, now or by an earlier request.
    Stored {
        /// Whether a person has requested to abort the build.
        is_abort_requested: bool,
    },
    /// The worker does not hold the build.
    Fenced,
    /// The log would exceed [`LOG_BYTES_MAX`].
    TooLong,
}

impl Store {
    /// Appends a chunk to the log of a build, and renews the lease of the worker. A chunk whose number was stored
    /// before is not stored again, so that a request can be repeated.
    pub async fn append_log(
        &self,
        build: i64,
        worker: &str,
        fence: i64,
        number: i64,
        text: &str,
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
        let bytes = text.len() as i64;
        let inserted = transaction
            .execute(
                AssertSqlSafe(format!(
                    "INSERT INTO build_logs (build, number, at, text) VALUES ($1, $2, {now}, $3)
                     ON CONFLICT (build, number) DO NOTHING"
                )),
                args![build, number, text],
            )
            .await?;
        if inserted > 0 {
            if log_bytes.saturating_add(bytes) > LOG_BYTES_MAX {
                return Ok(Appended::TooLong);
            }
            transaction
                .execute(
                    "UPDATE builds SET log_bytes = log_bytes + $2 WHERE id = $1",
                    args![build, bytes],
                )
                .await?;
        }
        transaction.commit().await?;
        Ok(Appended::Stored { is_abort_requested })
    }

    /// The chunks of a build after a number, in order.
    pub async fn log_after(
        &self,
        build: i64,
        number: i64,
        limit: u32,
    ) -> Result<Vec<LogChunk>, Error> {
        self.session()
            .await?
            .all(
                "SELECT number, at, text FROM build_logs
                 WHERE build = $1 AND number > $2 ORDER BY number LIMIT $3",
                args![build, number, limit],
            )
            .await
    }
}
