//! What a scan reads at once.

use crate::format::block::Meta;
use crate::format::segment::Segment;
use crate::key::{BlockId, Period};
use crate::rule::day::Hours;
use std::sync::Arc;
use ulid::Ulid;

/// A segment, or a row group of a block.
pub(super) enum Part {
    /// A segment that is not read yet, so that only one is in memory.
    Listed(Ulid),
    Segment(Segment),
    Block(Block),
}

/// A row group of a block.
pub(super) struct Block {
    pub(super) period: Period,
    pub(super) id: BlockId,
    pub(super) meta: Arc<Meta>,
    pub(super) group: usize,
    /// The hours that are read from a day block.
    pub(super) hours: Option<Hours>,
    /// Whether it has values by window or hour, besides their sums.
    pub(super) has_samples: bool,
}
