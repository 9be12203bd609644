//! The generated references in `ops/docs`.

mod http_api;
mod metrics;

pub use http_api::http_api_reference;
pub use metrics::metrics_reference;
