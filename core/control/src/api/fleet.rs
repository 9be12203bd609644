//! Workers, containers and volumes.

use super::change::Operator;
use super::events;
use crate::cgroup_report::CgroupReport;
use crate::control::Control;
use crate::gateway::parse;
use crate::parameters::Parameters;
use crate::problem::{Problem, failed};
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{get, post, put};
use axum::{Json, Router};
use davy_model::signature::from_hex;
use davy_model::{HandleKind, HandleState, WorkerState, name};
use davy_store::{HandleRow, WorkerRow};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Rows in a response if the request sets no limit.
const LIMIT_DEFAULT: u32 = 100;
/// Rows in a response, at most.
const LIMIT_MAX: u32 = 1_000;

pub(super) fn router(control: &Control) -> Router {
    Router::new()
        .route("/api/v1/workers", get(workers))
        .route("/api/v1/workers/{worker}/key", put(put_key))
        .route("/api/v1/workers/{worker}/revoke", post(revoke))
        .route("/api/v1/workers/{worker}/land", post(land))
        .route("/api/v1/workers/{worker}/retire", post(retire))
        .route("/api/v1/containers", get(containers))
        .route("/api/v1/volumes", get(volumes))
        .with_state(control.clone())
}

#[derive(Deserialize)]
struct Page {
    limit: Option<u32>,
    after: Option<String>,
    worker: Option<String>,
    state: Option<String>,
}

impl Page {
    fn limit(&self) -> u32 {
        self.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX)
    }
}

/// The key of a worker.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WorkerKey {
    /// The Ed25519 public key, in hexadecimal.
    public_key: String,
}

/// The effect of a change of a worker.
#[derive(Serialize, JsonSchema)]
pub(crate) struct WorkerChanged {
    /// The worker.
    worker: String,
    /// What happens from now on.
    effect: &'static str,
}

/// The state with this name.
pub(super) fn state<T: Copy>(
    name: Option<&str>,
    all: &[T],
    of: impl Fn(T) -> &'static str,
) -> Result<Option<T>, Problem> {
    let Some(name) = name else { return Ok(None) };
    let found = all.iter().copied().find(|state| of(*state) == name);
    found.map(Some).ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|state| of(*state)).collect();
        Problem::bad_request(format!(
            "invalid state {name:?}: expected one of {}",
            names.join(", ")
        ))
    })
}

async fn workers(
    State(control): State<Control>,
    Parameters(page): Parameters<Page>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let state = state(page.state.as_deref(), WorkerState::ALL, WorkerState::as_str)?;
    let (store, limit) = (control.0.store.clone(), page.limit());
    let after = page.after.unwrap_or_default();
    events::respond(&control, &headers, move || {
        let (store, after) = (store.clone(), after.clone());
        async move {
            let rows: Vec<WorkerRow> = store
                .workers_in(state, &after, limit)
                .await
                .map_err(failed("workers"))?;
            Ok(rows)
        }
    })
    .await
}

async fn containers(
    control: State<Control>,
    page: Parameters<Page>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    handles(control, page, headers, HandleKind::Container).await
}

async fn volumes(
    control: State<Control>,
    page: Parameters<Page>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    handles(control, page, headers, HandleKind::Volume).await
}

async fn handles(
    State(control): State<Control>,
    Parameters(page): Parameters<Page>,
    headers: HeaderMap,
    kind: HandleKind,
) -> Result<Response, Problem> {
    let state = state(page.state.as_deref(), HandleState::ALL, HandleState::as_str)?;
    let (store, limit) = (control.0.store.clone(), page.limit());
    let worker = page.worker.unwrap_or_default();
    let after = page.after.unwrap_or_default();
    events::respond(&control, &headers, move || {
        let (store, worker, after) = (store.clone(), worker.clone(), after.clone());
        async move {
            let rows = store.handles_in(kind, state, &worker, &after, limit).await;
            let rows = rows.map_err(failed("handles"))?.into_iter();
            Ok(rows.map(HandleSummary::from).collect::<Vec<_>>())
        }
    })
    .await
}

