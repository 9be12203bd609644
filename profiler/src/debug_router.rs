//! `/debug/pprof/*` for an axum server.

use crate::Error;
use crate::debug::{DebugResponse, respond};
use crate::handle::Handle;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::sync::Arc;

/// Routes for `go tool pprof` and people: what [`Handle::debug_response`] responds, for an axum server.
///
/// A request takes a blocking thread of tokio until it has its profile. At most 24 requests do so at once; any further
/// ones get status 429.
pub fn debug_router(handle: Handle) -> Router {
    Router::new()
        .route("/debug/pprof", get(debug))
        .route("/debug/pprof/", get(debug))
        .route("/debug/pprof/profile", get(debug))
        .route("/debug/pprof/wall", get(debug))
        .route("/debug/pprof/heap", get(debug))
        .route("/debug/pprof/allocs", get(debug))
        .route("/debug/pprof/tasks", get(debug))
        .route("/debug/pprof/threads", get(debug))
        .route("/debug/pprof/cmdline", get(debug))
        .route("/debug/pprof/watch", get(debug).post(debug))
        .with_state(handle)
}

async fn debug(State(handle): State<Handle>, uri: Uri) -> Response {
    // Dropped when this request ends, even if the client disconnects before the profile is taken.
    let waiting = Arc::new(());
    let waiter = Arc::downgrade(&waiting);
    let target = uri
        .path_and_query()
        .map_or("/", |target| target.as_str())
        .to_owned();
    let response = tokio::task::spawn_blocking(move || respond(&handle, &target, waiter));
    response
        .await
        .unwrap_or_else(|_| Error::Stopped.into())
        .into_response()
}

impl IntoResponse for DebugResponse {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if status == StatusCode::NO_CONTENT {
            return status.into_response();
        }
        let headers = [
            (header::CONTENT_TYPE, self.content_type),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        let disposition = self.file_name.map(|name| {
            [(
                header::CONTENT_DISPOSITION,
                format!("attachment; filename=\"{name}\""),
            )]
        });
        match disposition {
            Some(disposition) => (status, headers, disposition, self.body).into_response(),
            None => (status, headers, self.body).into_response(),
        }
    }
}
