//! The routes of the page and its assets.

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use davy_control::Problem;
use davy_ui::Asset;

/// Allows resources of this server only, and no inline scripts or styles.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
                      connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// The page, and every path that may be an asset or a view of the page.
pub(crate) fn router() -> Router {
    Router::new()
        .route("/", get(page))
        .route("/{*path}", get(asset))
}

async fn page(headers: HeaderMap) -> Response {
    send(davy_ui::index(), &headers)
}

async fn asset(Path(path): Path<String>, headers: HeaderMap) -> Response {
    if let Some(asset) = davy_ui::asset(&path) {
        return send(asset, &headers);
    }
    let is_view = !path.contains('.') && !path.starts_with("api/") && !path.starts_with("debug/");
    if is_view {
        return send(davy_ui::index(), &headers);
    }
    Problem::new(
        StatusCode::NOT_FOUND,
        format!("/{path} not found; /api/v1/openapi.json describes the API"),
    )
    .into_response()
}

fn send(asset: Asset, request: &HeaderMap) -> Response {
    let etag = asset.etag;
    if request
        .get(header::IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == etag.as_bytes())
    {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response();
    }
    // The name of an immutable asset contains a hash of its content.
    let cache = if asset.immutable {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let headers = [
        (header::CONTENT_TYPE, asset.content_type.to_owned()),
        (header::CACHE_CONTROL, cache.to_owned()),
        (header::ETAG, etag),
        (header::CONTENT_SECURITY_POLICY, POLICY.to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
        (header::VARY, "accept-encoding".to_owned()),
    ];
    let accepts_gzip = request
        .get(header::ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|encodings| encodings.contains("gzip"));
    match asset.gzip {
        Some(compressed) if accepts_gzip => (
            headers,
            [(header::CONTENT_ENCODING, "gzip")],
            Body::from(compressed.into_owned()),
        )
            .into_response(),
        _ => (headers, Body::from(asset.bytes.into_owned())).into_response(),
    }
}
