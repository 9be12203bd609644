//! Changes of members and endpoints.

use crate::control::Control;
use crate::problem::Problem;
use crate::toggling::{ToggleCommand, ToggleOutcome};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::header;
use axum::http::request::Parts;
use davy_store::{Action, NewAudit, Source, ToggleKind};
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;

/// The header that names the operator.
const OPERATOR: &str = "davy-user";
const OPERATOR_CHARS_MAX: usize = 200;
const REASON_BYTES_MAX: usize = 2_000;

/// The body of a change of a member.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MemberChange {
    /// `false` stops the member in every process; `true` runs it as configured.
    enabled: bool,
    /// The reason, which the member list and the audit log show. At most 2,000 bytes.
    #[serde(default)]
    #[schemars(length(max = REASON_BYTES_MAX))]
    why: String,
}

/// The body of a change of an endpoint.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndpointChange {
    /// `false` refuses requests; `true` without `limit` serves them as configured.
    enabled: Option<bool>,
    /// How many requests the fleet serves concurrently, at least 1.
    #[schemars(range(min = 1))]
    limit: Option<u32>,
    /// How long a request may hold a slot under the limit, such as `30s`.
    slot: Option<String>,
    /// The reason, which refused requests and the audit log show. At most 2,000 bytes.
    #[serde(default)]
    #[schemars(length(max = REASON_BYTES_MAX))]
    why: String,
}

/// The body of a restart. May be left out.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Restart {
    /// The reason, for the audit log. At most 2,000 bytes.
    #[serde(default)]
    #[schemars(length(max = REASON_BYTES_MAX))]
    why: String,
}

type Answer = Result<Json<ToggleOutcome>, Problem>;

/// An operator who may change something. Extracting it authorizes the request.
pub(super) struct Operator {
    name: String,
    source: Source,
}

impl FromRequestParts<Control> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, control: &Control) -> Result<Self, Problem> {
        let caller = parts.extensions.get().copied().unwrap_or_default();
        control.0.access.may_change(caller, &parts.headers)?;
        let text = |name: &str| {
            parts
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        // A browser sends a header like this one to another site only after that site has allowed it.
        let Some(name) = text(OPERATOR) else {
            return Err(Problem::bad_request(
                "missing header Davy-User; it names the operator in the audit log",
            ));
        };
        let is_cli = text(header::USER_AGENT.as_str()).is_some_and(|a| a.starts_with("davy/"));
        Ok(Self {
            name: name
                .chars()
                .filter(|c| !c.is_control())
                .take(OPERATOR_CHARS_MAX)
                .collect(),
            source: if is_cli { Source::Cli } else { Source::Api },
        })
    }
}

pub(super) async fn member(
    State(control): State<Control>,
    Path(name): Path<String>,
    operator: Operator,
    body: Bytes,
) -> Answer {
    let body: MemberChange = parse(&body, "{\"enabled\": false, \"why\": \"...\"}")?;
    let action = if body.enabled {
        Action::Clear
    } else {
        Action::Disable
    };
    operator
        .change(&control, ToggleKind::Member, name, action, &body.why)
        .await
}

pub(super) async fn endpoint(
    State(control): State<Control>,
    Path(name): Path<String>,
    operator: Operator,
    body: Bytes,
) -> Answer {
    let example = "{\"enabled\": false, \"why\": \"...\"} or {\"limit\": 5, \"slot\": \"30s\"}";
    let body: EndpointChange = parse(&body, example)?;
    let slot = body.slot.as_deref().map(|text| {
        let span = humantime::parse_duration(text)
            .ok()
            .filter(|span| !span.is_zero());
        span.ok_or_else(|| {
            Problem::bad_request(format!(
                "invalid slot {text:?}: expected a duration such as 30s"
            ))
        })
    });
    let slot_ms = slot.transpose()?.map(|span| span.as_millis() as i64);
    let action = match (body.enabled, body.limit) {
        (_, Some(0)) => {
            return Err(Problem::bad_request(
                "invalid limit 0: expected at least 1; to refuse all requests, send \"enabled\": false",
            ));
        }
        (Some(false), None) => Action::Disable,
        (Some(true) | None, Some(to)) => Action::Limit { to, slot_ms },
        (Some(true), None) => Action::Clear,
        (Some(false), Some(_)) => {
            return Err(Problem::bad_request(
                "\"enabled\": false and \"limit\" are mutually exclusive; send one of them",
            ));
        }
        (None, None) => {
            return Err(Problem::bad_request(
                "the body requests no change; send \"enabled\": true or false, or \"limit\": N",
            ));
        }
    };
    operator
        .change(&control, ToggleKind::Endpoint, name, action, &body.why)
        .await
}

