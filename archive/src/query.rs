//! From a range and a selector to an answer.

mod answer;
mod diff;
mod flame;
mod http;
mod metadata;
mod params;
mod scan;
mod series;
pub mod svg;

pub use crate::ingest::is_gauge;
pub use flame::{Flame, flame};
pub use http::router;
pub use params::{Ask, type_id};
pub use scan::{Query, Report};