/// A container or volume.
#[derive(Serialize, JsonSchema)]
pub(crate) struct HandleSummary {
    /// Its name, unique in the fleet.
    handle: String,
    /// Its worker.
    worker: String,
    /// `container` or `volume`.
    kind: String,
    /// `creating`, `created`, `destroying` or `failed`.
    state: String,
    /// When it entered the state, in milliseconds since 1970.
    since: i64,
    /// The first report without it since the last one with it, in milliseconds since 1970.
    missing_since: Option<i64>,
    /// The build of a container.
    build: Option<i64>,
    /// The container that uses a volume.
    container: Option<String>,
    /// The volume that a volume is a copy of.
    parent: Option<String>,
    /// What a container uses by the last report of its worker, which is at most 30 seconds old. `null`: it has no cgroup.
    cgroup: Option<CgroupReport>,
}

impl From<HandleRow> for HandleSummary {
    fn from(row: HandleRow) -> Self {
        Self {
            cgroup: row.figures.as_deref().and_then(CgroupReport::of_container),
            handle: row.handle,
            worker: row.worker,
            kind: row.kind,
            state: row.state,
            since: row.since,
            missing_since: row.missing_since,
            build: row.build,
            container: row.container,
            parent: row.parent,
        }
    }
}

async fn put_key(
    State(control): State<Control>,
    Path(worker): Path<String>,
    operator: Operator,
    body: Bytes,
) -> Result<Json<WorkerChanged>, Problem> {
    name::check("worker name", &worker).map_err(|error| Problem::bad_request(error.to_string()))?;
    let WorkerKey { public_key } = parse(&body)?;
    if from_hex(&public_key).is_none_or(|key| key.len() != 32) {
        return Err(Problem::bad_request(
            "invalid public_key: expected 64 hexadecimal digits; use `davy token worker NAME`",
        ));
    }
    let public_key = public_key.to_lowercase();
    let store = &control.0.store;
    let stored = store.put_worker_key(&worker, &public_key, operator.name());
    stored.await.map_err(failed("workers"))?;
    operator.audit(&control, "worker.key", &worker).await?;
    Ok(changed(
        worker,
        "the worker can register with this key only",
    ))
}

async fn revoke(
    State(control): State<Control>,
    Path(worker): Path<String>,
    operator: Operator,
) -> Result<Json<WorkerChanged>, Problem> {
    let revoked = control.0.store.revoke_worker_key(&worker).await;
    if !revoked.map_err(failed("workers"))? {
        return Err(not_found(&worker, "has no key"));
    }
    operator.audit(&control, "worker.revoke", &worker).await?;
    Ok(changed(worker, "all requests of the worker are refused"))
}

async fn land(
    State(control): State<Control>,
    Path(worker): Path<String>,
    operator: Operator,
) -> Result<Json<WorkerChanged>, Problem> {
    let landing = control.0.store.land_worker(&worker).await;
    if !landing.map_err(failed("workers"))? {
        return Err(not_found(&worker, "is not running"));
    }
    operator.audit(&control, "worker.land", &worker).await?;
    let effect = "it gets no new builds, and has landed when its last build is over";
    Ok(changed(worker, effect))
}

async fn retire(
    State(control): State<Control>,
    Path(worker): Path<String>,
    operator: Operator,
) -> Result<Json<WorkerChanged>, Problem> {
    let retiring = control.0.store.retire_worker(&worker).await;
    if !retiring.map_err(failed("workers"))? {
        return Err(not_found(&worker, "does not exist or retires already"));
    }
    operator.audit(&control, "worker.retire", &worker).await?;
    let effect = "it gets no new builds, and is removed when its last build is over and it has no containers and volumes";
    Ok(changed(worker, effect))
}

fn changed(worker: String, effect: &'static str) -> Json<WorkerChanged> {
    Json(WorkerChanged { worker, effect })
}

fn not_found(worker: &str, why: &str) -> Problem {
    let worker: String = worker.chars().take(name::NAME_BYTES_MAX).collect();
    Problem::new(
        StatusCode::NOT_FOUND,
        format!("worker {worker:?} {why}; `davy workers ls` lists the workers"),
    )
}
