//! The routes of `/api/v1/symbols`.

use super::body;
use super::service::Ingest;
use super::tenant::tenant;
use crate::answer::{PARTIAL, problem, set_header};
use crate::error::{Error, ErrorKind, Result};
use crate::format::symbols::SymbolsMeta;
use crate::symbols::Upload;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use davy_profile::units;
use serde::{Deserialize, Serialize};

/// Maximum length of a build id, in bytes.
const BUILD_ID_BYTES: usize = 256;

/// The routes.
pub(super) fn routes() -> Router<Ingest> {
    Router::new()
        .route("/api/v1/symbols", get(list))
        .route("/api/v1/symbols/{build_id}", get(show).put(take))
}

/// The symbols of a build, in responses.
#[derive(Serialize)]
struct Row {
    build_id: String,
    file: String,
    functions: u64,
    bytes: u64,
    stored_at: i64,
}

/// The symbols of all builds.
#[derive(Serialize)]
struct List {
    symbols: Vec<Row>,
    /// Builds that could not be read.
    partial: Vec<String>,
}

impl From<SymbolsMeta> for Row {
    fn from(meta: SymbolsMeta) -> Self {
        Self {
            bytes: meta.bytes(),
            build_id: meta.build_id,
            file: meta.file_name,
            functions: meta.functions,
            stored_at: meta.stored_at,
        }
    }
}

/// The build id of a path.
fn build_id(path: Result<Path<String>, PathRejection>) -> Result<String> {
    let Path(build_id) =
        path.map_err(|error| Error::caused(ErrorKind::Invalid, "invalid build id", error))?;
    if build_id.len() > BUILD_ID_BYTES {
        return Err(Error::invalid(format!(
            "invalid build id: it has {} bytes, the limit is {BUILD_ID_BYTES}",
            build_id.len()
        )));
    }
    if build_id.is_empty() || build_id.chars().any(char::is_control) {
        return Err(Error::invalid(format!(
            "invalid build id {build_id:?}: it is empty or has control characters; expected the build id of an executable"
        )));
    }
    Ok(build_id)
}

async fn list(State(ingest): State<Ingest>, headers: HeaderMap) -> Response {
    let listed = async { ingest.symbols().list(&tenant(&headers)?).await };
    match listed.await {
        Ok((all, partial)) => {
            let header = partial.join("; ");
            let symbols = all.into_iter().map(Row::from).collect();
            let mut response = Json(List { symbols, partial }).into_response();
            set_header(&mut response, PARTIAL, &header);
            response
        }
        Err(error) => problem(&error),
    }
}

/// The parameters of [`show`].
#[derive(Deserialize)]
struct ShowParameters {
    #[serde(default)]
    min_functions: u64,
}

async fn show(
    State(ingest): State<Ingest>,
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<ShowParameters>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let found = async {
        let (tenant, build_id) = (tenant(&headers)?, build_id(path)?);
        let Query(ShowParameters { min_functions }) =
            query.map_err(|error| Error::caused(ErrorKind::Invalid, "invalid query", error))?;
        let found = ingest.symbols().get(&tenant, &build_id).await?;
        let found = found.filter(|meta| meta.functions >= min_functions);
        found.ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!(
                    "no symbols of build {build_id} are stored; PUT a symbol index to store them"
                ),
            )
        })
    };
    match found.await {
        Ok(meta) => Json(Row::from(meta)).into_response(),
        Err(error) => problem(&error),
    }
}

async fn take(
    State(ingest): State<Ingest>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let uploads = &ingest.metrics().symbol_uploads;
    let count = |result: &str| uploads.with_label_values(&[result]).inc();
    match store(&ingest, path, request).await {
        Ok(stored) => {
            let result = if stored.was_there {
                "unchanged"
            } else {
                "stored"
            };
            count(result);
            Json(Row::from(stored.meta)).into_response()
        }
        Err(error) => {
            count(error.kind.code().reason);
            problem(&error)
        }
    }
}

async fn store(
    ingest: &Ingest,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<crate::symbols::Stored> {
    let (parts, body) = request.into_parts();
    let build_id = build_id(path)?;
    let tenant = tenant(&parts.headers)?;
    let options = ingest.options();
    // Three quarters, because the tables need memory as well, and so do pushes.
    let limit = options.symbol_index_bytes.min(options.buffer_bytes / 4 * 3);
    let (index, reservation) = body::read(ingest, (&parts.headers, body), &tenant, limit)
        .await
        .map_err(|error| match error.kind {
            ErrorKind::TooLarge => Error::new(
                ErrorKind::TooLarge,
                format!(
                    "the symbol index is larger than {}, the limit of this archiver: three quarters of archive.buffer_bytes, at most {}",
                    units::bytes(limit as f64),
                    units::bytes(options.symbol_index_bytes as f64)
                ),
            ),
            _ => error,
        })?;
    let upload = Upload { build_id, index };
    ingest.store_symbols(&tenant, upload, reservation).await
}
