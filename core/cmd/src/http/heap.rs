//! Gets heap profiles from the debug ports of the fleet's processes.

use super::unix::SpawnTagged;
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Request, header};
use davy_control::HeapSource;
use http_body_util::{BodyExt as _, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use std::error::Error;
use std::sync::Arc;

/// Maximum size of a heap profile, in bytes.
const BYTES_MAX: usize = 128 << 20;

/// Gets heap profiles over HTTP.
pub(crate) fn heap_source() -> HeapSource {
    let client: Client<HttpConnector, Body> = Client::builder(SpawnTagged).build_http();
    Arc::new(move |address, authorization| {
        let client = client.clone();
        Box::pin(async move { heap(&client, &address, authorization).await })
    })
}

async fn heap(
    client: &Client<HttpConnector, Body>,
    address: &str,
    authorization: Option<HeaderValue>,
) -> Result<Bytes, String> {
    let mut request = Request::get(format!("http://{address}/debug/pprof/heap"))
        .body(Body::empty())
        .map_err(|error| format!("invalid address {address:?} of its debug port: {error}"))?;
    if let Some(authorization) = authorization {
        request
            .headers_mut()
            .insert(header::AUTHORIZATION, authorization);
    }
    let failed = |error: &dyn Error| {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(inner) = source {
            text = inner.to_string();
            source = inner.source();
        }
        format!("its debug port {address} does not respond: {text}")
    };
    let response = client.request(request).await;
    let response = response.map_err(|error| failed(&error))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), BYTES_MAX)
        .collect()
        .await;
    let body = body.map_err(|error| failed(&*error))?.to_bytes();
    if status.is_success() {
        return Ok(body);
    }
    let text = String::from_utf8_lossy(&body);
    Err(format!(
        "its debug port {address} refused the request with status {}: {}",
        status.as_u16(),
        text.trim()
    ))
}
