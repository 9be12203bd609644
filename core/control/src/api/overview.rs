//! The overview of workers, builds and garbage collection that the page Fleet shows.

use super::events;
use super::rows::{LastRun, last_run};
use crate::control::Control;
use crate::problem::{Problem, failed};
use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::get;
use davy_model::worker::{CONTAINERS_MAX, HEARTBEAT_MAX, SYNC_INTERVAL};
use davy_store::{Backlog, BuildSums, Store, WorkerSum};
use schemars::JsonSchema;
use serde::Serialize;

/// The queries of this overview run on the budget of `store`.
pub(super) fn router(control: &Control, store: Store) -> Router {
    Router::new()
        .route("/api/v1/fleet", get(fleet))
        .with_state((control.clone(), store))
}

/// Workers, builds and garbage collection at a moment.
#[derive(Serialize, JsonSchema)]
pub(crate) struct FleetOverview {
    /// The time of the database, in milliseconds since 1970.
    now: i64,
    /// The sums of workers by state.
    workers: Vec<WorkersInState>,
    /// Builds that are not over.
    builds: OpenBuilds,
    /// The collectors.
    collectors: Vec<CollectorRow>,
    /// Containers that a worker can have, at most.
    containers_max: u32,
    /// From one report of a worker to the next, in seconds.
    sync_interval_seconds: f64,
    /// A worker is stalled when it has not reported for this time, in seconds.
    heartbeat_max_seconds: f64,
}

/// The workers in one state.
#[derive(Serialize, JsonSchema)]
struct WorkersInState {
    /// `running`, `stalled`, `landing`, `landed` or `retiring`.
    state: String,
    /// How many there are.
    workers: i64,
    /// Builds that they may run at the same time.
    capacity: i64,
    /// Containers in their last reports.
    containers: i64,
    /// Volumes in their last reports.
    volumes: i64,
}

/// Builds that are not over.
#[derive(Serialize, JsonSchema)]
struct OpenBuilds {
    /// Builds that wait for a worker.
    pending: i64,
    /// Builds that run.
    started: i64,
    /// When the build that has waited for longest was created, in milliseconds since 1970.
    pending_since: Option<i64>,
}

/// A collector.
#[derive(Serialize, JsonSchema)]
struct CollectorRow {
    /// The member, such as `gc.containers`.
    member: String,
    /// Rows that its next run changes; at most 100,000 are counted.
    due: i64,
    /// Containers or volumes that are marked, and that workers have to destroy; at most 100,000 are counted.
    doomed: i64,
    /// When the oldest of these was marked, in milliseconds since 1970.
    doomed_since: Option<i64>,
    /// Its last run in the fleet.
    last_run: Option<LastRun>,
}

/// The members `gc.*` of workers and builds, with what each still has to do.
pub(crate) async fn backlogs(
    store: &Store,
) -> Result<[(&'static str, Backlog); 4], davy_store::Error> {
    Ok([
        ("gc.builds", store.build_backlog().await?),
        ("gc.containers", store.container_backlog().await?),
        ("gc.volumes", store.volume_backlog().await?),
        ("gc.workers", store.worker_backlog().await?),
    ])
}

async fn fleet(
    State((control, store)): State<(Control, Store)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    events::respond(&control, &headers, move || {
        let store = store.clone();
        async move { overview(&store).await }
    })
    .await
}

async fn overview(store: &Store) -> Result<FleetOverview, Problem> {
    let ticks = store.ticks().await.map_err(failed("ticks"))?;
    let now = store.now().await.map_err(failed("clock"))?;
    let backlogs = backlogs(store).await.map_err(failed("handles"))?;
    let workers = store.worker_sums().await.map_err(failed("workers"))?;
    let BuildSums {
        pending,
        started,
        pending_since,
    } = store.build_sums().await.map_err(failed("builds"))?;
    let collectors = backlogs.into_iter().map(|(member, backlog)| {
        let tick = ticks.iter().find(|tick| tick.name == member);
        CollectorRow {
            member: member.to_owned(),
            due: backlog.due,
            doomed: backlog.doomed,
            doomed_since: backlog.doomed_since,
            last_run: tick.map(|tick| last_run(tick, now)),
        }
    });
    let of_state = |sum: WorkerSum| WorkersInState {
        state: sum.state,
        workers: sum.workers,
        capacity: sum.capacity,
        containers: sum.containers,
        volumes: sum.volumes,
    };
    Ok(FleetOverview {
        now: now.millis(),
        workers: workers.into_iter().map(of_state).collect(),
        builds: OpenBuilds {
            pending,
            started,
            pending_since,
        },
        collectors: collectors.collect(),
        containers_max: CONTAINERS_MAX,
        sync_interval_seconds: SYNC_INTERVAL as f64 / 1e3,
        heartbeat_max_seconds: HEARTBEAT_MAX as f64 / 1e3,
    })
}
