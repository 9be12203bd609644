//! What the page knows about the code of services: links to source code, and which functions are their own.

use axum::routing::get;
use axum::{Json, Router};
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;

/// The code of services. Patterns are regular expressions that are valid in Rust and JavaScript.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ViewerService {
    /// Matches the name of the service. The first entry that matches applies.
    pub service: String,
    /// A link to a line of source code, with `{path}`, `{line}` and `{version}`; `null` for no links.
    pub source: Option<String>,
    /// The part of a file name that `{path}` does not contain.
    pub strip: Option<String>,
    /// Matches the names or files of functions that are the service's own code, not that of libraries.
    pub own: Option<String>,
}

/// The settings of the viewer.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ViewerSettings {
    /// The code of services, in the order of the configuration.
    services: Arc<[ViewerService]>,
}

pub(super) fn router(services: Arc<[ViewerService]>) -> Router {
    let settings = move || async move { Json(ViewerSettings { services }) };
    Router::new().route("/api/v1/viewer", get(settings))
}
