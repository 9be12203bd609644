//! The routes of ingestion.

use super::buffer::Ingest;
use super::{body, connect, form};
use crate::error::{Error, ErrorKind, Result};
use crate::key::Tenant;
use axum::Router;
use axum::body::Body;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::json;
use std::collections::BTreeMap;

/// The header that names the tenant.
pub(crate) const TENANT: &str = "x-scope-orgid";

/// Whose request it is.
pub(crate) fn tenant(headers: &HeaderMap) -> Result<Tenant> {
    let Some(value) = headers.get(TENANT) else {
        return Ok(Tenant::anonymous());
    };
    // Two tenants must not become one, so nothing is replaced in a name.
    let name = std::str::from_utf8(value.as_bytes())
        .map_err(|_| Error::invalid("X-Scope-OrgID is not UTF-8"))?;
    if name.is_empty() {
        return Ok(Tenant::anonymous());
    }
    Tenant::new(name).ok_or_else(|| Error::invalid("X-Scope-OrgID is longer than 128 bytes"))
}

/// `/ingest` and Push.
pub fn router(ingest: Ingest) -> Router {
    Router::new()
        .route("/ingest", post(take_ingest))
        .route("/pyroscope/ingest", post(take_ingest))
        .route("/push.v1.PusherService/Push", post(take_push))
        .with_state(ingest)
}

/// A client that is about to end says so, and does not wait for a segment to fill.
const HURRY: &str = "davy-hurry";

fn content_type(headers: &HeaderMap) -> &str {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("")
}

/// Errors as the agents expect them.
fn refusal(ingest: &Ingest, error: &Error, connect: bool) -> Response {
    let (mut status, _, code, reason) = error.kind.table();
    if connect && error.kind == ErrorKind::Unprocessable {
        status = 400;
    }
    ingest.metrics().rejected.with_label_values(&[reason]).inc();
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = axum::Json(json!({ "code": code, "message": error.message }));
    let mut response = (status, body).into_response();
    if matches!(error.kind, ErrorKind::Busy | ErrorKind::Unavailable) {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
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
        let Query(query) = query.map_err(|error| Error::invalid(error.to_string()))?;
        let tenant = tenant(&parts.headers)?;
        let (bytes, _reservation) = body::read(&ingest, &parts.headers, body).await?;
        let now = ingest.options().clock.now();
        let push = form::read(&query, content_type(&parts.headers), bytes, now).await?;
        ingest
            .push(&tenant, vec![("the profile".to_owned(), push)])
            .await
    };
    match taken.await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(error) => refusal(&ingest, &error, false),
    }
}

/// How a push is written.
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
                    "the content type `{other}` is not taken; application/proto and application/json are"
                );
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
        };
        let tenant = tenant(&parts.headers)?;
        let (bytes, _reservation) = body::read(&ingest, &parts.headers, body).await?;
        let read = davy_tag::spawn_blocking(move || match wire {
            Wire::Protobuf => connect::from_protobuf(bytes),
            Wire::Json => connect::from_json(&bytes),
        });
        let pushes = read
            .await
            .map_err(|_| Error::new(ErrorKind::Internal, "reading failed unexpectedly"))??;
        let hurry = parts.headers.contains_key(HURRY);
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
