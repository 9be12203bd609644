//! Toggles of members and endpoints that operators set at run time.
//!
//! **Why polling misses no change.** A reader queries all toggles above the highest revision that it
//! has seen. It would miss a toggle if a revision could become visible after a higher one. The first
//! statement of the transaction that writes a toggle takes the next revision by an UPDATE of a row of
//! `counters`. The row stays locked until the transaction ends, so a revision is assigned only after
//! the previous one was committed or rolled back. A reader that sees revision n therefore sees every
//! revision below n that will ever exist. (A sequence does not guarantee this: it assigns n + 1 while
//! n is uncommitted.) Rows are never deleted, and a change moves its row to a new revision, so the
//! highest revision in the table is the counter's, and one SELECT reads toggles and revision from the
//! same snapshot.

use crate::args::args;
use crate::audit::{self, NewAudit, Source};
use crate::listen::TOGGLES;
use crate::session::millis;
use crate::{Error, Store};
use serde::{Deserialize, Serialize};
use sqlx::AssertSqlSafe;
use std::time::Duration;

/// What a toggle applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ToggleKind {
    /// A member.
    Member,
    /// An endpoint.
    Endpoint,
}

impl ToggleKind {
    /// Its representation in the database and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Endpoint => "endpoint",
        }
    }
}

impl TryFrom<String> for ToggleKind {
    type Error = UnknownKind;

    fn try_from(text: String) -> Result<Self, UnknownKind> {
        match text.as_str() {
            "member" => Ok(Self::Member),
            "endpoint" => Ok(Self::Endpoint),
            _ => Err(UnknownKind(text)),
        }
    }
}

/// The database contains a toggle of a kind that this version does not know.
#[derive(Debug, thiserror::Error)]
#[error("unknown kind of toggle {0:?}: expected member or endpoint")]
pub struct UnknownKind(String);

/// A change of a toggle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Enable, without a limit.
    Enable,
    /// Disable.
    Disable,
    /// Enable, with a limit.
    Limit {
        /// Concurrent requests.
        to: u32,
        /// How long a request may hold its slot, in milliseconds; `None` for the configured time.
        slot_ms: Option<i64>,
    },
    /// Restart the member; the toggle does not change.
    Restart,
    /// Remove the toggle, so that the configuration decides.
    Clear,
}

impl Action {
    /// Its name in the audit log, after the kind and a dot.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enable | Self::Clear => "enable",
            Self::Disable => "disable",
            Self::Limit { .. } => "limit",
            Self::Restart => "restart",
        }
    }
}

/// A change of a toggle, with who requested it and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToggleChange {
    /// What the toggle applies to.
    pub kind: ToggleKind,
    /// The name of the member or endpoint. It is not checked here.
    pub name: String,
    /// The change.
    pub action: Action,
    /// The operator.
    pub operator: String,
    /// The stated reason.
    pub why: Option<String>,
    /// How long before it is written the change was made; zero unless it waited for the database. Its
    /// time is that of the database's clock, minus this.
    pub age: Duration,
    /// The id of the process that accepted the change.
    pub process: Option<String>,
    /// Where it came from.
    pub source: Source,
}

/// A row of `toggles`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct Toggle {
    /// What it applies to.
    #[sqlx(try_from = "String")]
    pub kind: ToggleKind,
    /// The name of the member or endpoint.
    pub name: String,
    /// `None` where the configuration decides.
    pub enabled: Option<bool>,
    /// The maximum number of concurrent requests, if it is limited.
    pub limit_to: Option<i64>,
    /// How long a request may hold its slot, in milliseconds.
    pub slot_ms: Option<i64>,
    /// The revision of the latest requested restart; 0 before the first.
    pub restart_revision: i64,
    /// The operator who set it.
    #[sqlx(rename = "who")]
    pub operator: String,
    /// The stated reason.
    pub why: Option<String>,
    /// When the change was made, in milliseconds since 1970 UTC.
    pub at: i64,
    /// The revision of its last change. Revisions increase over all toggles.
    pub revision: i64,
}

