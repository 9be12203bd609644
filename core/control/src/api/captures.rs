//! Captures: heap profiles that an operator takes of running processes, kept in the bucket.

use super::change::Operator;
use crate::control::Control;
use crate::parameters::Parameters;
use crate::problem::Problem;
use crate::report::Report;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use davy_archive::ingest::tenant;
use davy_archive::{Capture, CapturedProcess, Captures, NewCapture};
use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Captures in a response if the request sets no limit.
const LIMIT_DEFAULT: usize = 50;
/// Captures in a response, at most.
const LIMIT_MAX: usize = 1_000;
/// Processes of which one request takes a capture, at most.
const PROCESSES_MAX: usize = 16;
/// How long a process may take to return its heap profile: it may have to find names first.
const TIMEOUT: Duration = Duration::from_mins(1);
const REASON_BYTES_MAX: usize = 2_000;

/// Gets the heap profile of the process with a debug port at an address. The second argument is the header
/// `Authorization` of the request.
pub type HeapSource = Arc<
    dyn Fn(String, Option<HeaderValue>) -> BoxFuture<'static, Result<Bytes, String>> + Send + Sync,
>;

/// Takes and keeps captures.
#[derive(Clone)]
pub struct CaptureOptions {
    /// Where they are kept; none if this process does not work on the archive.
    pub captures: Option<Captures>,
    /// How they are taken.
    pub heap: HeapSource,
}

pub(super) fn router(control: &Control, options: CaptureOptions) -> Router {
    Router::new()
        .route("/api/v1/captures", get(list).post(create))
        .route("/api/v1/captures/{id}", get(show))
        .layer(Extension(options))
        .with_state(control.clone())
}

/// What to capture: one process, or each one that hosts a member.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CaptureRequest {
    /// The id of a process; all live processes that host `member` if it is left out.
    #[serde(default)]
    process: String,
    /// The member that the operator looks at.
    #[serde(default)]
    member: String,
    /// Its operation.
    #[serde(default)]
    op: String,
    /// The reason, which the list and the audit log show. At most 2,000 bytes.
    #[serde(default)]
    #[schemars(length(max = REASON_BYTES_MAX))]
    why: String,
}

/// The captures that were taken, and those that failed.
#[derive(Serialize)]
struct Taken {
    captures: Vec<Capture>,
    /// A sentence for each process whose heap could not be captured.
    failed: Vec<String>,
}

#[derive(Serialize)]
struct List {
    captures: Vec<Capture>,
    /// Captures that could not be read.
    partial: Vec<String>,
}

#[derive(Deserialize)]
struct Page {
    limit: Option<usize>,
}

fn kept(options: &CaptureOptions) -> Result<&Captures, Problem> {
    options.captures.as_ref().ok_or_else(|| {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "this process does not work on the archive, so it keeps no captures; place a member such as archive.query in the process of the member api",
        )
    })
}

pub(super) fn refused(error: davy_archive::Error) -> Problem {
    let status = StatusCode::from_u16(error.kind.code().status);
    Problem::new(
        status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        error.message,
    )
}

async fn list(
    headers: HeaderMap,
    Extension(options): Extension<CaptureOptions>,
    Parameters(page): Parameters<Page>,
) -> Result<Response, Problem> {
    let tenant = tenant(&headers).map_err(refused)?;
    let limit = page.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
    let (captures, partial) = kept(&options)?
        .list(&tenant, limit)
        .await
        .map_err(refused)?;
    Ok(Json(List { captures, partial }).into_response())
}

async fn show(
    Path(id): Path<String>,
    headers: HeaderMap,
    Extension(options): Extension<CaptureOptions>,
) -> Result<Response, Problem> {
    let tenant = tenant(&headers).map_err(refused)?;
    let (capture, profile) = kept(&options)?.get(&tenant, &id).await.map_err(refused)?;
    let name = format!("heap-{}-{}.pb.gz", capture.process.pid, capture.id);
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{name}\""),
        ),
        // A capture never changes.
        (
            header::CACHE_CONTROL,
            "private, max-age=86400, immutable".to_owned(),
        ),
    ];
    Ok((headers, profile).into_response())
}

