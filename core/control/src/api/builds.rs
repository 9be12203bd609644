//! One-off builds.

use super::change::Operator;
use super::{events, fleet};
use crate::build_files::{BuildFiles, no_bucket};
use crate::control::Control;
use crate::gateway::parse;
use crate::objects::BuildObjects;
use crate::parameters::Parameters;
use crate::problem::{Problem, failed};
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post, put};
use axum::{Extension, Json, Router};
use davy_base::Clock;
use davy_model::{BuildState, Task};
use davy_store::{BuildRow, FileKind, LogChunk, Store};
use futures_util::stream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Builds in a response if the request sets no limit.
const LIMIT_DEFAULT: u32 = 50;
/// Builds in a response, at most.
const LIMIT_MAX: u32 = 500;
/// Chunks of a log that are read at once, at most.
const CHUNKS_MAX: u32 = 16;
/// The pause between two looks for more of a log.
const LOOK: Duration = Duration::from_millis(200);
/// A comment is sent after this time without output, so that proxies keep the connection.
const QUIET_MAX: u32 = 75;
/// The size of a request, at most.
const BODY_BYTES_MAX: usize = 1 << 20;

/// Logs are read on the budget of `store`, so that many readers do not delay other requests.
pub(super) fn router(control: &Control, store: Store) -> Router {
    Router::new()
        .route("/api/v1/builds", get(list).post(create))
        .route("/api/v1/builds/{build}", get(show))
        .route("/api/v1/builds/{build}/start", post(start))
        .route("/api/v1/builds/{build}/abort", post(abort))
        .route("/api/v1/builds/{build}/log", get(log))
        .route("/api/v1/builds/{build}/inputs/{name}/{part}", put(input))
        .route("/api/v1/builds/{build}/outputs/{name}/{part}", get(output))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(Extension(LogStore(store)))
        .with_state(control.clone())
}

#[derive(Clone)]
struct LogStore(Store);

#[derive(Deserialize)]
struct Page {
    limit: Option<u32>,
    before: Option<i64>,
    state: Option<String>,
    worker: Option<String>,
}

/// A build that was created.
#[derive(Serialize, JsonSchema)]
pub(crate) struct BuildCreated {
    /// Its id.
    id: i64,
}

async fn list(
    State(control): State<Control>,
    Parameters(page): Parameters<Page>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let limit = page.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
    let state = fleet::state(page.state.as_deref(), BuildState::ALL, BuildState::as_str)?;
    let (store, before) = (control.0.store.clone(), page.before);
    let worker = page.worker.unwrap_or_default();
    events::respond(&control, &headers, move || {
        let (store, worker) = (store.clone(), worker.clone());
        async move {
            let rows: Vec<BuildRow> = store
                .builds_in(state, &worker, before, limit)
                .await
                .map_err(failed("builds"))?;
            Ok(rows)
        }
    })
    .await
}

async fn show(
    State(control): State<Control>,
    Path(build): Path<i64>,
) -> Result<Json<BuildRow>, Problem> {
    find(&control, build).await.map(Json)
}

async fn find(control: &Control, build: i64) -> Result<BuildRow, Problem> {
    let row = control
        .0
        .store
        .build(build)
        .await
        .map_err(failed("builds"))?;
    row.ok_or_else(|| not_found(build, "not found"))
}

fn not_found(build: i64, why: &str) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        format!("build {build} {why}; `davy builds ls` lists the builds"),
    )
}

async fn create(
    State(control): State<Control>,
    operator: Operator,
    body: Bytes,
) -> Result<Json<BuildCreated>, Problem> {
    let task: Task = parse(&body)?;
    task.check()
        .map_err(|error| Problem::bad_request(format!("invalid task: {error}")))?;
    let text = serde_json::to_string(&task).unwrap_or_default();
    let is_ready = task.inputs.is_empty();
    let created = control
        .0
        .store
        .create_build(operator.name(), &text, &task.platform, is_ready);
    let id = created.await.map_err(failed("builds"))?;
    Ok(Json(BuildCreated { id }))
}

async fn start(
    State(control): State<Control>,
    Path(build): Path<i64>,
    _operator: Operator,
) -> Result<Json<BuildRow>, Problem> {
    let started = control.0.store.ready_build(build).await;
    if !started.map_err(failed("builds"))? {
        return Err(not_found(build, "is not pending"));
    }
    find(&control, build).await.map(Json)
}

