//! Davy's own unix processes: when they started and ended, and their latest reports.
//!
//! All times are the database's, so a process counts as live or silent whatever its host's clock
//! shows.

use crate::args::args;
use crate::session::millis;
use crate::{Error, Store};
use serde::Serialize;
use sqlx::AssertSqlSafe;
use std::time::Duration;
use ulid::Ulid;

/// A process to be registered by [`Store::process_started`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewProcess {
    /// Identifies this start of the process.
    pub id: Ulid,
    /// `quickstart`, `archiver`, ...
    pub kind: String,
    /// The host's name.
    pub host: String,
    /// The process id on that host.
    pub pid: u32,
    /// Davy's version.
    pub version: String,
    /// For a child: the id of the process that started it.
    pub parent: Option<String>,
    /// The address of its debug port.
    pub debug: Option<String>,
}

/// A row of `processes`. Times are milliseconds since 1970 UTC by the database's clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct ProcessRow {
    /// Identifies this start of the process.
    pub id: String,
    /// `quickstart`, `archiver`, ...
    pub kind: String,
    /// The host's name.
    pub host: String,
    /// The process id on that host.
    pub pid: i64,
    /// Davy's version.
    pub version: String,
    /// When it registered.
    pub started_at: i64,
    /// When it ended; `None` while it runs and after it was killed.
    pub stopped_at: Option<i64>,
    /// How it ended.
    pub ending: Option<String>,
    /// When it registered, reported or ended, whichever was last.
    pub seen_at: i64,
    /// For a child: the id of the process that started it.
    pub parent: Option<String>,
    /// The address of its debug port.
    pub debug: Option<String>,
    /// Its latest report, as JSON that this crate does not interpret. Only
    /// [`Store::live_processes`] returns it.
    pub report: Option<String>,
}

/// Rows kept. Beyond that, the processes that have been silent for longest are deleted.
const ROWS_MAX: i64 = 10_000;
/// Processes returned by [`Store::live_processes`], which reads their reports too.
const LIVE_MAX: i64 = 1_000;

impl Store {
    /// Registers a process. Returns the previous process of the same kind on the same host if it
    /// never recorded its end.
    pub async fn process_started(&self, process: &NewProcess) -> Result<Option<ProcessRow>, Error> {
        let mut transaction = self.begin().await?;
        let previous: Option<ProcessRow> = transaction
            .optional(
                "SELECT id, kind, host, pid, version, started_at, stopped_at, ending, seen_at,
                        parent, debug, NULL AS report
                 FROM processes WHERE kind = $1 AND host = $2
                 ORDER BY started_at DESC, id DESC LIMIT 1",
                args![&process.kind, &process.host],
            )
            .await?;
        let now = transaction.now_sql();
        let id = process.id.to_string();
        transaction
            .execute(
                AssertSqlSafe(format!(
                    "INSERT INTO processes
                        (id, kind, host, pid, version, parent, debug, started_at, seen_at)
                     SELECT $1, $2, $3, $4, $5, $6, $7, clock.now, clock.now
                     FROM (SELECT {now} AS now) AS clock"
                )),
                args![
                    &id,
                    &process.kind,
                    &process.host,
                    process.pid,
                    &process.version,
                    &process.parent,
                    &process.debug
                ],
            )
            .await?;
        transaction
            .execute(
                "DELETE FROM processes WHERE id IN
                    (SELECT id FROM processes ORDER BY seen_at DESC, id DESC LIMIT 1000 OFFSET $1)",
                args![ROWS_MAX],
            )
            .await?;
        transaction.commit().await?;
        Ok(previous.filter(|process| process.stopped_at.is_none()))
    }

    /// Stores the report of a live process and the time at which it arrived. Returns false if the
    /// process is not registered, or its row has been deleted since.
    pub async fn process_report(&self, id: &str, report: &str) -> Result<bool, Error> {
        let mut session = self.session().await?;
        let now = session.now_sql();
        let rows = session
            .execute(
                AssertSqlSafe(format!(
                    "UPDATE processes SET seen_at = {now}, report = $1 WHERE id = $2"
                )),
                args![report, id],
            )
            .await?;
        Ok(rows > 0)
    }

    /// Records that a process ended, and how.
    pub async fn process_stopped(&self, id: &str, ending: &str) -> Result<(), Error> {
        let mut session = self.session().await?;
        let now = session.now_sql();
        session
            .execute(
                AssertSqlSafe(format!(
                    "UPDATE processes SET stopped_at = clock.now, seen_at = clock.now, ending = $1
                     FROM (SELECT {now} AS now) AS clock WHERE id = $2"
                )),
                args![ending, id],
            )
            .await?;
        Ok(())
    }

    /// The latest starts, newest first, without reports.
    pub async fn processes(&self, limit: u32) -> Result<Vec<ProcessRow>, Error> {
        self.session()
            .await?
            .all(
                "SELECT id, kind, host, pid, version, started_at, stopped_at, ending, seen_at,
                        parent, debug, NULL AS report
                 FROM processes ORDER BY started_at DESC, id DESC LIMIT $1",
                args![limit],
            )
            .await
    }

    /// The processes that have not ended and have been silent for `silence` at most, oldest first,
    /// with their reports. Returns at most 1,000 rows.
    pub async fn live_processes(&self, silence: Duration) -> Result<Vec<ProcessRow>, Error> {
        let mut session = self.session().await?;
        let now = session.now_sql();
        session
            .all(
                AssertSqlSafe(format!(
                    "SELECT id, kind, host, pid, version, started_at, stopped_at, ending, seen_at,
                            parent, debug, report
                     FROM processes WHERE seen_at >= {now} - $1 AND stopped_at IS NULL
                     ORDER BY started_at, id LIMIT $2"
                )),
                args![millis(silence), LIVE_MAX],
            )
            .await
    }

    /// Deletes the processes that have been silent for longer than `silence`; returns their number.
    pub async fn delete_silent_processes(&self, silence: Duration) -> Result<u64, Error> {
        let mut session = self.session().await?;
        let now = session.now_sql();
        session
            .execute(
                AssertSqlSafe(format!("DELETE FROM processes WHERE seen_at < {now} - $1")),
                args![millis(silence)],
            )
            .await
    }
}
