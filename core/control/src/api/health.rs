//! Alive, ready, healthy.

use super::rows::last_run;
use crate::control::{Control, Database};
use crate::metrics::Metrics;
use crate::problem::Problem;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use davy_runtime::Target;
use serde::Serialize;
use serde_json::json;
use std::sync::Arc;

#[derive(Clone)]
struct Shared {
    control: Control,
    metrics: Arc<Metrics>,
}

/// Routes that every listener has.
pub fn health_router(control: &Control, metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(figures))
        .with_state(Shared {
            control: control.clone(),
            metrics,
        })
}

/// Something that is not as it should be.
#[derive(Clone, Debug, Serialize)]
struct Complaint {
    member: String,
    state: String,
    error: Option<String>,
}

impl Control {
    /// Members of this process that should be ready and are not.
    fn unready(&self) -> Vec<Complaint> {
        let states = self
            .0
            .runtime
            .get()
            .map(|runtime| runtime.states().unready());
        let states = states.unwrap_or_default().into_iter();
        states
            .map(|member| Complaint {
                member: member.name,
                state: member.state.as_str().to_owned(),
                error: member.error,
            })
            .collect()
    }

    /// What works, but not as it should: a lost database, and periodic members that are late.
    async fn degraded(&self) -> Vec<Complaint> {
        let mut complaints = Vec::new();
        match self.database() {
            Database::Up => {}
            Database::Connecting(since, error) | Database::Lost(since, error) => {
                complaints.push(Complaint {
                    member: "database".to_owned(),
                    state: "unreachable".to_owned(),
                    error: Some(format!("since {since}: {error}")),
                });
            }
        }
        let (_, ticks) = self.fleet().await;
        let now = self.0.clock.now().millis();
        for tick in ticks {
            let last = last_run(&tick, now);
            let is_off = !self
                .0
                .toggles
                .effective(&Target::Member(tick.name.clone()))
                .enabled;
            if last.stale && !is_off {
                complaints.push(Complaint {
                    error: Some(format!(
                        "no run has succeeded for more than twice its interval of {} s; the last: {}",
                        last.interval_seconds,
                        last.error.or(last.outcome).unwrap_or_else(|| "none".to_owned()),
                    )),
                    member: tick.name,
                    state: "stale".to_owned(),
                });
            }
        }
        complaints
    }
}

async fn ready(State(shared): State<Shared>) -> Response {
    let unready = shared.control.unready();
    let degraded = shared.control.degraded().await;
    let status = if unready.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let answer = json!({"ready": unready.is_empty(), "unready": unready, "degraded": degraded});
    (status, Json(answer)).into_response()
}

/// The health of the fleet as this process sees it: ok and degraded answer 200, failing 503.
pub(super) async fn health(State(control): State<Control>) -> Response {
    let unready = control.unready();
    let degraded = control.degraded().await;
    let (status, word) = match (unready.is_empty(), degraded.is_empty()) {
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "failing"),
        (true, false) => (StatusCode::OK, "degraded"),
        (true, true) => (StatusCode::OK, "ok"),
    };
    let answer = json!({"status": word, "failing": unready, "degraded": degraded});
    (status, Json(answer)).into_response()
}

async fn figures(State(shared): State<Shared>) -> Response {
    match shared.metrics.text(&shared.control).await {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("the figures can't be written: {error}"),
        )
        .into_response(),
    }
}