pub(super) async fn restart(
    State(control): State<Control>,
    Path(name): Path<String>,
    operator: Operator,
    body: Bytes,
) -> Answer {
    let body = if body.is_empty() {
        Restart::default()
    } else {
        parse(&body, "{\"why\": \"...\"}")?
    };
    operator
        .change(
            &control,
            ToggleKind::Member,
            name,
            Action::Restart,
            &body.why,
        )
        .await
}

pub(super) async fn wake(
    State(control): State<Control>,
    Path(name): Path<String>,
    operator: Operator,
) -> Answer {
    control.check_periodic(&name).await?;
    let row = NewAudit {
        age: Duration::ZERO,
        operator: operator.name,
        what: "member.wake".to_owned(),
        name: name.clone(),
        detail: None,
        why: None,
        process: Some(control.identity().id.to_string()),
        source: operator.source,
    };
    let woken = async {
        control.0.store.wake(&name).await?;
        control.0.store.add_audit(&row).await
    };
    let woken = woken.await;
    control.observe_database(&woken);
    match woken {
        Ok(_) => Ok(Json(control.outcome(
            ToggleKind::Member,
            name,
            "runs within a few seconds in the process that hosts it".to_owned(),
        ))),
        Err(error) => Err(Problem::query_failed("ticks", error)),
    }
}

impl Operator {
    /// The name of the operator.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Adds an entry to the audit log.
    pub(super) async fn audit(
        &self,
        control: &Control,
        what: &str,
        name: &str,
    ) -> Result<(), Problem> {
        let row = NewAudit {
            age: Duration::ZERO,
            operator: self.name.clone(),
            what: what.to_owned(),
            name: name.to_owned(),
            detail: None,
            why: None,
            process: Some(control.identity().id.to_string()),
            source: self.source,
        };
        let added = control.0.store.add_audit(&row).await;
        added
            .map(drop)
            .map_err(|error| Problem::query_failed("audit entries", error))
    }

    /// Records a capture in the audit log.
    pub(super) async fn audit_captured(
        &self,
        control: &Control,
        capture: &davy_archive::Capture,
        why: &str,
    ) -> Result<(), Problem> {
        let row = NewAudit {
            age: Duration::ZERO,
            operator: self.name.clone(),
            what: "heap.capture".to_owned(),
            name: capture.process.kind.clone(),
            detail: Some(capture.id.clone()),
            why: (!why.is_empty()).then(|| why.to_owned()),
            process: Some(control.identity().id.to_string()),
            source: self.source,
        };
        let added = control.0.store.add_audit(&row).await;
        added
            .map(drop)
            .map_err(|error| Problem::query_failed("audit entries", error))
    }

    async fn change(
        self,
        control: &Control,
        kind: ToggleKind,
        name: String,
        action: Action,
        why: &str,
    ) -> Answer {
        if why.len() > REASON_BYTES_MAX {
            return Err(Problem::bad_request(format!(
                "invalid \"why\": expected at most {REASON_BYTES_MAX} bytes, got {}",
                why.len()
            )));
        }
        let command = ToggleCommand {
            kind,
            name,
            action,
            operator: self.name,
            why: why.trim().to_owned(),
            source: self.source,
        };
        control.toggle(command).await.map(Json)
    }
}

fn parse<T: serde::de::DeserializeOwned>(body: &[u8], example: &str) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        Problem::bad_request(format!(
            "invalid body: {error}; expected JSON such as {example}"
        ))
    })
}
