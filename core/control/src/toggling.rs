//! Changes of toggles: checked, applied in this process, written for the fleet, audited.

use crate::control::{Control, Database, locked};
use crate::names::NameError;
use crate::pending::Pending;
use crate::problem::Problem;
use axum::http::StatusCode;
use davy_base::Timestamp;
use davy_profile::units;
use davy_runtime::{Effective, Setting, Target, Toggles};
use davy_store::{Action, NewAudit, Source, Toggle, ToggleChange, ToggleKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Changes kept in memory while the database is unreachable.
const PENDING_MAX: usize = 100;

/// A change that an operator requests.
#[derive(Clone, Debug)]
pub(crate) struct ToggleCommand {
    pub(crate) kind: ToggleKind,
    pub(crate) name: String,
    pub(crate) action: Action,
    pub(crate) operator: String,
    pub(crate) why: String,
    pub(crate) source: Source,
}

/// The effective state of a member or an endpoint, and the setting that decides it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ToggleRow {
    /// Whether the member may run, or the endpoint answers.
    pub enabled: bool,
    /// How many requests the fleet serves concurrently; null without a limit.
    pub limit: Option<u32>,
    /// How long a request may hold a slot under the limit, in seconds.
    pub slot_seconds: Option<f64>,
    /// The operator who set it; null for the configuration and built-in defaults.
    pub operator: Option<String>,
    /// The operator's reason.
    pub why: Option<String>,
    /// When it was set, in milliseconds since 1970.
    pub at: Option<i64>,
    /// What set it: a file, an environment variable, a flag, or `live`.
    pub source: Option<String>,
}

/// The result of a change.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct ToggleOutcome {
    /// The member or operation.
    pub(crate) name: String,
    /// Whether the change had an effect. One without effect is not audited.
    pub(crate) changed: bool,
    /// The effective state after the change.
    pub(crate) toggle: ToggleRow,
    /// `everywhere`, or `this process` while the database is unreachable.
    pub(crate) obeyed_by: Scope,
    /// The resulting state and what follows, in words.
    pub(crate) detail: String,
}

/// Where a change is in effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) enum Scope {
    /// In every process, within a second.
    #[serde(rename = "everywhere")]
    Fleet,
    /// In this process, until the database is reachable again.
    #[serde(rename = "this process")]
    Process,
}

/// A state in words: `disabled`, `enabled`, `limited to 5 concurrent requests`.
fn state(effective: &Effective) -> String {
    match (effective.enabled, effective.limit) {
        (false, _) => "disabled".to_owned(),
        (true, None) => "enabled".to_owned(),
        (true, Some(limit)) => {
            let requests =
                units::count(limit as usize, "concurrent request", "concurrent requests");
            format!("limited to {requests}")
        }
    }
}

/// The state of every target that the configuration or an operator has set.
fn states(toggles: &Toggles) -> BTreeMap<Target, String> {
    let toggled = toggles.all().into_iter();
    toggled
        .map(|toggled| (toggled.target, state(&toggled.effective)))
        .collect()
}

fn target(kind: ToggleKind, name: &str) -> Target {
    match kind {
        ToggleKind::Member => Target::Member(name.to_owned()),
        ToggleKind::Endpoint => Target::Endpoint(name.to_owned()),
    }
}

/// Whether two live settings have the same effect, regardless of who set them and why.
fn is_same_state(a: Option<&Setting>, b: Option<&Setting>) -> bool {
    let state = |setting: &Setting| (setting.enabled, setting.limit, setting.slot);
    a.map(state) == b.map(state)
}

impl Control {
    /// The effective state of a target.
    pub(crate) fn toggle_row(&self, target: &Target) -> ToggleRow {
        let effective = self.0.toggles.effective(target);
        let by = effective.by.as_ref();
        ToggleRow {
            enabled: effective.enabled,
            limit: effective.limit,
            slot_seconds: effective.limit.map(|_| effective.slot.as_secs_f64()),
            operator: by
                .map(|by| by.operator.clone())
                .filter(|operator| !operator.is_empty()),
            why: by.map(|by| by.why.clone()).filter(|why| !why.is_empty()),
            at: by.map(|by| by.at.millis()).filter(|at| *at > 0),
            source: by.map(|by| by.source.clone()),
        }
    }

    /// The outcome of a change that is in effect everywhere.
    pub(crate) fn outcome(&self, kind: ToggleKind, name: String, detail: String) -> ToggleOutcome {
        ToggleOutcome {
            changed: true,
            toggle: self.toggle_row(&target(kind, &name)),
            obeyed_by: Scope::Fleet,
            detail,
            name,
        }
    }

