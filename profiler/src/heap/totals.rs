//! The totals of the heap at an instant.

use super::{stacks, unclaimed};
use crate::aggregate::{Aggregate, Filter, HEAP_FRAMES_MAX, TABLE_FULL};
use rustc_hash::FxHashMap;
use std::sync::atomic::{AtomicI64, Ordering};

/// Objects and bytes, allocated so far and live, by stack and tag.
#[derive(Clone, Debug, Default)]
pub(crate) struct Totals(FxHashMap<u16, [i64; 4]>);

impl Totals {
    /// The current totals.
    pub(crate) fn now() -> Self {
        unclaimed::settle();
        unclaimed::count_reading();
        let mut totals = Self::default();
        stacks::visit(|number, _, _, entry| {
            let read = |sum: &AtomicI64| sum.load(Ordering::Relaxed);
            let values = [
                stacks::objects(read(&entry.allocated_objects)),
                read(&entry.allocated_bytes),
                stacks::objects(read(&entry.live_objects)).max(0),
                read(&entry.live_bytes).max(0),
            ];
            totals.0.insert(number, values);
        });
        totals
    }

    /// The `count` stacks with the most live bytes.
    pub(crate) fn largest(self, count: usize) -> Self {
        let mut all: Vec<_> = self.0.into_iter().collect();
        all.sort_unstable_by_key(|(_, values)| std::cmp::Reverse(values[3]));
        all.truncate(count);
        Self(all.into_iter().collect())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Adds allocated and live memory to an aggregate, each minus an earlier reading if one is given.
pub(crate) fn add(
    aggregate: &mut Aggregate,
    filter: &Filter,
    now: &Totals,
    allocated_before: Option<&Totals>,
    live_before: Option<&Totals>,
) {
    stacks::visit(|number, tag, frames, _| {
        let Some(mut values) = now.0.get(&number).copied() else {
            return;
        };
        if !filter.keeps(tag) {
            return;
        }
        let bases = [allocated_before, allocated_before, live_before, live_before];
        for (at, base) in bases.into_iter().enumerate() {
            let earlier = base.and_then(|base| base.0.get(&number));
            values[at] -= earlier.map_or(0, |earlier| earlier[at]);
        }
        if values != [0; 4] {
            let frames = if frames.is_empty() {
                &[TABLE_FULL]
            } else {
                frames
            };
            let is_truncated = frames.len() >= HEAP_FRAMES_MAX;
            aggregate.add(frames, is_truncated, tag, values);
        }
    });
}
