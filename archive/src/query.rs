//! Queries: from a range and a selector to a flame graph, a table or series.

mod answer;
mod diff;
mod explain;
mod flame;
mod http;
mod metadata;
mod params;
mod scan;
mod series;
pub mod svg;
mod visit;

pub use crate::ingest::is_gauge;
pub use flame::{Flame, flame};
pub use http::router;
pub use params::{Ask, parameters, type_id};
pub use scan::{Query, Report};