    /// Applies a change in this process, writes and audits it. A change without effect is neither
    /// written nor audited.
    pub(crate) async fn toggle(&self, command: ToggleCommand) -> Result<ToggleOutcome, Problem> {
        self.check_name(&command)?;
        let inner = &self.0;
        let now = inner.clock.now();
        let target = target(command.kind, &command.name);
        if command.action == Action::Clear {
            self.refuse_clear_without_effect(&target)?;
        }
        if command.action != Action::Restart {
            let setting = live_setting(&command, now);
            if self
                .is_in_effect(command.kind, &target, setting.as_ref())
                .await
            {
                let state = state(&inner.toggles.effective(&target));
                let detail = format!("already {state}; nothing changed");
                let unchanged = self.outcome(command.kind, command.name, detail);
                return Ok(ToggleOutcome {
                    changed: false,
                    ..unchanged
                });
            }
            inner
                .toggles
                .set_live(target.clone(), setting)
                .map_err(|error| Problem::new(StatusCode::CONFLICT, error.to_string()))?;
            self.apply();
        }
        let recovery = match command.action {
            Action::Disable => inner.endpoints.recovery(&target),
            _ => None,
        };
        let change = ToggleChange {
            kind: command.kind,
            name: command.name,
            action: command.action,
            operator: command.operator,
            why: Some(command.why).filter(|why| !why.is_empty()),
            age: Duration::ZERO,
            process: Some(inner.identity.id.to_string()),
            source: command.source,
        };
        let mut outcome = self.write(change, &target).await?;
        if let Some(recovery) = recovery {
            outcome.detail = format!("{}; {recovery}", outcome.detail);
        }
        Ok(outcome)
    }

    /// Whether the live setting of a target is already `wanted`.
    ///
    /// This process may not have read the last changes of others yet, so the database decides. While
    /// it is unreachable nothing counts as in effect.
    async fn is_in_effect(
        &self,
        kind: ToggleKind,
        target: &Target,
        wanted: Option<&Setting>,
    ) -> bool {
        let known = self.0.toggles.all();
        let live = known
            .iter()
            .find(|toggled| toggled.target == *target)
            .and_then(|toggled| toggled.live.as_deref());
        if !is_same_state(live, wanted) || self.database() != Database::Up {
            return false;
        }
        let rows = self.0.store.toggles_since(0).await;
        self.observe_database(&rows);
        let Ok((_, rows)) = rows else { return false };
        let row = rows
            .iter()
            .find(|row| row.kind == kind && row.name == target.name());
        is_same_state(row.and_then(setting_of).as_ref(), wanted)
    }

    /// Replaces the configured toggles, and audits what that changed.
    pub async fn configure(&self, settings: Vec<(Target, Setting)>) {
        let toggles = &self.0.toggles;
        let before = states(toggles);
        toggles.set_configured(settings);
        self.apply();
        let after = states(toggles);
        let targets: BTreeSet<&Target> = before.keys().chain(after.keys()).collect();
        for target in targets {
            let (old, new) = (before.get(target), after.get(target));
            // A child reads the same configuration as its parent, which audits the change.
            if old == new || self.0.identity.parent.is_some() {
                continue;
            }
            let kind = match target {
                Target::Member(_) => "member",
                Target::Endpoint(_) => "endpoint",
            };
            let row = NewAudit {
                age: Duration::ZERO,
                operator: self.0.identity.host.clone(),
                what: format!("{kind}.configure"),
                name: target.name().to_owned(),
                detail: Some(serde_json::json!({"before": old, "after": new}).to_string()),
                why: Some("the configuration was reloaded".to_owned()),
                process: Some(self.0.identity.id.to_string()),
                source: Source::Sighup,
            };
            let written = self.0.store.add_audit(&row).await;
            self.observe_database(&written);
            if let Err(error) = written {
                tracing::warn!(name = row.name, %error, "configuration change not audited");
            }
        }
    }

    /// Refuses names that are not those of a periodic member.
    pub(crate) async fn check_periodic(&self, name: &str) -> Result<(), Problem> {
        let unknown = |error: NameError| Problem::new(StatusCode::NOT_FOUND, error.to_string());
        self.0.names.member(name).map_err(unknown)?;
        let ticks = self.fleet().await.ticks;
        if ticks.iter().any(|tick| tick.name == name) {
            return Ok(());
        }
        let known: Vec<&str> = ticks.iter().map(|tick| tick.name.as_str()).collect();
        Err(Problem::new(
            StatusCode::CONFLICT,
            format!(
                "member {name} is not periodic; periodic members: {}",
                known.join(", ")
            ),
        ))
    }

