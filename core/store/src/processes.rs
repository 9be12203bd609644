//! Starts and ends of Davy's own processes.

use crate::{Error, Store};
use davy_base::{Timestamp, Ulid};
use serde::Serialize;

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
}

impl ProcessRow {
    /// A process that starts now.
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
        }
    }
}

/// Rows kept; older starts are forgotten.
const ROWS_MAX: i64 = 1_000;

impl Store {
    /// Remembers a start. Gives the process of the same kind and host that started before it and
    /// never said that it ended, if there is one.
    pub async fn process_started(&self, row: &ProcessRow) -> Result<Option<ProcessRow>, Error> {
        let mut transaction = self.pool.begin().await?;
        let before: Option<ProcessRow> = sqlx::query_as(
            "SELECT * FROM processes WHERE kind = ? AND host = ? ORDER BY started_at DESC LIMIT 1",
        )
        .bind(&row.kind)
        .bind(&row.host)
        .fetch_optional(&mut *transaction)
        .await?;
        sqlx::query("INSERT INTO processes (id, kind, host, pid, version, started_at) VALUES (?, ?, ?, ?, ?, ?)")
            .bind(&row.id)
            .bind(&row.kind)
            .bind(&row.host)
            .bind(row.pid)
            .bind(&row.version)
            .bind(row.started_at)
            .execute(&mut *transaction)
            .await?;
        sqlx::query(
            "DELETE FROM processes WHERE id IN
                (SELECT id FROM processes ORDER BY started_at DESC LIMIT -1 OFFSET ?)",
        )
        .bind(ROWS_MAX)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(before.filter(|process| process.stopped_at.is_none()))
    }

    /// Remembers an end.
    pub async fn process_stopped(
        &self,
        id: &str,
        now: Timestamp,
        ending: &str,
    ) -> Result<(), Error> {
        sqlx::query("UPDATE processes SET stopped_at = ?, ending = ? WHERE id = ?")
            .bind(now.millis())
            .bind(ending)
            .bind(id)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// The newest starts, the newest first.
    pub async fn processes(&self, limit: u32) -> Result<Vec<ProcessRow>, Error> {
        Ok(
            sqlx::query_as("SELECT * FROM processes ORDER BY started_at DESC LIMIT ?")
                .bind(limit)
                .fetch_all(&self.pool)
                .await?,
        )
    }
}
