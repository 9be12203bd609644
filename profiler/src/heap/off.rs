//! Stand-ins for a build without the feature `jemalloc`: there are no heap profiles.

use crate::aggregate::{Aggregate, Filter};
use crate::stats::{HeapStats, LiveHeap};

const REASON: &str = "davy-profiler was built without its feature `jemalloc`";

#[derive(Clone, Debug, Default)]
pub(crate) struct Totals;

impl Totals {
    pub(crate) fn now() -> Self {
        Self
    }

    pub(crate) fn largest(self, _: usize) -> Self {
        self
    }

    #[expect(clippy::unused_self, reason = "same signature as with jemalloc")]
    pub(super) fn len(&self) -> usize {
        0
    }
}

pub(crate) fn start() -> Result<(), &'static str> {
    Err(REASON)
}

pub(crate) fn stop() {}

pub(crate) fn settle() {}

pub(crate) fn rate_bytes() -> Result<i64, &'static str> {
    Err(REASON)
}

pub(crate) fn reserve(_: usize) {}

pub(crate) fn set_rate(_: u8) -> Result<(), &'static str> {
    Err(REASON)
}

pub(crate) fn live_heap() -> LiveHeap {
    LiveHeap::default()
}

pub(crate) fn stats() -> HeapStats {
    HeapStats {
        disabled_reason: REASON,
        ..HeapStats::default()
    }
}

pub(crate) fn add(
    _: &mut Aggregate,
    _: &Filter,
    _: &Totals,
    _: Option<&Totals>,
    _: Option<&Totals>,
) {
}

/// There is no allocator whose code is known.
pub(crate) fn is_allocator_code(_address: u64) -> bool {
    false
}
