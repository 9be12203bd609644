//! The routes of `/api/v1` except the archive's: members, endpoints, processes, the audit log, health.

pub(crate) mod builds;
pub(crate) mod captures;
pub(crate) mod change;
pub(crate) mod discovery;
mod events;
pub(crate) mod fleet;
pub(crate) mod health;
mod jobs;
pub(crate) mod overview;
mod rows;
pub(crate) mod terminals;
pub(crate) mod viewer;
pub(crate) mod views;

use crate::control::Control;
use crate::parameters::Parameters;
use crate::problem::Problem;
use axum::extract::State;
use axum::routing::{get, post, put};
use axum::{Json, Router};
use davy_store::{AuditRow, ProcessRow, Store};
use serde::Deserialize;
use std::sync::Arc;

pub use captures::{CaptureOptions, HeapSource};
pub use rows::{EndpointRow, LastRun, MemberRow};
pub use viewer::ViewerService;

/// Processes in a response, at most.
const PROCESSES_MAX: u32 = 100;
/// Audit entries in a response if the request sets no limit.
const AUDIT_DEFAULT: u32 = 100;
/// Audit entries in a response, at most.
const AUDIT_MAX: u32 = 1_000;

/// What the member `api` is given.
pub struct ApiOptions {
    /// What captures need.
    pub captures: CaptureOptions,
    /// What the page knows about the code of services.
    pub viewer: Arc<[ViewerService]>,
}

/// The routes of the member `api`, except the description. `store` is on the budget of that member.
pub(crate) fn router(control: &Control, store: Store, options: ApiOptions) -> Router {
    // Small responses use the budget of `control`, so that many requests for `ListAllJobs`, the large one,
    // can't block them.
    let reads = Router::new()
        .route("/api/v1/processes", get(processes))
        .route("/api/v1/sd", get(discovery::targets))
        .route("/api/v1/audit", get(audit))
        .with_state(control.clone());
    reads
        .merge(emergency_router(control))
        .merge(fleet::router(control))
        .merge(builds::router(control, store.clone()))
        .merge(overview::router(control, store.clone()))
        .merge(captures::router(control, options.captures))
        .merge(terminals::router(control))
        .merge(viewer::router(options.viewer))
        .merge(views::router(control))
        .merge(jobs::router(store))
}

/// The routes that the debug port of every process serves too, even if other members are disabled or
/// have failed.
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

async fn processes(State(control): State<Control>) -> Result<Json<Vec<ProcessRow>>, Problem> {
    let rows = control.0.store.processes(PROCESSES_MAX).await;
    let mut rows = rows.map_err(|error| Problem::query_failed("processes", error))?;
    for row in &mut rows {
        // `/api/v1/members` shows the reports.
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
    Parameters(page): Parameters<Page>,
) -> Result<Json<Vec<AuditRow>>, Problem> {
    let limit = page.limit.unwrap_or(AUDIT_DEFAULT).min(AUDIT_MAX);
    let rows = control.0.store.audit(limit, page.before).await;
    Ok(Json(rows.map_err(|error| {
        Problem::query_failed("audit entries", error)
    })?))
}
