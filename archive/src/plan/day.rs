//! Decides what is merged into a day block: a pure function of the listing of a day and the time.

use crate::key::{BlockId, Day, Hour};
use crate::plan::Policy;
use crate::rule::day::{DayListing, Detail, Hours};
use davy_base::Timestamp;

/// The merge into a day block, and the day blocks to delete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DayPlan {
    /// Hour blocks to merge, in the order of reading.
    pub hours: Vec<(Hour, Vec<BlockId>)>,
    /// Day blocks whose windows no longer exist, and the hours to merge from each.
    pub blocks: Vec<(BlockId, Hours)>,
    /// Day blocks that another one has covered for at least the grace period.
    pub delete: Vec<BlockId>,
}

impl DayPlan {
    /// Whether there is nothing to merge.
    pub fn is_settled(&self) -> bool {
        self.hours.is_empty() && self.blocks.is_empty()
    }
}

/// Plans one day.
///
/// A day block is merged from the pieces with windows of all hours, so that each window is in it once, and it holds
/// every known leaf. An hour whose windows have expired is taken from one other day block, and from nothing besides. A late window therefore makes another day block, which replaces the first one; until then its
/// hour is read from windows. Late windows are collected: they are merged when no other has arrived for
/// `late_settle`, or when one has waited for four times as long.
///
/// A day block is deleted only because of one that holds all of its leaves and, if they are equal, whose name sorts
/// first. This is a strict order, so the largest day blocks are never deleted.
pub fn plan_day(listing: &DayListing, day: Day, now: Timestamp, policy: &Policy) -> DayPlan {
    let mut plan = DayPlan {
        delete: listing.torn.clone(),
        ..DayPlan::default()
    };
    for (at, block) in listing.blocks.iter().enumerate() {
        let covers = |other: usize| {
            let by = &listing.blocks[other];
            let is_subset = |(hour, leaves): (&Hour, &std::collections::BTreeSet<ulid::Ulid>)| {
                leaves.is_subset(by.of_hour(*hour))
            };
            let is_first = by.leaf_count() > block.leaf_count() || by.id < block.id;
            let is_old = by.since.plus(policy.grace) <= now;
            let is_whole = by.has_hours || !block.has_hours;
            other != at && is_first && is_old && is_whole && block.leaves.iter().all(is_subset)
        };
        if (0..listing.blocks.len()).any(covers) {
            plan.delete.push(block.id.clone());
        }
    }
    if now < day.end().plus(policy.day_settle) {
        return plan;
    }
    let hours = listing.known_hours();
    let known: Vec<Hour> = hours
        .into_iter()
        .filter(|hour| !listing.known(*hour).is_empty())
        .collect();
    let is_complete = |at: usize| {
        (known.iter()).all(|hour| {
            listing
                .known(*hour)
                .is_subset(listing.blocks[at].of_hour(*hour))
        })
    };
    if (0..listing.blocks.len()).any(is_complete) || !is_due(listing, &known, now, policy) {
        return plan;
    }
    let range = day.first().start().millis()..day.end().millis();
    let tiling = listing.tile(day, &range, Detail::Windows);
    // The hour is compacted first, and what could count twice is never summed up.
    let is_open = |(_, pieces): &(Hour, crate::rule::Selection)| !pieces.segments.is_empty();
    if tiling.hours.iter().any(is_open) || !tiling.inexact.is_empty() {
        return plan;
    }
    // A window that was pushed twice is in two leaves, and a day block has no windows to compare. A listing in which
    // blocks are missing, because their meta objects could not be read, can ask for such a merge.
    let is_mixed = |hour: &Hour| {
        let blocks = tiling.blocks.iter().filter(|(_, of)| of.contains(*hour));
        let with_windows = tiling.hours.iter().filter(|(of, _)| of == hour);
        blocks.count() + with_windows.count() > 1
    };
    if known.iter().any(is_mixed) {
        return plan;
    }
    for (hour, pieces) in tiling.hours {
        let blocks = &listing.hours[&hour].blocks;
        let ids = pieces.blocks.iter().map(|at| blocks[*at].id.clone());
        plan.hours.push((hour, ids.collect()));
    }
    for (at, hours) in tiling.blocks {
        plan.blocks.push((listing.blocks[at].id.clone(), hours));
    }
    plan
}

/// Whether the blocks that no day block holds have waited long enough.
fn is_due(listing: &DayListing, known: &[Hour], now: Timestamp, policy: &Policy) -> bool {
    if listing.blocks.is_empty() {
        return true;
    }
    let late = known
        .iter()
        .filter(|hour| listing.complete(**hour).is_none());
    let late = late.filter_map(|hour| Some((*hour, listing.hours.get(hour)?)));
    let since = late.flat_map(|(hour, of)| {
        let is_held = move |block: &&crate::rule::BlockEntry| {
            let holds =
                |day: &crate::rule::day::DayBlock| block.leaves.is_subset(day.of_hour(hour));
            !listing.blocks.iter().any(holds)
        };
        of.blocks.iter().filter(is_held).map(|block| block.since)
    });
    let since: Vec<Timestamp> = since.collect();
    let (first, last) = (since.iter().min(), since.iter().max());
    let has_waited = |since: Option<&Timestamp>, times: u32| {
        since.is_none_or(|since| since.plus(policy.late_settle * times) <= now)
    };
    has_waited(last, 1) || has_waited(first, 4)
}

#[cfg(test)]
mod tests;
