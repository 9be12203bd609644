//! Who changed what, when, and why.

use crate::args::args;
use crate::session::Session;
use crate::{Error, Store};
use serde::{Deserialize, Serialize};

/// Where a change came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The HTTP API.
    Api,
    /// The command line.
    Cli,
    /// The configuration file, at a start.
    File,
    /// The configuration file, read again on SIGHUP.
    Sighup,
    /// The debug port of one process.
    Debug,
}

impl Source {
    /// As it stands in the database and in JSON.
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

/// A change that is to be remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAudit {
    /// When, in milliseconds since 1970 UTC.
    pub at: i64,
    /// Who.
    pub who: String,
    /// What was done, such as `endpoint.disable`.
    pub what: String,
    /// To which member or endpoint.
    pub name: String,
    /// More about it, as JSON.
    pub detail: Option<String>,
    /// The reason that was given.
    pub why: Option<String>,
    /// The id of the process that took the change.
    pub process: Option<String>,
    /// Where it came from.
    pub source: Source,
}

/// A change that was remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct AuditRow {
    /// Grows with every row.
    pub id: i64,
    /// When, in milliseconds since 1970 UTC.
    pub at: i64,
    /// Who.
    pub who: String,
    /// What was done, such as `endpoint.disable`.
    pub what: String,
    /// To which member or endpoint.
    pub name: String,
    /// More about it, as JSON.
    pub detail: Option<String>,
    /// The reason that was given.
    pub why: Option<String>,
    /// The id of the process that took the change.
    pub process: Option<String>,
    /// Where it came from: one of [`Source`].
    pub source: String,
}

impl Store {
    /// Remembers a change that is not a toggle in the database: one from a file, or one that a
    /// debug port took while the database was away. Gives the row's id.
    pub async fn audit_add(&self, row: &NewAudit) -> Result<i64, Error> {
        add(&mut self.session().await?, row).await
    }

    /// The newest changes, the newest first; with `before_id`, those older than that row.
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

    /// Forgets the changes from before `before` (milliseconds since 1970 UTC); gives how many those
    /// were.
    pub async fn forget_audit(&self, before: i64) -> Result<u64, Error> {
        self.session()
            .await?
            .execute("DELETE FROM audit WHERE at < $1", args![before])
            .await
    }
}

pub(crate) async fn add(session: &mut Session, row: &NewAudit) -> Result<i64, Error> {
    let (id,): (i64,) = session
        .one(
            "INSERT INTO audit (at, who, what, name, detail, why, process, source)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id",
            args![
                row.at,
                &row.who,
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
