//! From a push to a segment.

mod add;
mod body;
mod buffer;
mod connect;
mod decode;
mod form;
mod http;
mod kinds;
mod label_sets;

pub use buffer::Ingest;
pub use decode::{Format, Push, WindowIdentity};
pub use http::router;
pub(crate) use http::tenant;
pub use kinds::is_gauge;
