//! What an operator says of members and endpoints while they run.
//!
//! **Why a poll misses nothing.** A reader asks for all toggles above the greatest revision that it
//! has seen. It would miss one if a revision could become visible after a greater one. Revisions are
//! taken from a row of `counters` by an UPDATE that is the first statement of the transaction which
//! writes the toggle; the row stays locked until that transaction has ended, so the next revision is
//! given out only after this one was committed or undone. Hence whoever can see revision n can see
//! every revision below n that will ever exist. (A sequence would not do: it hands out n + 1 while n
//! is still uncommitted.) Rows are never deleted and a change moves its row to a new revision, so the
//! greatest revision in the table is the counter's, and one SELECT reads toggles and revision from
//! one snapshot.

use crate::args::args;
use crate::audit::{self, NewAudit, Source};
use crate::listen::TOGGLES;
use crate::{Error, Store};
use serde::{Deserialize, Serialize};

/// What a toggle is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ToggleKind {
    /// A member.
    Member,
    /// An endpoint.
    Endpoint,
}

impl ToggleKind {
    /// As it stands in the database and in JSON.
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

/// A toggle in the database is on something that this version does not know.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is neither a member nor an endpoint")]
pub struct UnknownKind(String);

/// What is to be done to a toggle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// On, without a limit.
    Enable,
    /// Off.
    Disable,
    /// On, with a limit.
    Limit {
        /// Requests at once.
        to: u32,
        /// How long one of them may hold its slot, in milliseconds; none for the configured time.
        slot_ms: Option<i64>,
    },
    /// Start it anew; on or off stays as it is.
    Restart,
    /// Back to what the configuration says.
    Clear,
}

impl Action {
    /// Its name in the audit, after the kind and a dot.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enable => "enable",
            Self::Disable => "disable",
            Self::Limit { .. } => "limit",
            Self::Restart => "restart",
            Self::Clear => "clear",
        }
    }
}

/// A wish of an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToggleChange {
    /// What the toggle is on.
    pub kind: ToggleKind,
    /// The name of the member or endpoint. It is not checked here.
    pub name: String,
    /// What is to be done.
    pub action: Action,
    /// Who wants it.
    pub who: String,
    /// Why.
    pub why: Option<String>,
    /// When, in milliseconds since 1970 UTC.
    pub at: i64,
    /// The id of the process that took the change.
    pub process: Option<String>,
    /// Where it came from.
    pub source: Source,
}

/// A toggle as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct Toggle {
    /// What it is on.
    #[sqlx(try_from = "String")]
    pub kind: ToggleKind,
    /// The name of the member or endpoint.
    pub name: String,
    /// On or off; none where the configuration decides.
    pub enabled: Option<bool>,
    /// Requests at once, where it is limited.
    pub limit_to: Option<i64>,
    /// How long one of them may hold its slot, in milliseconds.
    pub slot_ms: Option<i64>,
    /// The revision of the last wish for a restart; 0 before the first.
    pub restart_revision: i64,
    /// Who set it so.
    pub who: String,
    /// Why.
    pub why: Option<String>,
    /// When, in milliseconds since 1970 UTC.
    pub at: i64,
    /// Of its last change; revisions grow over all toggles.
    pub revision: i64,
}

/// On, off, limited or cleared: everything but the last restart is new.
const SET: &str = "
    INSERT INTO toggles
        (kind, name, enabled, limit_to, slot_ms, restart_revision, who, why, at, revision)
    VALUES ($1, $2, $3, $4, $5, 0, $6, $7, $8, $9)
    ON CONFLICT (kind, name) DO UPDATE SET
        enabled = excluded.enabled, limit_to = excluded.limit_to, slot_ms = excluded.slot_ms,
        who = excluded.who, why = excluded.why, at = excluded.at, revision = excluded.revision
    RETURNING kind, name, enabled, limit_to, slot_ms, restart_revision, who, why, at, revision";

/// A restart: who set it on or off, and why, stays.
const RESTART: &str = "
    INSERT INTO toggles
        (kind, name, enabled, limit_to, slot_ms, restart_revision, who, why, at, revision)
    VALUES ($1, $2, NULL, NULL, NULL, $6, $3, $4, $5, $6)
    ON CONFLICT (kind, name) DO UPDATE SET
        restart_revision = excluded.restart_revision, revision = excluded.revision
    RETURNING kind, name, enabled, limit_to, slot_ms, restart_revision, who, why, at, revision";

impl Store {
    /// Changes a toggle and remembers who did, both or neither. On Postgres, listeners of
    /// [`TOGGLES`] are told when it is done.
    pub async fn set_toggle(&self, change: &ToggleChange) -> Result<Toggle, Error> {
        let mut transaction = self.begin().await?;
        let (revision,): (i64,) = transaction
            .one(
                "UPDATE counters SET value = value + 1 WHERE name = 'toggles' RETURNING value",
                args![],
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
                &change.who,
                &change.why,
                change.at,
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
                &change.who,
                &change.why,
                change.at,
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
            at: change.at,
            who: change.who.clone(),
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

    /// All toggles, and the revision to poll from.
    pub async fn toggles(&self) -> Result<(i64, Vec<Toggle>), Error> {
        self.toggles_since(0).await
    }

    /// The toggles that changed after `revision`, the oldest change first, and the revision to poll
    /// from the next time. No change is ever missed by asking so.
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
