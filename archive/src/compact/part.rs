//! What a merge reads of blocks.

use crate::format::block::Meta;
use crate::key::{BlockId, Hour, Period};
use crate::rule::day::Hours;
use std::sync::Arc;

/// The hours from the first to the last.
pub(crate) const EVER: (Hour, Hour) = (Hour(i64::MIN), Hour(i64::MAX));

/// A row group to merge.
pub(super) struct Part {
    pub(super) block: BlockId,
    pub(super) period: Period,
    pub(super) meta: Arc<Meta>,
    pub(super) group: usize,
    /// Hours to merge.
    pub(super) hours: Hours,
}

impl Part {
    /// The first of its services.
    pub(super) fn service(&self) -> &str {
        let services = self.meta.groups.get(self.group).map(|of| &of.services);
        services
            .and_then(|of| of.first())
            .map_or("", String::as_str)
    }
}
