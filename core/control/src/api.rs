//! `/api/v1`, but for the archive's part: what runs, what it costs, and the toggles.

pub(crate) mod change;
pub(crate) mod health;
mod jobs;
mod rows;

use crate::control::Control;
use crate::openapi;
use crate::problem::Problem;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post, put};
use axum::{Json, Router};
use davy_store::{AuditRow, ProcessRow, Store};
use serde::Deserialize;
use serde_json::Value;

pub use rows::{EndpointRow, LastRun, MemberRow, ToggleRow};

/// Processes listed at once.
const PROCESSES_MAX: u32 = 100;
/// Changes listed at once.
const AUDIT_MAX: u32 = 1_000;

/// Every route of the member `api`.
pub fn router(control: &Control, store: Store) -> Router {
    // What is small is not on the budget of `api`: a storm on what is large must not block it.
    let reads = Router::new()
        .route("/api/v1/openapi.json", get(description))
        .route("/api/v1/processes", get(processes))
        .route("/api/v1/audit", get(audit))
        .with_state(control.clone());
    reads
        .merge(emergency_router(control))
        .merge(jobs::router(store))
}

/// The routes that every process has on its own debug port, whatever else is off or down: what its
/// members do, and their toggles.
pub fn emergency_router(control: &Control) -> Router {
    Router::new()
        .route("/api/v1/health", get(health::health))
        .route("/api/v1/members", get(rows::members))
        .route("/api/v1/members/{name}", put(change::member))
        .route("/api/v1/members/{name}/restart", post(change::restart))
        .route("/api/v1/members/{name}/wake", post(change::wake))
        .route("/api/v1/endpoints", get(rows::endpoints))
        .route("/api/v1/endpoints/{operation}", put(change::endpoint))
        .with_state(control.clone())
}

async fn description(State(control): State<Control>) -> Json<Value> {
    Json(openapi::describe(control.0.endpoints.operations()))
}

async fn processes(State(control): State<Control>) -> Result<Json<Vec<ProcessRow>>, Problem> {
    let rows = control.0.store.processes(PROCESSES_MAX).await;
    let mut rows = rows.map_err(|error| database_problem("processes", error))?;
    for row in &mut rows {
        // It is what `/api/v1/members` shows.
        row.report = None;
    }
    Ok(Json(rows))
}

#[derive(Deserialize)]
struct Page {
    limit: Option<u32>,
    before: Option<i64>,
}

async fn audit(
    State(control): State<Control>,
    Query(page): Query<Page>,
) -> Result<Json<Vec<AuditRow>>, Problem> {
    let limit = page.limit.unwrap_or(PROCESSES_MAX).min(AUDIT_MAX);
    let rows = control.0.store.audit(limit, page.before).await;
    Ok(Json(
        rows.map_err(|error| database_problem("changes", error))?,
    ))
}

/// The database failed a request.
fn database_problem(what: &str, error: davy_store::Error) -> Problem {
    tracing::warn!(what, %error, "the database failed a request");
    let status = if error.is_unreachable() {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::INTERNAL_SERVER_ERROR
    };
    Problem::new(status, format!("{what} can't be read: {error}; try again")).retry_after(1)
}
