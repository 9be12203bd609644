//! Sums of the heap at an instant, and how they came to be.

use super::{MAX_FRAMES, stacks};
use crate::aggregate::{Aggregate, Filter, TABLE_FULL};
use rustc_hash::FxHashMap;
use std::sync::atomic::{AtomicI64, Ordering};

/// Objects and bytes, allocated so far and living now, by stack and tag.
#[derive(Clone, Debug, Default)]
pub(crate) struct Totals(FxHashMap<u16, [i64; 4]>);

impl Totals {
    /// What they are now.
    pub(crate) fn now() -> Self {
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

    /// Those with the most living bytes, at most so many.
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

/// Adds the heap to an aggregate: what was allocated and what lives, each less what it was at an
/// earlier instant, if one is given.
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
            let is_cut = frames.len() >= MAX_FRAMES;
            aggregate.add(frames, is_cut, tag, values);
        }
    });
}
