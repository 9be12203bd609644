//! The member `gateway`: the protocol of workers. Workers open every connection, and sign every request.

mod claims;
mod log;
mod session;
mod state;
mod status;
mod terminals;
mod usage;

pub use usage::WorkerReport;

use crate::build_files::BuildFiles;
use crate::control::Control;
use crate::gc::CollectorMetrics;
use crate::problem::{Problem, failed};
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post, put};
use axum::{Json, Router};
use davy_base::Random;
use davy_model::signature::to_hex;
use davy_model::wire::{
    Assignment, Challenge, Claimed, Creation, End, EndReport, Ended, Leave, Left, Registered,
    Registration, Sync, Synced,
};
use davy_model::worker::CONTAINERS_MAX;
use davy_model::{Task, name};
use davy_store::{BuildEnd, ClaimHandles, FileKind, NewWorker, Store, SyncOutcome};
use session::Signed;
pub(crate) use state::parse;
use state::{Gateway, invalid};
use std::sync::{Arc, Mutex};

/// The size of a report, at most: 100,000 handles of 64 bytes.
const REPORT_BYTES_MAX: usize = 12 << 20;
/// The size of what a worker says about the usage of a task, at most.
const USAGE_BYTES_MAX: usize = 4 << 10;
/// Tags of a worker, at most.
const TAGS_MAX: usize = 16;

/// The routes of the member `gateway`. `store` is on the budget of that member.
pub fn router(control: &Control, store: Store, metrics: CollectorMetrics) -> Router {
    let gateway = Gateway {
        clock: control.0.clock.clone(),
        sessions: Arc::default(),
        claims: Arc::default(),
        random: Arc::new(Mutex::new(Random::system())),
        objects: control.0.objects.get().cloned(),
        store,
        metrics,
    };
    let files = "/api/v1/workers/{worker}/builds/{build}";
    Router::new()
        .route("/api/v1/workers/{worker}/challenge", post(challenge))
        .route("/api/v1/workers/{worker}/register", post(register))
        .route("/api/v1/workers/{worker}/sync", post(sync))
        .route("/api/v1/workers/{worker}/usage", post(usage::usage))
        .route("/api/v1/workers/{worker}/claim", post(claim))
        .route("/api/v1/workers/{worker}/leave", post(leave))
        .route("/api/v1/workers/{worker}/handles/{handle}", put(created))
        .route(
            "/api/v1/workers/{worker}/terminals/{terminal}/output",
            post(terminals::output),
        )
        .route(
            "/api/v1/workers/{worker}/terminals/{terminal}/input",
            post(terminals::input),
        )
        .route(&format!("{files}/log"), post(log::append))
        .route(&format!("{files}/end"), post(end))
        .route(&format!("{files}/inputs/{{name}}/{{part}}"), get(input))
        .route(&format!("{files}/outputs/{{name}}/{{part}}"), put(output))
        .layer(DefaultBodyLimit::max(REPORT_BYTES_MAX))
        .with_state(gateway)
}

async fn challenge(
    State(gateway): State<Gateway>,
    Path(worker): Path<String>,
) -> Result<Json<Challenge>, Problem> {
    name::check("worker name", &worker).map_err(invalid)?;
    let fresh = to_hex(&session::secret()?);
    let challenge = gateway.store.worker_challenge(&worker, &fresh).await;
    let (challenge, _) = challenge
        .map_err(failed("workers"))?
        .ok_or_else(|| session::unknown(&worker))?;
    Ok(Json(Challenge { challenge }))
}

