//! Alive, ready, and the figures.

use crate::metrics::Metrics;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use davy_runtime::States;
use std::sync::Arc;

#[derive(Clone)]
struct Health {
    states: States,
    metrics: Arc<Metrics>,
}

/// Routes that every listener has.
pub(crate) fn router(states: States, metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(figures))
        .with_state(Health { states, metrics })
}

async fn ready(State(health): State<Health>) -> Response {
    let unready = health.states.unready();
    let rows: Vec<_> = unready
        .iter()
        .map(|member| serde_json::json!({"member": member.name, "state": member.state.as_str(), "error": member.error}))
        .collect();
    let status = if unready.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (
        status,
        Json(serde_json::json!({"ready": unready.is_empty(), "unready": rows})),
    )
        .into_response()
}

async fn figures(State(health): State<Health>) -> Response {
    match health.metrics.text(&health.states) {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => super::Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("the figures can't be written: {error}"),
        )
        .into_response(),
    }
}
