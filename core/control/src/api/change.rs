//! Toggling members and endpoints.

use crate::control::Control;
use crate::problem::Problem;
use crate::toggling::{Taken, Wanted};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use davy_store::{Action, NewAudit, Source, ToggleKind};
use serde::Deserialize;
use std::net::IpAddr;

/// Who asks for a change, as `davy` sends it.
const WHO: &str = "davy-user";
const NAME_BYTES_MAX: usize = 200;
const WHY_BYTES_MAX: usize = 2_000;

/// The other end of a connection, as far as it is known.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub Option<IpAddr>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    enabled: Option<bool>,
    limit: Option<u32>,
    /// A duration such as `30s`.
    slot: Option<String>,
    #[serde(default)]
    why: String,
}

type Answer = Result<Json<Taken>, Problem>;

/// Somebody who may change something.
pub(super) struct Asker {
    who: String,
    source: Source,
}

impl FromRequestParts<Control> for Asker {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, control: &Control) -> Result<Self, Problem> {
        let peer = parts.extensions.get::<Peer>().copied();
        authorize(control, peer, &parts.headers)
    }
}

pub(super) async fn member(
    State(control): State<Control>,
    Path(name): Path<String>,
    asker: Asker,
    body: Bytes,
) -> Answer {
    let body = read(&body)?;
    let action = match (body.enabled, body.limit) {
        (Some(true), None) => Action::Clear,
        (Some(false), None) => Action::Disable,
        (_, Some(_)) => {
            return Err(wrong(
                "a member has no limit; its endpoints have".to_owned(),
            ));
        }
        (None, None) => return Err(wrong("say \"enabled\": true or false".to_owned())),
    };
    asker
        .change(&control, ToggleKind::Member, name, action, &body.why)
        .await
}

pub(super) async fn endpoint(
    State(control): State<Control>,
    Path(name): Path<String>,
    asker: Asker,
    body: Bytes,
) -> Answer {
    let body = read(&body)?;
    let slot = body.slot.as_deref().map(|text| {
        let span = humantime::parse_duration(text)
            .ok()
            .filter(|span| !span.is_zero());
        span.ok_or_else(|| wrong(format!("\"slot\": {text:?} is not a duration such as 30s")))
    });
    let slot_ms = slot.transpose()?.map(|span| span.as_millis() as i64);
    let action = match (body.enabled, body.limit) {
        (_, Some(0)) => {
            return Err(wrong(
                "a limit of 0 lets nobody in; say \"enabled\": false".to_owned(),
            ));
        }
        (Some(false), None) => Action::Disable,
        (Some(true) | None, Some(to)) => Action::Limit { to, slot_ms },
        (Some(true), None) => Action::Clear,
        (Some(false), Some(_)) => return Err(wrong("it is either off or limited".to_owned())),
        (None, None) => {
            let either = "say \"enabled\": true or false, or \"limit\": a number";
            return Err(wrong(either.to_owned()));
        }
    };
    asker
        .change(&control, ToggleKind::Endpoint, name, action, &body.why)
        .await
}

pub(super) async fn restart(
    State(control): State<Control>,
    Path(name): Path<String>,
    asker: Asker,
    body: Bytes,
) -> Answer {
    let why = if body.is_empty() {
        String::new()
    } else {
        read(&body)?.why
    };
    asker
        .change(&control, ToggleKind::Member, name, Action::Restart, &why)
        .await
}

pub(super) async fn wake(
    State(control): State<Control>,
    Path(name): Path<String>,
    asker: Asker,
) -> Answer {
    control.check_periodic(&name).await?;
    let row = NewAudit {
        at: control.0.clock.now().millis(),
        who: asker.who,
        what: "member.wake".to_owned(),
        name: name.clone(),
        detail: None,
        why: None,
        process: Some(control.identity().id.to_string()),
        source: asker.source,
    };
    let woken = async {
        control.0.store.wake(&name).await?;
        control.0.store.audit_add(&row).await
    };
    let woken = woken.await;
    control.database_said(&woken);
    match woken {
        Ok(_) => Ok(Json(Taken {
            detail: format!("{name} runs within a few seconds, wherever it is hosted"),
            name,
            obeyed_by: "everywhere",
        })),
        Err(error) => Err(super::database_problem("ticks", error)),
    }
}

impl Asker {
    async fn change(
        self,
        control: &Control,
        kind: ToggleKind,
        name: String,
        action: Action,
        why: &str,
    ) -> Answer {
        if why.len() > WHY_BYTES_MAX {
            return Err(wrong(format!("a reason has at most {WHY_BYTES_MAX} bytes")));
        }
        let wanted = Wanted {
            kind,
            name,
            action,
            who: self.who,
            why: why.trim().to_owned(),
            source: self.source,
        };
        control.toggle(wanted).await.map(Json)
    }
}

/// Who asks, if they may.
fn authorize(control: &Control, peer: Option<Peer>, headers: &HeaderMap) -> Result<Asker, Problem> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let token = &control.0.token;
    if token.is_empty() {
        // Without a token only this machine may change anything; another page in its browser may not.
        let is_local = peer.is_none_or(|Peer(ip)| ip.is_none_or(|ip| ip.is_loopback()));
        if !is_local || !names_this_machine(headers) {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "changes are taken only from this machine, by its address, while no http.token is set",
            ));
        }
    } else {
        let shown = text("authorization").and_then(|value| value.strip_prefix("Bearer "));
        if !shown.is_some_and(|shown| same(shown.trim(), token)) {
            return Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "a change needs the token of http.token: --token or DAVY_TOKEN, or Authorization: Bearer",
            ));
        }
    }
    // A browser sends this header for no other page's request without having asked first.
    let Some(who) = text(WHO) else {
        return Err(wrong("say who you are in the header Davy-User".to_owned()));
    };
    let who: String = who
        .chars()
        .filter(|c| !c.is_control())
        .take(NAME_BYTES_MAX)
        .collect();
    let source = match text(header::USER_AGENT.as_str()) {
        Some(agent) if agent.starts_with("davy/") => Source::Cli,
        _ => Source::Api,
    };
    Ok(Asker { who, source })
}

/// Whether the request was sent to an address rather than to somebody's domain, which may have been
/// bent to point to this machine (DNS rebinding).
fn names_this_machine(headers: &HeaderMap) -> bool {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or("");
    let name = host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name).trim_matches(['[', ']']);
    name.is_empty() || name == "localhost" || name == "davy" || name.parse::<IpAddr>().is_ok()
}

/// Compares in a time that does not tell how much was right.
fn same(shown: &str, token: &str) -> bool {
    let difference = shown
        .bytes()
        .zip(token.bytes())
        .fold(0, |sum, (a, b)| sum | (a ^ b));
    shown.len() == token.len() && difference == 0
}

fn read(body: &[u8]) -> Result<Body, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        wrong(format!(
            "the body is not what a toggle takes ({error}); it is JSON such as {{\"enabled\": false, \"why\": \"...\"}}"
        ))
    })
}

fn wrong(detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}
