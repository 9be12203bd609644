//! The audit log: who changed what, when and why.

use crate::args::args;
use crate::session::{Session, millis};
use crate::{Error, Store};
use serde::{Deserialize, Serialize};
use sqlx::AssertSqlSafe;
use std::time::Duration;

/// Where a change came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The HTTP API.
    Api,
    /// The command line.
    Cli,
    /// The configuration file, read at start.
    File,
    /// The configuration file, read again on SIGHUP.
    Sighup,
    /// The debug port of one process.
    Debug,
}

impl Source {
    /// Its representation in the database and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Cli => "cli",
            Self::File => "file",
            Self::Sighup => "sighup",
            Self::Debug => "debug",
        }
    }
}

/// A change to be recorded by [`Store::add_audit`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAudit {
    /// How long before it is recorded the change was made; zero unless it waited for the database. The
    /// time of the row is that of the database's clock, minus this.
    pub age: Duration,
    /// The operator.
    pub operator: String,
    /// The kind of target and the action: `endpoint.disable`.
    pub what: String,
    /// The name of the member or endpoint.
    pub name: String,
    /// The resulting toggle, as JSON.
    pub detail: Option<String>,
    /// The stated reason.
    pub why: Option<String>,
    /// The id of the process that accepted the change.
    pub process: Option<String>,
    /// Where it came from.
    pub source: Source,
}

/// A row of `audit`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct AuditRow {
    /// Increases with every row.
    pub id: i64,
    /// When the change was made, in milliseconds since 1970 UTC.
    pub at: i64,
    /// The operator.
    #[sqlx(rename = "who")]
    pub operator: String,
    /// The kind of target and the action: `endpoint.disable`.
    pub what: String,
    /// The name of the member or endpoint.
    pub name: String,
    /// The resulting toggle, as JSON.
    pub detail: Option<String>,
    /// The stated reason.
    pub why: Option<String>,
    /// The id of the process that accepted the change.
    pub process: Option<String>,
    /// Where it came from, as [`Source::as_str`].
    pub source: String,
}

impl Store {
    /// Records a change that [`Store::set_toggle`] did not make: one from a configuration file, or one
    /// accepted by a debug port while the database was unreachable. Returns the row's id.
    pub async fn add_audit(&self, row: &NewAudit) -> Result<i64, Error> {
        add(&mut self.session().await?, row).await
    }

    /// The latest changes, newest first; with `before_id`, those before that row.
    pub async fn audit(&self, limit: u32, before_id: Option<i64>) -> Result<Vec<AuditRow>, Error> {
        self.session()
            .await?
            .all(
                "SELECT id, at, who, what, name, detail, why, process, source FROM audit
                 WHERE id < $1 ORDER BY id DESC LIMIT $2",
                args![before_id.unwrap_or(i64::MAX), limit],
            )
            .await
    }

    /// Deletes the changes made longer ago than `retention`; returns their number.
    pub async fn delete_old_audit(&self, retention: Duration) -> Result<u64, Error> {
        let mut session = self.session().await?;
        let now = session.now_sql();
        session
            .execute(
                AssertSqlSafe(format!("DELETE FROM audit WHERE at < {now} - $1")),
                args![millis(retention)],
            )
            .await
    }
}

pub(crate) async fn add(session: &mut Session, row: &NewAudit) -> Result<i64, Error> {
    let now = session.now_sql();
    let (id,): (i64,) = session
        .one(
            AssertSqlSafe(format!(
                "INSERT INTO audit (at, who, what, name, detail, why, process, source)
                 VALUES ({now} - $1, $2, $3, $4, $5, $6, $7, $8) RETURNING id"
            )),
            args![
                millis(row.age),
                &row.operator,
                &row.what,
                &row.name,
                &row.detail,
                &row.why,
                &row.process,
                row.source.as_str()
            ],
        )
        .await?;
    Ok(id)
}
