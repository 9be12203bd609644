//! Taking a change: checked, obeyed here at once, written for the rest of the fleet, audited.

use crate::control::{Control, Database, locked};
use crate::names::Refused;
use crate::problem::Problem;
use axum::http::StatusCode;
use davy_runtime::{Setting, Target, Toggles};
use davy_store::{Action, NewAudit, Source, Toggle, ToggleChange, ToggleKind};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Changes kept while the database is down.
const PENDING_MAX: usize = 100;

/// A change that somebody asked for.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) kind: ToggleKind,
    pub(crate) name: String,
    pub(crate) action: Action,
    pub(crate) who: String,
    pub(crate) why: String,
    pub(crate) source: Source,
}

/// What holds for every target of which anything was said, in words.
fn effects(toggles: &Toggles) -> BTreeMap<Target, String> {
    let said = toggles.all().into_iter().map(|toggled| {
        let effective = toggled.effective;
        let words = match (effective.enabled, effective.limit) {
            (false, _) => "off".to_owned(),
            (true, None) => "on".to_owned(),
            (true, Some(limit)) => format!("limit {limit}"),
        };
        (toggled.target, words)
    });
    said.collect()
}

/// What became of a change.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Taken {
    /// The member or operation.
    pub(crate) name: String,
    /// `everywhere`, or `this process` while the database is down.
    pub(crate) obeyed_by: &'static str,
    /// What follows, in a sentence.
    pub(crate) detail: String,
}

impl Control {
    /// Takes a change, or says why not.
    pub(crate) async fn toggle(&self, wanted: Wanted) -> Result<Taken, Problem> {
        self.check_name(&wanted)?;
        let inner = &self.0;
        let now = inner.clock.now();
        let (enabled, limit, slot_ms) = match wanted.action {
            Action::Clear | Action::Enable | Action::Restart => (None, None, None),
            Action::Disable => (Some(false), None, None),
            Action::Limit { to, slot_ms } => (Some(true), Some(to), slot_ms),
        };
        let target = match wanted.kind {
            ToggleKind::Member => Target::Member(wanted.name.clone()),
            ToggleKind::Endpoint => Target::Endpoint(wanted.name.clone()),
        };
        if wanted.action == Action::Clear {
            self.refuse_clear_without_effect(&target)?;
        }
        let way_back = match wanted.action {
            Action::Disable => inner.endpoints.way_back(&target),
            _ => None,
        };
        if wanted.action != Action::Restart {
            let setting = enabled.map(|enabled| Setting {
                enabled: Some(enabled),
                limit,
                slot: slot_ms.map(|ms| Duration::from_millis(ms.unsigned_abs())),
                who: wanted.who.clone(),
                why: wanted.why.clone(),
                at: now,
                source: "live".to_owned(),
            });
            inner
                .toggles
                .set_live(target, setting)
                .map_err(|error| Problem::new(StatusCode::CONFLICT, error.to_string()))?;
            self.apply();
        }
        let change = ToggleChange {
            kind: wanted.kind,
            name: wanted.name,
            action: wanted.action,
            who: wanted.who,
            why: Some(wanted.why).filter(|why| !why.is_empty()),
            at: now.millis(),
            process: Some(inner.identity.id.to_string()),
            source: wanted.source,
        };
        let mut taken = self.write(change).await?;
        if let Some(way_back) = way_back {
            taken.detail = format!("{}; {way_back}", taken.detail);
        }
        Ok(taken)
    }

    /// Takes what the configuration says of toggles, and remembers what that changed. Where it came
    /// with the start of the process there is nothing to remember.
    pub async fn configure(&self, settings: Vec<(Target, Setting)>) {
        let toggles = &self.0.toggles;
        let before = effects(toggles);
        toggles.set_configured(settings);
        self.apply();
        let after = effects(toggles);
        let targets: BTreeSet<&Target> = before.keys().chain(after.keys()).collect();
        for target in targets {
            let (old, new) = (before.get(target), after.get(target));
            // What a child reads again, its parent has read too.
            if old == new || self.0.identity.parent.is_some() {
                continue;
            }
            let kind = match target {
                Target::Member(_) => "member",
                Target::Endpoint(_) => "endpoint",
            };
            let row = NewAudit {
                at: self.0.clock.now().millis(),
                who: self.0.identity.host.clone(),
                what: format!("{kind}.configure"),
                name: target.name().to_owned(),
                detail: Some(serde_json::json!({"before": old, "after": new}).to_string()),
                why: Some("the configuration was read again".to_owned()),
                process: Some(self.0.identity.id.to_string()),
                source: Source::Sighup,
            };
            let written = self.0.store.audit_add(&row).await;
            self.database_said(&written);
            if let Err(error) = written {
                tracing::warn!(name = row.name, %error, "a change of the configuration is not in the audit");
            }
        }
    }

