//! The usage of workers' processes, which the lists of members show like that of any other process.

use super::{Gateway, parse, session};
use crate::problem::{Problem, failed};
use crate::report::Report;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use davy_model::wire::Creation;
use davy_store::WorkerUsage;
use serde::{Deserialize, Serialize};

/// The size of a report, at most.
const REPORT_BYTES_MAX: usize = 256 << 10;
/// Every member of a worker has a name that begins so; another one would count as a member of Davy.
const MEMBER_PREFIX: &str = "worker.";

/// What the process of a worker uses.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerReport {
    /// The size of the file system of the worker's folder, in bytes.
    pub disk_bytes: Option<u64>,
    /// What is free there, in bytes.
    pub disk_free_bytes: Option<u64>,
    /// The version of Davy.
    pub version: String,
    /// Its members.
    pub report: Report,
}

pub(super) async fn usage(
    State(gateway): State<Gateway>,
    Path(worker): Path<String>,
    signed: session::Signed,
) -> Result<Json<Creation>, Problem> {
    let registration = gateway
        .sessions
        .check(&gateway.store, &worker, &signed)
        .await?;
    if signed.body.len() > REPORT_BYTES_MAX {
        return Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the usage exceeds {REPORT_BYTES_MAX} bytes"),
        ));
    }
    let mut body: WorkerReport = parse(&signed.body)?;
    let is_own = |name: &str| name.starts_with(MEMBER_PREFIX) || name == "profiler";
    body.report
        .members
        .retain(|member| is_own(&member.name) || member.name == "(untagged)");
    ulid::Ulid::from_string(&body.report.id).map_err(|_| {
        Problem::bad_request("invalid id of a process: expected a ULID of 26 characters")
    })?;
    // Whatever it says about itself, it is the process of this worker.
    body.report.process = format!("worker/{worker}");
    let short = |text: &str| -> String { text.chars().filter(|c| *c != '\0').take(255).collect() };
    body.report.host = short(&body.report.host);
    let report = serde_json::to_string(&body.report).unwrap_or_default();
    let bytes = |bytes: Option<u64>| bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
    // Postgres stores no zero bytes.
    let (version, report) = (short(&body.version), report.replace("\\u0000", ""));
    let stored = gateway.store.worker_usage(
        &worker,
        registration,
        WorkerUsage {
            process: &body.report.id,
            host: &body.report.host,
            pid: body.report.pid,
            version: &version,
            report: &report,
            disk_bytes: bytes(body.disk_bytes),
            disk_free_bytes: bytes(body.disk_free_bytes),
        },
    );
    let succeeded = stored.await.map_err(failed("processes"))?;
    Ok(Json(Creation { succeeded }))
}