/// Enables, disables, limits or clears a toggle. Replaces every column but the last restart.
const SET: &str = "
    INSERT INTO toggles
        (kind, name, enabled, limit_to, slot_ms, restart_revision, who, why, at, revision)
    VALUES ($1, $2, $3, $4, $5, 0, $6, $7, $8, $9)
    ON CONFLICT (kind, name) DO UPDATE SET
        enabled = excluded.enabled, limit_to = excluded.limit_to, slot_ms = excluded.slot_ms,
        who = excluded.who, why = excluded.why, at = excluded.at, revision = excluded.revision
    RETURNING kind, name, enabled, limit_to, slot_ms, restart_revision, who, why, at, revision";

/// Records a restart. Who set the toggle, and why, does not change.
const RESTART: &str = "
    INSERT INTO toggles
        (kind, name, enabled, limit_to, slot_ms, restart_revision, who, why, at, revision)
    VALUES ($1, $2, NULL, NULL, NULL, $6, $3, $4, $5, $6)
    ON CONFLICT (kind, name) DO UPDATE SET
        restart_revision = excluded.restart_revision, revision = excluded.revision
    RETURNING kind, name, enabled, limit_to, slot_ms, restart_revision, who, why, at, revision";

impl Store {
    /// Changes a toggle and records the change in the audit log, in one transaction. On Postgres,
    /// listeners of [`TOGGLES`] receive the new revision after the commit.
    pub async fn set_toggle(&self, change: &ToggleChange) -> Result<Toggle, Error> {
        let mut transaction = self.begin().await?;
        let now = transaction.now_sql();
        let (revision, at): (i64, i64) = transaction
            .one(
                AssertSqlSafe(format!(
                    "UPDATE counters SET value = value + 1 WHERE name = 'toggles'
                     RETURNING value, {now} - $1"
                )),
                args![millis(change.age)],
            )
            .await?;
        let kind = change.kind.as_str();
        let (enabled, limit_to, slot_ms) = match change.action {
            Action::Enable => (Some(true), None, None),
            Action::Disable => (Some(false), None, None),
            Action::Limit { to, slot_ms } => (Some(true), Some(i64::from(to)), slot_ms),
            Action::Clear | Action::Restart => (None, None, None),
        };
        let toggle: Toggle = if change.action == Action::Restart {
            let args = args![
                kind,
                &change.name,
                &change.operator,
                &change.why,
                at,
                revision
            ];
            transaction.one(RESTART, args).await?
        } else {
            let args = args![
                kind,
                &change.name,
                enabled,
                limit_to,
                slot_ms,
                &change.operator,
                &change.why,
                at,
                revision
            ];
            transaction.one(SET, args).await?
        };
        let detail = serde_json::json!({
            "enabled": toggle.enabled,
            "limit_to": toggle.limit_to,
            "slot_ms": toggle.slot_ms,
            "revision": toggle.revision,
        });
        let row = NewAudit {
            age: change.age,
            operator: change.operator.clone(),
            what: format!("{kind}.{}", change.action.as_str()),
            name: change.name.clone(),
            detail: Some(detail.to_string()),
            why: change.why.clone(),
            process: change.process.clone(),
            source: change.source,
        };
        audit::add(&mut transaction, &row).await?;
        transaction.notify(TOGGLES, &revision.to_string()).await?;
        transaction.commit().await?;
        Ok(toggle)
    }

    /// All toggles, and the revision from which to poll for changes.
    pub async fn toggles(&self) -> Result<(i64, Vec<Toggle>), Error> {
        self.toggles_since(0).await
    }

    /// The toggles that changed after `revision`, oldest change first, and the revision for the next
    /// poll. Polling in this way misses no change.
    pub async fn toggles_since(&self, revision: i64) -> Result<(i64, Vec<Toggle>), Error> {
        let toggles: Vec<Toggle> = self
            .session()
            .await?
            .all(
                "SELECT kind, name, enabled, limit_to, slot_ms, restart_revision, who, why, at, revision
                 FROM toggles WHERE revision > $1 ORDER BY revision",
                args![revision],
            )
            .await?;
        let latest = toggles.last().map_or(revision, |toggle| toggle.revision);
        Ok((latest, toggles))
    }
}