    fn check_name(&self, command: &ToggleCommand) -> Result<(), Problem> {
        let names = &self.0.names;
        let checked = match (command.kind, command.action) {
            (ToggleKind::Endpoint, _) => names.operation(&command.name),
            (ToggleKind::Member, Action::Clear) => names.member(&command.name),
            (ToggleKind::Member, _) => names.member_to_disable(&command.name),
        };
        checked.map_err(|error| {
            let status = match error {
                NameError::Unknown { .. } => StatusCode::NOT_FOUND,
                NameError::Required { .. } => StatusCode::CONFLICT,
            };
            Problem::new(status, error.to_string())
        })
    }

    /// Enabling a target that the configuration disables would report success and change nothing.
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
        Err(Problem::new(
            StatusCode::CONFLICT,
            format!(
                "{} is disabled by the configuration ({}), which a live toggle cannot override; change it there and send the process SIGHUP",
                target.name(),
                by.source
            ),
        ))
    }

    async fn write(&self, change: ToggleChange, target: &Target) -> Result<ToggleOutcome, Problem> {
        let name = change.name.clone();
        let state = match change.action {
            Action::Restart => "restarting".to_owned(),
            _ => state(&self.0.toggles.effective(target)),
        };
        let unreachable = if self.database() == Database::Up {
            let written = self.0.store.set_toggle(&change).await;
            self.observe_database(&written);
            match written {
                Ok(_) => {
                    let detail = format!("{state}; every process applies this within a second");
                    return Ok(self.outcome(change.kind, name, detail));
                }
                Err(error) if error.is_transient() => error.to_string(),
                Err(error) => {
                    tracing::error!(name, %error, "toggle not written");
                    return Err(Problem::new(
                        StatusCode::INTERNAL_SERVER_ERROR,
                        format!(
                            "{name} is {state} in this process, but the change cannot be written: {error}"
                        ),
                    ));
                }
            }
        } else {
            "not connected".to_owned()
        };
        if change.action == Action::Restart {
            self.restart_here(&name);
        }
        let kind = change.kind;
        let mut pending = locked(&self.0.pending);
        if pending.len() >= PENDING_MAX {
            return Err(Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                format!(
                    "{name} is {state} in this process only: the database is unreachable and {PENDING_MAX} changes are already queued for it"
                ),
            ));
        }
        pending.push_back(Pending {
            change,
            made: self.0.clock.monotonic(),
        });
        let detail = format!(
            "{state} in this process only: the database is unreachable ({unreachable}). The change is written once the database is reachable again; until then, send it to the debug port of every other process"
        );
        Ok(ToggleOutcome {
            obeyed_by: Scope::Process,
            ..self.outcome(kind, name, detail)
        })
    }
}

/// The live setting that a command asks for; `None` removes the current one.
fn live_setting(command: &ToggleCommand, now: Timestamp) -> Option<Setting> {
    let (enabled, limit, slot_ms) = match command.action {
        Action::Clear | Action::Enable | Action::Restart => return None,
        Action::Disable => (false, None, None),
        Action::Limit { to, slot_ms } => (true, Some(to), slot_ms),
    };
    Some(Setting {
        enabled: Some(enabled),
        limit,
        slot: slot_ms.map(|ms| Duration::from_millis(ms.unsigned_abs())),
        operator: command.operator.clone(),
        why: command.why.clone(),
        at: now,
        source: "live".to_owned(),
    })
}

/// The live setting in a row of the database; `None` if the toggle was removed.
pub(crate) fn setting_of(toggle: &Toggle) -> Option<Setting> {
    let enabled = toggle.enabled?;
    let slot = toggle
        .slot_ms
        .map(|ms| Duration::from_millis(ms.unsigned_abs()));
    Some(Setting {
        enabled: Some(enabled),
        limit: toggle.limit_to.and_then(|limit| limit.try_into().ok()),
        slot,
        operator: toggle.operator.clone(),
        why: toggle.why.clone().unwrap_or_default(),
        at: Timestamp::from_millis(toggle.at),
        source: "live".to_owned(),
    })
}

#[cfg(test)]
mod tests;
