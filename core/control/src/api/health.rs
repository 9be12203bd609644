//! Liveness, readiness, health and metrics.

use super::rows::last_run;
use crate::control::{Control, Database};
use crate::metrics::Metrics;
use crate::problem::Problem;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use davy_profile::units;
use davy_runtime::Target;
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;

#[derive(Clone)]
struct Shared {
    control: Control,
    metrics: Arc<Metrics>,
}

/// The routes that every listener serves.
pub fn health_router(control: &Control, metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/ready", get(ready))
        .route("/metrics", get(scrape))
        .with_state(Shared {
            control: control.clone(),
            metrics,
        })
}

/// A member that is not ready, late or unreachable.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct HealthIssue {
    /// The member.
    pub(crate) member: String,
    /// Its state, `unreachable`, `failing` or `stale`.
    pub(crate) state: String,
    /// The reason, if known.
    error: Option<String>,
}

/// The readiness of a process.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Readiness {
    /// Whether every member that should run is ready.
    ready: bool,
    /// The members that are not.
    unready: Vec<HealthIssue>,
    /// Problems that don't prevent work.
    degraded: Vec<HealthIssue>,
}

/// The health of the fleet as a process sees it.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Health {
    /// `failing` if a member of this process is not ready, otherwise `degraded` if there is any problem.
    status: HealthStatus,
    /// The members of this process that are not ready.
    failing: Vec<HealthIssue>,
    /// Problems that don't prevent work.
    degraded: Vec<HealthIssue>,
}

#[derive(Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum HealthStatus {
    Ok,
    Degraded,
    Failing,
}

impl Control {
    /// The members of this process that should be ready and are not.
    fn unready(&self) -> Vec<HealthIssue> {
        let states = self
            .0
            .runtime
            .get()
            .map(|runtime| runtime.states().unready());
        let states = states.unwrap_or_default().into_iter();
        states
            .map(|member| HealthIssue {
                member: member.name,
                state: member.state.as_str().to_owned(),
                error: member.error,
            })
            .collect()
    }

    /// Problems that don't prevent work: an unreachable database, a bucket that refuses writes, and periodic members
    /// that are late.
    pub(crate) async fn degraded(&self) -> Vec<HealthIssue> {
        let mut issues = Vec::new();
        match self.database() {
            Database::Up => {}
            Database::Connecting(since, error) | Database::Lost(since, error) => {
                issues.push(HealthIssue {
                    member: "database".to_owned(),
                    state: "unreachable".to_owned(),
                    error: Some(format!("since {since}: {error}")),
                });
            }
        }
        for (name, error) in self.failing_checks() {
            issues.push(HealthIssue {
                member: name.to_owned(),
                state: "failing".to_owned(),
                error: Some(error),
            });
        }
        let fleet = self.fleet().await;
        for tick in fleet.ticks {
            let last = last_run(&tick, fleet.now);
            let effective = self.0.toggles.effective(&Target::Member(tick.name.clone()));
            if last.stale && effective.enabled {
                issues.push(HealthIssue {
                    error: Some(format!(
                        "no successful run for more than twice the interval of {}; last run: {}",
                        units::seconds(last.interval_seconds),
                        last.error
                            .or(last.outcome)
                            .unwrap_or_else(|| "none".to_owned()),
                    )),
                    member: tick.name,
                    state: "stale".to_owned(),
                });
            }
        }
        issues
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
    let readiness = Readiness {
        ready: unready.is_empty(),
        unready,
        degraded,
    };
    (status, Json(readiness)).into_response()
}

/// Answers 200 for `ok` and `degraded`, 503 for `failing`.
pub(super) async fn health(State(control): State<Control>) -> Response {
    let unready = control.unready();
    let degraded = control.degraded().await;
    let (code, status) = match (unready.is_empty(), degraded.is_empty()) {
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, HealthStatus::Failing),
        (true, false) => (StatusCode::OK, HealthStatus::Degraded),
        (true, true) => (StatusCode::OK, HealthStatus::Ok),
    };
    let health = Health {
        status,
        failing: unready,
        degraded,
    };
    (code, Json(health)).into_response()
}

async fn scrape(State(shared): State<Shared>) -> Response {
    match shared.metrics.text(&shared.control).await {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("cannot encode the metrics: {error}"),
        )
        .into_response(),
    }
}
