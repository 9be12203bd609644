//! Responses and problem documents.

use crate::error::Error;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// The header that lists what could not be read, because not every response format can contain it.
pub(crate) const PARTIAL: &str = "davy-partial";

/// An RFC 9457 problem document.
pub(crate) fn problem(error: &Error) -> Response {
    let code = error.kind.code();
    let mut body = json!({ "type": "about:blank", "title": code.title, "status": code.status, "detail": error.message });
    if let Some(limit) = error.limit {
        body["limit"] = limit.into();
    }
    let status = StatusCode::from_u16(code.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Body::from(body.to_string())).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    if let Some(seconds) = error.retry_after_seconds() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// A response of this media type.
pub(crate) fn bytes(media_type: &'static str, body: impl Into<Body>) -> Response {
    ([(header::CONTENT_TYPE, media_type)], body.into()).into_response()
}

/// Sets a header to a text, unless it is empty.
pub(crate) fn set_header(response: &mut Response, name: &'static str, text: &str) {
    if text.is_empty() {
        return;
    }
    let text = text
        .chars()
        .map(|c| if (' '..='~').contains(&c) { c } else { '?' })
        .take(1_000)
        .collect::<String>();
    if let Ok(value) = text.parse() {
        response.headers_mut().insert(name, value);
    }
}