async fn abort(
    State(control): State<Control>,
    Path(build): Path<i64>,
    operator: Operator,
) -> Result<Json<BuildRow>, Problem> {
    let aborted = control.0.store.abort_build(build).await;
    if !aborted.map_err(failed("builds"))? {
        return Err(not_found(build, "does not exist or is over"));
    }
    operator
        .audit(&control, "build.abort", &build.to_string())
        .await?;
    find(&control, build).await.map(Json)
}

async fn input(
    State(control): State<Control>,
    Path((build, name, part)): Path<(i64, String, i64)>,
    _operator: Operator,
    body: Bytes,
) -> Result<Json<BuildCreated>, Problem> {
    let row = find(&control, build).await?;
    let task: Task = parse(row.task.as_bytes())?;
    if row.is_ready || !task.inputs.iter().any(|input| input.name == name) {
        return Err(Problem::bad_request(format!(
            "build {build} does not wait for an input of this name"
        )));
    }
    let files = BuildFiles::new(&control.0.store, control.0.objects.get());
    files.put(build, FileKind::Input, &name, part, body).await?;
    Ok(Json(BuildCreated { id: build }))
}

async fn output(
    State(control): State<Control>,
    Path((build, name, part)): Path<(i64, String, i64)>,
) -> Result<Bytes, Problem> {
    let files = BuildFiles::new(&control.0.store, control.0.objects.get());
    files.get(build, FileKind::Output, &name, part).await
}

/// The log of a build as server-sent events. The id of an event is the position in the log up to which the
/// client has read; a client that lost its connection continues with `Last-Event-ID`. The last event has the end of the build.
async fn log(
    State(control): State<Control>,
    Extension(LogStore(store)): Extension<LogStore>,
    Path(build): Path<i64>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    find(&control, build).await?;
    let after = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .unwrap_or(0);
    let reader = LogReader {
        clock: control.0.clock.clone(),
        store,
        objects: control.0.objects.get().cloned(),
        build,
        after,
        is_over: false,
    };
    let events = stream::try_unfold(reader, LogReader::next);
    let kind = [
        (header::CONTENT_TYPE, events::EVENT_STREAM),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((kind, Body::from_stream(events)).into_response())
}

/// Reads a log as fast as its client does: the next query runs when the last chunks are sent.
struct LogReader {
    clock: Clock,
    store: Store,
    objects: Option<BuildObjects>,
    build: i64,
    after: i64,
    is_over: bool,
}

type Events = Result<Option<(String, LogReader)>, std::io::Error>;

impl LogReader {
    /// What a chunk has after the position.
    async fn text(&self, chunk: LogChunk) -> Result<String, std::io::Error> {
        let failed = |problem: Problem| std::io::Error::other(problem.detail);
        let mut text = match (chunk.object, &self.objects) {
            (None, _) => chunk.text,
            (Some(object), Some(objects)) => {
                let bytes = objects.get(&object).await.map_err(failed)?;
                String::from_utf8_lossy(&bytes).into_owned()
            }
            (Some(object), None) => return Err(failed(no_bucket(&object))),
        };
        // Rows that were read before may have been folded into one object. Logs of earlier versions have no sizes.
        let start = chunk.number - chunk.size;
        let read = usize::try_from(self.after - start).unwrap_or(0);
        if chunk.size > 0 && read > 0 && text.is_char_boundary(read) {
            text.drain(..read);
        }
        Ok(text)
    }

    async fn next(mut self) -> Events {
        if self.is_over {
            return Ok(None);
        }
        for _ in 0..QUIET_MAX {
            // The state is read before the log: what is in the log when the build is over is complete.
            let row = self.store.build(self.build).await;
            let row = row.map_err(std::io::Error::other)?;
            let chunks = self.store.log_after(self.build, self.after, CHUNKS_MAX);
            let chunks = chunks.await.map_err(std::io::Error::other)?;
            let mut events = String::new();
            for chunk in chunks {
                let number = chunk.number;
                let text = self.text(chunk).await?;
                self.after = number;
                let text = serde_json::to_string(&text).unwrap_or_default();
                events += &format!("id: {number}\nevent: log\ndata: {text}\n\n");
            }
            if !events.is_empty() {
                return Ok(Some((events, self)));
            }
            let is_over =
                |row: &BuildRow| BuildState::parse(&row.state).is_none_or(BuildState::is_over);
            if row.as_ref().is_none_or(is_over) {
                let end = serde_json::to_string(&row).unwrap_or_default();
                self.is_over = true;
                return Ok(Some((format!("event: end\ndata: {end}\n\n"), self)));
            }
            self.clock.sleep(LOOK).await;
        }
        Ok(Some((": still running\n\n".to_owned(), self)))
    }
}
