//! The jobs of all teams.

use crate::problem::Problem;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use davy_store::Store;

pub(super) fn router(store: Store) -> Router {
    Router::new()
        .route("/api/v1/jobs", get(list_all_jobs))
        .with_state(store)
}

async fn list_all_jobs(State(store): State<Store>) -> Result<Response, Problem> {
    let jobs = store.jobs().await;
    let jobs = jobs.map_err(|error| Problem::query_failed("jobs", error))?;
    // Encoding tens of thousands of jobs takes longer than a task may block its thread.
    let encoded = davy_tag::spawn_blocking(move || serde_json::to_vec(&jobs)).await;
    match encoded {
        Ok(Ok(body)) => Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response()),
        Ok(Err(error)) => Err(encoding_failed(&error)),
        Err(error) => Err(encoding_failed(&error)),
    }
}

fn encoding_failed(error: &dyn std::fmt::Display) -> Problem {
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        format!("cannot encode the jobs as JSON: {error}"),
    )
}
