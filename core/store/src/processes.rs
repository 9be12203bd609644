//! Davy's own processes: their starts, their ends, and what they say of themselves in between.

use crate::args::args;
use crate::{Error, Store};
use davy_base::Timestamp;
use serde::Serialize;
use ulid::Ulid;

/// A unix process of Davy's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct ProcessRow {
    /// Its id, new at every start.
    pub id: String,
    /// Its kind (`quickstart`, `archiver`, ...).
    pub kind: String,
    /// The machine's name.
    pub host: String,
    /// The process id on that machine.
    pub pid: i64,
    /// Davy's version.
    pub version: String,
    /// When it started, in milliseconds since 1970 UTC.
    pub started_at: i64,
    /// When it ended, in milliseconds since 1970 UTC; none while it runs and after a kill.
    pub stopped_at: Option<i64>,
    /// How it ended.
    pub ending: Option<String>,
    /// When it was last heard of, in milliseconds since 1970 UTC.
    pub seen_at: i64,
    /// The id of the process that started it, for a child.
    pub parent: Option<String>,
    /// The address of its debug port.
    pub debug: Option<String>,
    /// What it says of itself: JSON that this crate does not look into. Only
    /// [`Store::live_processes`] reads it.
    pub report: Option<String>,
}

impl ProcessRow {
    /// A process that starts now, without a parent and a debug port.
    pub fn new(id: Ulid, kind: &str, host: &str, pid: u32, version: &str, now: Timestamp) -> Self {
        Self {
            id: id.to_string(),
            kind: kind.to_owned(),
            host: host.to_owned(),
            pid: pid.into(),
            version: version.to_owned(),
            started_at: now.millis(),
            stopped_at: None,
            ending: None,
            seen_at: now.millis(),
            parent: None,
            debug: None,
            report: None,
        }
    }
}

/// Rows kept; those heard of least recently are forgotten.
const ROWS_MAX: i64 = 10_000;
/// Live processes that are read at once, with their reports.
const LIVE_MAX: i64 = 1_000;

impl Store {
    /// Remembers a start. Gives the process of the same kind and host that started before it and
    /// never said that it ended, if there is one.
    pub async fn process_started(&self, row: &ProcessRow) -> Result<Option<ProcessRow>, Error> {
        let mut transaction = self.begin().await?;
        let before: Option<ProcessRow> = transaction
            .optional(
                "SELECT id, kind, host, pid, version, started_at, stopped_at, ending, seen_at,
                        parent, debug, NULL AS report
                 FROM processes WHERE kind = $1 AND host = $2
                 ORDER BY started_at DESC, id DESC LIMIT 1",
                args![&row.kind, &row.host],
            )
            .await?;
        transaction
            .execute(
                "INSERT INTO processes
                    (id, kind, host, pid, version, started_at, seen_at, parent, debug, report)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                args![
                    &row.id,
                    &row.kind,
                    &row.host,
                    row.pid,
                    &row.version,
                    row.started_at,
                    row.seen_at,
                    &row.parent,
                    &row.debug,
                    &row.report
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
        Ok(before.filter(|process| process.stopped_at.is_none()))
    }

    /// A process says at `now` (milliseconds since 1970 UTC) that it lives, and what it is doing.
    /// False if it is not known: it was forgotten, or its start was never remembered.
    pub async fn process_report(&self, id: &str, now: i64, report: &str) -> Result<bool, Error> {
        let rows = self
            .session()
            .await?
            .execute(
                "UPDATE processes SET seen_at = $1, report = $2 WHERE id = $3",
                args![now, report, id],
            )
            .await?;
        Ok(rows > 0)
    }

    /// Remembers an end.
    pub async fn process_stopped(
        &self,
        id: &str,
        now: Timestamp,
        ending: &str,
    ) -> Result<(), Error> {
        self.session()
            .await?
            .execute(
                "UPDATE processes SET stopped_at = $1, seen_at = $1, ending = $2 WHERE id = $3",
                args![now.millis(), ending, id],
            )
            .await?;
        Ok(())
    }

    /// The newest starts, the newest first, without their reports.
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

    /// The processes that were heard of at `since` (milliseconds since 1970 UTC) or later and did
    /// not end, the oldest first, with their reports. At most a thousand.
    pub async fn live_processes(&self, since: i64) -> Result<Vec<ProcessRow>, Error> {
        self.session()
            .await?
            .all(
                "SELECT id, kind, host, pid, version, started_at, stopped_at, ending, seen_at,
                        parent, debug, report
                 FROM processes WHERE seen_at >= $1 AND stopped_at IS NULL
                 ORDER BY started_at, id LIMIT $2",
                args![since, LIVE_MAX],
            )
            .await
    }

    /// Forgets the processes that were last heard of before `before` (milliseconds since 1970 UTC);
    /// gives how many those were.
    pub async fn forget_processes(&self, before: i64) -> Result<u64, Error> {
        self.session()
            .await?
            .execute("DELETE FROM processes WHERE seen_at < $1", args![before])
            .await
    }
}
