//! `/api/v1` of the process itself; the archive adds its own part.

use super::{Endpoints, Problem, openapi};
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use davy_runtime::States;
use davy_store::{ProcessRow, Store};
use serde_json::{Value, json};
use std::sync::Arc;

/// What the handlers need.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) endpoints: Arc<Endpoints>,
    pub(crate) states: States,
    pub(crate) store: Store,
    pub(crate) process: &'static str,
}

/// Processes listed at once.
const PROCESSES_MAX: u32 = 100;

/// The routes.
pub(crate) fn router(shared: Shared) -> Router {
    Router::new()
        .route("/api/v1/openapi.json", get(description))
        .route("/api/v1/members", get(members))
        .route("/api/v1/endpoints", get(endpoints))
        .route("/api/v1/processes", get(processes))
        .with_state(shared)
}

async fn description(State(shared): State<Shared>) -> Json<Value> {
    Json(openapi::describe(shared.endpoints.operations()))
}

async fn members(State(shared): State<Shared>) -> Json<Value> {
    let rows = shared.states.all().into_iter().map(|member| {
        json!({
            "name": member.name,
            "process": shared.process,
            "pid": std::process::id(),
            "state": member.state.as_str(),
            "since": member.since.millis(),
            "error": member.error,
        })
    });
    Json(rows.collect())
}

async fn endpoints(State(shared): State<Shared>) -> Json<Value> {
    let rows = shared.endpoints.operations().iter().map(|op| {
        json!({"operation": op.id, "method": op.method, "path": op.path, "member": op.member, "summary": op.summary})
    });
    Json(rows.collect())
}

async fn processes(State(shared): State<Shared>) -> Result<Json<Vec<ProcessRow>>, Problem> {
    match shared.store.processes(PROCESSES_MAX).await {
        Ok(rows) => Ok(Json(rows)),
        Err(error) => {
            tracing::error!(%error, "listing processes failed");
            Err(Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("{error}; try again"),
            ))
        }
    }
}