async fn register(
    State(gateway): State<Gateway>,
    Path(worker): Path<String>,
    signed: Signed,
) -> Result<Json<Registered>, Problem> {
    name::check("worker name", &worker).map_err(invalid)?;
    let body: Registration = parse(&signed.body)?;
    name::check("platform", &body.platform).map_err(invalid)?;
    for tag in &body.tags {
        name::check("tag", tag).map_err(invalid)?;
    }
    if body.tags.len() > TAGS_MAX {
        return Err(Problem::bad_request(format!(
            "the worker has {} tags; at most {TAGS_MAX} are allowed",
            body.tags.len()
        )));
    }
    let fresh = to_hex(&session::secret()?);
    let challenge = gateway.store.worker_challenge(&worker, &fresh).await;
    let (_, public_key) = challenge
        .map_err(failed("workers"))?
        .ok_or_else(|| session::unknown(&worker))?;
    signed.check_registration(&worker, &body.challenge, &public_key)?;
    let new = NewWorker {
        name: worker,
        challenge: body.challenge,
        public_key,
        is_ephemeral: body.is_ephemeral,
        platform: body.platform,
        tags: serde_json::to_string(&body.tags).unwrap_or_default(),
        capacity: body.capacity.min(CONTAINERS_MAX).into(),
        version: body.version.chars().take(64).collect(),
        builds: body
            .builds
            .into_iter()
            .take(CONTAINERS_MAX as usize)
            .collect(),
    };
    let registered = gateway.store.register_worker(&new).await;
    let registration = registered.map_err(failed("workers"))?.ok_or_else(|| {
        Problem::new(
            StatusCode::CONFLICT,
            "the challenge was answered before or has expired; ask for another one",
        )
    })?;
    tracing::info!(worker = new.name, registration, "worker registered");
    Ok(Json(Registered { registration }))
}

async fn sync(
    State(gateway): State<Gateway>,
    Path(worker): Path<String>,
    signed: Signed,
) -> Result<Json<Synced>, Problem> {
    gateway
        .sessions
        .check(&gateway.store, &worker, &signed)
        .await?;
    let Sync { report, status } = parse(&signed.body)?;
    report.check().map_err(invalid)?;
    let status = serde_json::to_string(&status::checked(status)).unwrap_or_default();
    let started = gateway.clock.monotonic();
    let outcome = gateway.store.sync_worker(&worker, &report, Some(&status));
    let outcome = outcome.await;
    let took = gateway.clock.monotonic().saturating_sub(started);
    gateway.metrics.synced(&outcome, took);
    let synced = match outcome.map_err(failed("workers"))? {
        SyncOutcome::Accepted {
            doomed, foreign, ..
        } => {
            if !foreign.is_empty() {
                tracing::warn!(worker, ?foreign, "worker reported handles of other workers");
            }
            Synced {
                accepted: true,
                generation: report.generation,
                doomed: doomed.into_iter().collect(),
                foreign,
            }
        }
        SyncOutcome::Stale { generation } => Synced {
            accepted: false,
            generation,
            doomed: [].into(),
            foreign: Vec::new(),
        },
        SyncOutcome::UnknownWorker => return Err(session::unknown(&worker)),
    };
    Ok(Json(synced))
}

/// Waits for a fitting build for some seconds.
async fn claim(
    State(gateway): State<Gateway>,
    Path(worker): Path<String>,
    signed: Signed,
) -> Result<Json<Claimed>, Problem> {
    let registration = gateway
        .sessions
        .check(&gateway.store, &worker, &signed)
        .await?;
    let mut attempts = claims::Attempts::new(&gateway.clock);
    while attempts
        .next(&gateway.claims, &gateway.store, &gateway.clock)
        .await?
    {
        let terminals = terminals::open(&gateway, &worker, registration).await?;
        if !terminals.is_empty() {
            return Ok(Json(Claimed {
                build: None,
                terminals,
            }));
        }
        let (container, volume) = (gateway.handle(), gateway.handle());
        let handles = ClaimHandles {
            container: &container,
            volume: &volume,
        };
        let claimed = gateway.store.claim_build(&worker, registration, handles);
        if let Some(build) = claimed.await.map_err(failed("builds"))? {
            let task: Task = parse(build.task.as_bytes())?;
            return Ok(Json(Claimed {
                build: Some(Assignment {
                    id: build.id,
                    task,
                    container: build.container,
                    volume: build.volume,
                }),
                terminals: Vec::new(),
            }));
        }
    }
    Ok(Json(Claimed {
        build: None,
        terminals: Vec::new(),
    }))
}