    /// Whether a periodic member has that name and has run before.
    pub(crate) async fn check_periodic(&self, name: &str) -> Result<(), Problem> {
        let unknown = |refused: Refused| Problem::new(StatusCode::NOT_FOUND, refused.to_string());
        self.0.names.member(name).map_err(unknown)?;
        let (_, ticks) = self.fleet().await;
        if ticks.iter().any(|tick| tick.name == name) {
            return Ok(());
        }
        let known: Vec<&str> = ticks.iter().map(|tick| tick.name.as_str()).collect();
        Err(Problem::new(
            StatusCode::CONFLICT,
            format!("{name} is not periodic; these are: {}", known.join(", ")),
        ))
    }

    fn check_name(&self, wanted: &Wanted) -> Result<(), Problem> {
        let names = &self.0.names;
        let checked = match (wanted.kind, wanted.action) {
            (ToggleKind::Endpoint, _) => names.operation(&wanted.name),
            (ToggleKind::Member, Action::Clear) => names.member(&wanted.name),
            (ToggleKind::Member, _) => names.member_to_disable(&wanted.name),
        };
        checked.map_err(|refused| {
            let status = match refused {
                Refused::Unknown(_) => StatusCode::NOT_FOUND,
                Refused::Needed(_) => StatusCode::CONFLICT,
            };
            Problem::new(status, refused.to_string())
        })
    }

    /// To enable what the configuration disables would change nothing, and must not look as
    /// if it did.
    fn refuse_clear_without_effect(&self, target: &Target) -> Result<(), Problem> {
        let toggled = self
            .0
            .toggles
            .all()
            .into_iter()
            .find(|known| known.target == *target);
        let configured = toggled.map_or_else(Vec::new, |toggled| toggled.configured);
        let Some(by) = configured
            .iter()
            .find(|setting| setting.enabled == Some(false))
        else {
            return Ok(());
        };
        let name = target.name();
        Err(Problem::new(
            StatusCode::CONFLICT,
            format!(
                "{name} is disabled by {}, which a live toggle can't widen; change it there and send the process SIGHUP",
                by.source
            ),
        ))
    }

    async fn write(&self, change: ToggleChange) -> Result<Taken, Problem> {
        let name = change.name.clone();
        let everywhere = Taken {
            name: name.clone(),
            obeyed_by: "everywhere",
            detail: "every process obeys within a second".to_owned(),
        };
        let unreachable = if self.database() == Database::Up {
            let written = self.0.store.set_toggle(&change).await;
            self.database_said(&written);
            match written {
                Ok(_) => return Ok(everywhere),
                Err(error) if error.is_unreachable() => error.to_string(),
                Err(error) => {
                    tracing::error!(name, %error, "a toggle can't be written");
                    return Err(Problem::new(
                        StatusCode::INTERNAL_SERVER_ERROR,
                        format!(
                            "{name} is toggled in this process, but the change can't be written: {error}"
                        ),
                    ));
                }
            }
        } else {
            "it is not connected".to_owned()
        };
        if change.action == Action::Restart {
            self.restart_here(&name);
        }
        let mut pending = locked(&self.0.pending);
        if pending.len() >= PENDING_MAX {
            return Err(Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                format!(
                    "{name} is toggled in this process only: the database is down, and {PENDING_MAX} changes wait for it already"
                ),
            ));
        }
        pending.push_back(change);
        Ok(Taken {
            detail: format!(
                "{name} is toggled in this process only: the database is down ({unreachable}); it is written when that is back. Ask the debug port of the other processes meanwhile"
            ),
            name,
            obeyed_by: "this process",
        })
    }
}

/// What a row of the database says.
pub(crate) fn setting_of(toggle: &Toggle) -> Option<Setting> {
    let enabled = toggle.enabled?;
    let slot = toggle
        .slot_ms
        .map(|ms| Duration::from_millis(ms.unsigned_abs()));
    Some(Setting {
        enabled: Some(enabled),
        limit: toggle.limit_to.and_then(|limit| limit.try_into().ok()),
        slot,
        who: toggle.who.clone(),
        why: toggle.why.clone().unwrap_or_default(),
        at: davy_base::Timestamp::from_millis(toggle.at),
        source: "live".to_owned(),
    })
}
