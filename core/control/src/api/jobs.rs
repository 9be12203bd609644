//! The jobs of all teams.

use super::database_problem;
use crate::problem::Problem;
use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use davy_store::Store;

pub(super) fn router(store: Store) -> Router {
    Router::new()
        .route("/api/v1/jobs", get(list_all_jobs))
        .with_state(store)
}

/// All jobs at once, as a dashboard wants them.
async fn list_all_jobs(State(store): State<Store>) -> Result<Response, Problem> {
    let jobs = store.jobs().await;
    let jobs = jobs.map_err(|error| database_problem("jobs", error))?;
    // Tens of thousands take longer than a task may keep its thread.
    let encoded = davy_tag::spawn_blocking(move || serde_json::to_vec(&jobs)).await;
    match encoded {
        Ok(Ok(body)) => Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response()),
        Ok(Err(error)) => Err(failed(&error)),
        Err(error) => Err(failed(&error)),
    }
}

fn failed(error: &dyn std::fmt::Display) -> Problem {
    Problem::new(
        axum::http::StatusCode::INTERNAL_SERVER_ERROR,
        format!("the jobs can't be written as JSON: {error}"),
    )
}
