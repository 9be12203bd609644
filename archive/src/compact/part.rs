//! A row group that is merged.

use crate::format::block::Meta;
use crate::key::{BlockId, Period};
use crate::rule::day::Hours;
use std::sync::Arc;

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
