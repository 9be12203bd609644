//! The routes of the page and its assets.

use super::document::{EMBED, first_request, name_of};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use davy_base::Clock;
use davy_control::Problem;
use davy_ui::Asset;
use std::sync::Arc;

/// What the documents depend on.
pub(crate) struct PageOptions {
    /// The time that "now" refers to in the first request of a page.
    pub(crate) clock: Clock,
    /// Origins whose pages may show `/embed/flamegraph` in a frame.
    pub(crate) embed_origins: Vec<String>,
}

/// Where a document has the link to its first request.
const DATA: &str = "<!--data-->";

/// Isolated pages share the memory of a flame graph with their worker instead of copying it.
const ISOLATED: [(&str, &str); 2] = [
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-embedder-policy", "require-corp"),
];

/// The policy of documents: resources of this server only, and no inline scripts or styles.
fn policy(base: &str, ancestors: &str) -> String {
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; \
         worker-src 'self'; base-uri {base}; form-action 'none'; frame-ancestors {ancestors}"
    )
}

/// The page, and every path that may be an asset or a view of the page.
pub(crate) fn router(options: PageOptions) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/{*path}", get(asset))
        .with_state(Arc::new(options))
}

async fn page(
    State(options): State<Arc<PageOptions>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    document(&options, "", &query.unwrap_or_default(), &headers)
}

async fn asset(
    State(options): State<Arc<PageOptions>>,
    Path(path): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    if path == "index.html" {
        return document(&options, "", &query.unwrap_or_default(), &headers);
    }
    // Documents are served with their first request, by the paths of their pages.
    let is_document = path
        .rsplit_once('.')
        .is_some_and(|(_, kind)| kind == "html");
    if let Some(asset) = davy_ui::asset(&path).filter(|_| !is_document) {
        return send(asset, &headers, policy("'none'", "'none'"));
    }
    let is_view = !path.contains('.') && !path.starts_with("api/") && !path.starts_with("debug/");
    if is_view {
        return document(&options, &path, &query.unwrap_or_default(), &headers);
    }
    Problem::new(
        StatusCode::NOT_FOUND,
        format!("/{path} not found; /api/v1/openapi.json describes the API"),
    )
    .into_response()
}

fn document(options: &PageOptions, path: &str, query: &str, headers: &HeaderMap) -> Response {
    let name = name_of(path, query);
    let mut asset = davy_ui::document(name);
    let policy = if name == EMBED.0 && !options.embed_origins.is_empty() {
        policy("'self'", &options.embed_origins.join(" "))
    } else if name == EMBED.0 {
        policy("'self'", "'none'")
    } else {
        policy("'none'", "'none'")
    };
    let first = first_request(name, query, options.clock.now());
    if let Some(url) = first {
        let link = format!(
            "<link rel=\"preload\" as=\"fetch\" crossorigin=\"anonymous\" href=\"./{}\">",
            url.replace('&', "&amp;")
        );
        let html = String::from_utf8_lossy(&asset.bytes).replacen(DATA, &link, 1);
        asset = Asset {
            bytes: html.into_bytes().into(),
            gzip: None,
            // It differs with the time.
            etag: None,
            ..asset
        };
    }
    send(asset, headers, policy)
}

fn send(asset: Asset, request: &HeaderMap, policy: String) -> Response {
    if let Some(etag) = &asset.etag
        && request
            .get(header::IF_NONE_MATCH)
            .is_some_and(|known| known.as_bytes() == etag.as_bytes())
    {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, etag.clone())]).into_response();
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
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
        (header::VARY, "accept-encoding".to_owned()),
    ];
    let accepts_gzip = request
        .get(header::ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|encodings| encodings.contains("gzip"));
    let mut response = match asset.gzip {
        Some(compressed) if accepts_gzip => (
            headers,
            [(header::CONTENT_ENCODING, "gzip")],
            Body::from(compressed.into_owned()),
        )
            .into_response(),
        _ => (headers, Body::from(asset.bytes.into_owned())).into_response(),
    };
    for (name, value) in ISOLATED {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    if let Some(etag) = asset.etag.and_then(|etag| etag.parse().ok()) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}
