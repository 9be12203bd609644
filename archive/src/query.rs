//! Queries: from a range and a selector to a flame graph, a table or series.

mod admission;
mod aggregate;
mod bounds;
mod cost;
mod diff;
mod explain;
mod export;
mod filters;
mod flame;
mod group;
mod http;
mod metadata;
mod params;
mod prune;
mod scan;
mod series;
mod survey;
pub mod svg;
mod visit;

pub use flame::{Flame, flame};
pub use http::router;
pub use params::{Ask, parameters};
pub use scan::{Query, Report};
pub use survey::{ServiceSurvey, survey};
