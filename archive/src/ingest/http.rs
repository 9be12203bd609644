//! The routes of ingestion.

use super::service::Ingest;
use super::tenant::tenant;
use super::{body, connect, form, symbols};
use crate::blocking::blocking;
use crate::error::{Error, ErrorKind, Result};
use axum::Router;
use axum::body::Body;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::json;
use std::collections::BTreeMap;

/// The routes `/ingest` and `/push.v1.PusherService/Push`.
pub fn router(ingest: Ingest) -> Router {
    Router::new()
        .route("/ingest", post(take_ingest))
        .route("/pyroscope/ingest", post(take_ingest))
        .route("/push.v1.PusherService/Push", post(take_push))
        .merge(symbols::routes())
        .with_state(ingest)
}

/// Header of a client that is about to exit: the push does not wait for the flush interval.
const HURRY: &str = "davy-hurry";

fn content_type(headers: &HeaderMap) -> &str {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("")
}

/// The response for an error, in the form that agents expect.
fn refusal(ingest: &Ingest, error: &Error, connect: bool) -> Response {
    let code = error.kind.code();
    let mut status = code.status;
    if connect && error.kind == ErrorKind::Unprocessable {
        status = 400;
    }
    ingest.count_refusal(error);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = axum::Json(json!({ "code": code.connect, "message": error.message }));
    let mut response = (status, body).into_response();
    if let Some(seconds) = error.retry_after_seconds() {
        let headers = response.headers_mut();
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

async fn take_ingest(
    State(ingest): State<Ingest>,
    query: Result<Query<BTreeMap<String, String>>, axum::extract::rejection::QueryRejection>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let taken = async {
        let Query(query) = query
            .map_err(|error| Error::caused(ErrorKind::Invalid, "invalid query string", error))?;
        let tenant = tenant(&parts.headers)?;
        let (bytes, _reservation) = body::read(
            &ingest,
            (&parts.headers, body),
            &tenant,
            ingest.options().body_bytes,
        )
        .await?;
        let now = ingest.options().clock.now();
        let push = form::read(&query, content_type(&parts.headers), bytes, now).await?;
        ingest
            .push(&tenant, vec![("the profile".to_owned(), push)])
            .await
    };
    match taken.await {
        Ok(notes) if notes.is_empty() => StatusCode::OK.into_response(),
        Ok(notes) => (StatusCode::OK, notes.join("\n") + "\n").into_response(),
        Err(error) => refusal(&ingest, &error, false),
    }
}

/// Encoding of a push.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wire {
    Protobuf,
    Json,
}

async fn take_push(State(ingest): State<Ingest>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let taken = async {
        let wire = match content_type(&parts.headers)
            .split(';')
            .next()
            .unwrap_or("")
            .trim()
        {
            "application/proto" | "application/protobuf" | "application/x-protobuf" => {
                Wire::Protobuf
            }
            "application/json" => Wire::Json,
            other => {
                let message = format!(
                    "unsupported content type {other:?}; supported are application/proto and application/json"
                );
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
        };
        let tenant = tenant(&parts.headers)?;
        let (bytes, _reservation) = body::read(
            &ingest,
            (&parts.headers, body),
            &tenant,
            ingest.options().body_bytes,
        )
        .await?;
        let hurry = parts.headers.contains_key(HURRY);
        // A client that waits for an earlier push sends nothing more than that it is in a hurry.
        let is_empty = hurry && bytes.is_empty();
        let parse = move || match wire {
            _ if is_empty => Ok(Vec::new()),
            Wire::Protobuf => connect::from_protobuf(bytes),
            Wire::Json => connect::from_json(&bytes),
        };
        let pushes = blocking("parse a push", parse).await??;
        ingest.push_and(&tenant, pushes, hurry).await?;
        Ok(wire)
    };
    let answer = |kind: &'static str, body: &'static str| {
        ([(header::CONTENT_TYPE, kind)], Body::from(body)).into_response()
    };
    match taken.await {
        Ok(Wire::Protobuf) => answer("application/proto", ""),
        Ok(Wire::Json) => answer("application/json", "{}"),
        Err(error) => refusal(&ingest, &error, true),
    }
}
