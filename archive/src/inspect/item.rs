//! A segment or a block, as the commands show it.

use serde::Serialize;

/// A segment or a block.
#[derive(Clone, Debug, Serialize)]
pub struct Item {
    /// The tenant, encoded as in keys.
    pub tenant: String,
    /// `YYYY-MM-DD/HH`, `YYYY-MM-DD` of a day block, or `YYYY-MM` of a month block.
    pub period: String,
    /// `segment`, `hour`, `day` or `month`.
    pub kind: &'static str,
    /// Name of the segment or block.
    pub name: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Number of segments whose windows it holds.
    pub segments: usize,
    /// Whether a query of the whole period reads it, before it reads month blocks instead of days; if not, a block covers
    /// it, or a month block was merged from other day blocks.
    pub read: bool,
    /// The fault that [`Archive::verify`](crate::Archive::verify) found.
    pub fault: Option<String>,
}