/// Lets the process of a worker stop. Builds that it has not received become pending again.
async fn leave(
    State(gateway): State<Gateway>,
    Path(worker): Path<String>,
    signed: Signed,
) -> Result<Json<Left>, Problem> {
    let registration = gateway
        .sessions
        .check(&gateway.store, &worker, &signed)
        .await?;
    let Leave { builds } = parse(&signed.body)?;
    let left = gateway.store.leave_worker(&worker, registration, &builds);
    let returned = left.await.map_err(failed("workers"))?;
    Ok(Json(Left { returned }))
}

async fn created(
    State(gateway): State<Gateway>,
    Path((worker, handle)): Path<(String, String)>,
    signed: Signed,
) -> Result<Json<Creation>, Problem> {
    gateway
        .sessions
        .check(&gateway.store, &worker, &signed)
        .await?;
    let Creation { succeeded } = parse(&signed.body)?;
    let changed = gateway.store.created_handle(&worker, &handle, succeeded);
    let succeeded = changed.await.map_err(failed("handles"))?;
    Ok(Json(Creation { succeeded }))
}

async fn end(
    State(gateway): State<Gateway>,
    Path((worker, build)): Path<(String, i64)>,
    signed: Signed,
) -> Result<Json<Ended>, Problem> {
    let registration = gateway
        .sessions
        .check(&gateway.store, &worker, &signed)
        .await?;
    let EndReport { end, usage } = parse(&signed.body)?;
    let end = match end {
        End::Exited { code } => BuildEnd::Exited { code },
        End::Errored { error } => BuildEnd::Errored {
            error: error.chars().filter(|c| *c != '\0').take(2_000).collect(),
        },
        End::Aborted => BuildEnd::Aborted,
    };
    let usage = usage.map(|usage| usage.to_string());
    let usage = usage.filter(|usage| usage.len() <= USAGE_BYTES_MAX);
    let finished = gateway
        .store
        .finish_build(build, &worker, registration, &end, usage.as_deref());
    let is_held = finished.await.map_err(failed("builds"))?;
    if is_held {
        log::fold(&gateway, build).await;
    }
    Ok(Json(Ended { is_held }))
}

async fn input(
    State(gateway): State<Gateway>,
    Path((worker, build, name, part)): Path<(String, i64, String, i64)>,
    signed: Signed,
) -> Result<Bytes, Problem> {
    let registration = gateway
        .sessions
        .check(&gateway.store, &worker, &signed)
        .await?;
    held(&gateway, build, &worker, registration).await?;
    let files = BuildFiles::new(&gateway.store, gateway.objects.as_ref());
    files.get(build, FileKind::Input, &name, part).await
}

async fn output(
    State(gateway): State<Gateway>,
    Path((worker, build, name, part)): Path<(String, i64, String, i64)>,
    signed: Signed,
) -> Result<Json<Creation>, Problem> {
    let registration = gateway
        .sessions
        .check(&gateway.store, &worker, &signed)
        .await?;
    held(&gateway, build, &worker, registration).await?;
    let files = BuildFiles::new(&gateway.store, gateway.objects.as_ref());
    files
        .put(build, FileKind::Output, &name, part, signed.body)
        .await?;
    Ok(Json(Creation { succeeded: true }))
}

async fn held(
    gateway: &Gateway,
    build: i64,
    worker: &str,
    registration: i64,
) -> Result<(), Problem> {
    let renewed = gateway.store.renew_build(build, worker, registration);
    if renewed.await.map_err(failed("builds"))?.is_some() {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::CONFLICT,
        format!("worker {worker} does not hold build {build}"),
    ))
}

#[cfg(test)]
mod tests;
