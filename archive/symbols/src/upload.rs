//! Uploads of executables and libraries.

use crate::index::BuildFiles;
use crate::service::DebugFiles;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use davy_archive::ingest::{StoredSymbols, tenant};
use davy_archive::{Error, ErrorKind, Result};
use futures_util::TryStreamExt as _;
use serde_json::json;
use std::time::Duration;

/// How long an upload may pause.
const IDLE: Duration = Duration::from_secs(30);
/// Maximum length of a build id, in bytes.
const BUILD_ID_BYTES: usize = 256;

impl DebugFiles {
    /// The route of uploads.
    pub fn router(&self) -> Router {
        Router::new()
            .route(
                "/debuginfo.v1alpha1.DebuginfoService/Upload/{build_id}",
                post(take),
            )
            .with_state(self.clone())
    }
}

async fn take(
    State(files): State<DebugFiles>,
    Path(build_id): Path<String>,
    request: Request,
) -> Response {
    match store(&files, &build_id, request).await {
        Ok(stored) => {
            files.count("upload", "stored");
            let body = json!({
                "build_id": stored.build_id,
                "file": stored.file,
                "functions": stored.functions,
                "bytes": stored.bytes,
            });
            Json(body).into_response()
        }
        Err(error) => {
            files.count("upload", error.kind.code().reason);
            refusal(&error)
        }
    }
}

async fn store(files: &DebugFiles, build_id: &str, request: Request) -> Result<StoredSymbols> {
    let (parts, body) = request.into_parts();
    let tenant = tenant(&parts.headers)?;
    if build_id.len() > BUILD_ID_BYTES || build_id.chars().any(char::is_control) {
        return Err(Error::invalid(format!(
            "invalid build id {build_id:?}; expected the build id of the file, at most {BUILD_ID_BYTES} bytes"
        )));
    }
    check_encoding(&parts.headers)?;
    let _permit = files.0.uploads.try_acquire().map_err(|_| {
        Error::new(
            ErrorKind::Busy,
            "too many debug files are being uploaded; retry",
        )
    })?;
    let program = receive(files, body).await?;
    let name = build_id.chars().take(12).collect();
    let built = BuildFiles {
        program,
        debug: None,
        name,
    };
    files.store(&tenant, build_id, built).await
}

fn check_encoding(headers: &HeaderMap) -> Result<()> {
    match headers
        .get(header::CONTENT_ENCODING)
        .map(HeaderValue::as_bytes)
    {
        None | Some(b"" | b"identity") => Ok(()),
        Some(other) => Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "unsupported content encoding {:?}; send the file as it is",
                String::from_utf8_lossy(other)
            ),
        )),
    }
}

async fn receive(files: &DebugFiles, body: Body) -> Result<crate::spool::SpoolFile> {
    let clock = files.0.symbols.clock();
    let parts = body
        .into_data_stream()
        .map_err(|error| Error::caused(ErrorKind::Invalid, "the request body ended early", error));
    files.0.spool.write((clock, IDLE), parts).await
}

/// The response for an error, in the form that agents expect.
fn refusal(error: &Error) -> Response {
    let code = error.kind.code();
    let status = StatusCode::from_u16(code.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = Json(json!({ "code": code.connect, "message": error.message }));
    (status, body).into_response()
}
