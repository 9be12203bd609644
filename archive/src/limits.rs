//! The limits of tenants: what one tenant may push and query, whatever the others do.
//!
//! Every tenant has the default limits, or its own. They can be replaced while the archive runs. What is counted
//! (bytes and series) is counted by each archiver for itself, so two archivers together admit twice as much.

mod live;
pub(crate) mod name;
mod rate;
mod series;
mod table;

pub use live::LiveLimits;
pub(crate) use series::{CountSeries, SeriesLabels, hash};
pub(crate) use table::too_large_profile;
pub use table::{LimitTable, TenantLimits};
