//! Ingestion: from a push to a written segment.

mod add;
mod body;
mod connect;
mod decode;
mod flush;
mod form;
mod http;
mod kinds;
mod label_sets;
mod memory;
mod open;
mod service;

pub use decode::{Format, Push, WindowIdentity};
pub use http::router;
pub(crate) use http::tenant;
pub use kinds::is_gauge;
pub use service::Ingest;
