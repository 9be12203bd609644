//! The page.

use super::Problem;
use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use davy_ui::Asset;

/// Scripts, styles and data come from here alone; the flame graph runs in a worker.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; \
                      worker-src 'self' blob:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'";

/// Routes of the page and its parts.
pub(crate) fn router() -> Router {
    Router::new().route("/", get(page)).route("/{*path}", get(part))
}

async fn page(headers: HeaderMap) -> Response {
    send(davy_ui::index(), &headers)
}

async fn part(Path(path): Path<String>, headers: HeaderMap) -> Response {
    if let Some(asset) = davy_ui::asset(&path) {
        return send(asset, &headers);
    }
    let is_place_in_app = !path.contains('.') && !path.starts_with("api/") && !path.starts_with("debug/");
    if is_place_in_app {
        return send(davy_ui::index(), &headers);
    }
    Problem::new(StatusCode::NOT_FOUND, format!("there is nothing at /{path}; /api/v1/openapi.json describes the API"))
        .into_response()
}

fn send(asset: Asset, request: &HeaderMap) -> Response {
    let etag = asset.etag.to_string();
    if request.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response();
    }
    // Names of immutable parts hold a hash of what is in them.
    let cache = if asset.immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
    let headers = [
        (header::CONTENT_TYPE, asset.content_type.to_owned()),
        (header::CACHE_CONTROL, cache.to_owned()),
        (header::ETAG, etag),
        (header::CONTENT_SECURITY_POLICY, POLICY.to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
    ];
    (headers, axum::body::Body::from(asset.bytes)).into_response()
}