/// Whether the debug port of a process can be reached from another host.
fn is_reachable(report: &Report, host: &str) -> bool {
    let ip = report.debug.parse().map(|at: std::net::SocketAddr| at.ip());
    report.host == host || ip.is_ok_and(|ip| !ip.is_loopback())
}

async fn create(
    State(control): State<Control>,
    headers: HeaderMap,
    Extension(options): Extension<CaptureOptions>,
    operator: Operator,
    body: Bytes,
) -> Result<Response, Problem> {
    let tenant = tenant(&headers).map_err(refused)?;
    let captures = kept(&options)?;
    let request: CaptureRequest = serde_json::from_slice(&body).map_err(|error| {
        Problem::bad_request(format!(
            "invalid body: {error}; expected JSON such as {{\"member\": \"api\", \"why\": \"...\"}}"
        ))
    })?;
    if request.why.len() > REASON_BYTES_MAX {
        return Err(Problem::bad_request(format!(
            "invalid \"why\": expected at most {REASON_BYTES_MAX} bytes, got {}",
            request.why.len()
        )));
    }
    if request.process.is_empty() && request.member.is_empty() {
        return Err(Problem::bad_request(
            "the body names nothing to capture; send \"process\": ID or \"member\": NAME",
        ));
    }
    let fleet = control.fleet().await;
    let hosts = |report: &Report| report.members.iter().any(|of| of.name == request.member);
    let reports = fleet.reports.into_iter().map(|aged| aged.report);
    let wanted: Vec<Report> = reports
        .filter(|report| match request.process.as_str() {
            "" => hosts(report),
            id => report.id == id,
        })
        .take(PROCESSES_MAX)
        .collect();
    if wanted.is_empty() {
        let what = match request.process.as_str() {
            "" => format!("no live process hosts member {:?}", request.member),
            id => format!("process {id:?} is not live"),
        };
        let detail = format!("{what}; `davy members` shows which processes run");
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    }
    let authorization = headers.get(header::AUTHORIZATION).cloned();
    let mut taken = Taken {
        captures: Vec::new(),
        failed: Vec::new(),
    };
    // One after another: each may have 100 MiB.
    for report in wanted {
        let what = format!("{} (pid {} on {})", report.process, report.pid, report.host);
        let new = NewCapture {
            operator: operator.name().to_owned(),
            why: request.why.trim().to_owned(),
            member: request.member.clone(),
            op: request.op.clone(),
            process: CapturedProcess {
                id: report.id.clone(),
                kind: report.process.clone(),
                host: report.host.clone(),
                pid: report.pid,
            },
        };
        let heap = if is_reachable(&report, &control.identity().host) {
            let fetched = (options.heap)(report.debug.clone(), authorization.clone());
            let timed = control.0.clock.timeout(TIMEOUT, fetched).await;
            timed.unwrap_or_else(|_| Err("it did not respond within a minute".to_owned()))
        } else {
            Err(format!(
                "its debug port {} is reachable on its own host only; set debug.listen to an address of the network, or run `davy profile heap --server http://{}` there",
                report.debug, report.debug
            ))
        };
        let stored = match heap {
            Ok(heap) => {
                let stored = captures.store(&tenant, new, heap).await;
                stored.map_err(|error| error.message)
            }
            Err(error) => Err(error),
        };
        match stored {
            Ok(capture) => {
                let why = request.why.trim();
                operator.audit_captured(&control, &capture, why).await?;
                taken.captures.push(capture);
            }
            Err(error) => taken
                .failed
                .push(format!("cannot capture the heap of {what}: {error}")),
        }
    }
    if taken.captures.is_empty() {
        let detail = taken.failed.join("; ");
        return Err(Problem::new(StatusCode::BAD_GATEWAY, detail));
    }
    Ok(Json(taken).into_response())
}
