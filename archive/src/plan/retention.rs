//! Decides what is deleted because of its age: a pure function of the listing of a day and the time.

use crate::key::{BlockId, Day, Hour, Month, Period};
use crate::plan::Piece;
use crate::plan::rules::{Class, Fate, Fates};
use crate::rule::day::DayListing;
use crate::rule::month::MonthListing;
use crate::rule::{Listing, select};
use crate::simulation::{Mutant, is_active};
use davy_base::Timestamp;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long each level is kept, from the end of the hour or day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Windows: segments and hour blocks.
    pub windows: Duration,
    /// Sums by hour of day blocks.
    pub hours: Duration,
    /// Day blocks, and month blocks from the end of their first day.
    pub days: Duration,
}

const DAY: Duration = Duration::from_hours(24);

impl Default for Retention {
    fn default() -> Self {
        Self {
            windows: DAY * 14,
            hours: DAY * 90,
            days: DAY * 731,
        }
    }
}

impl Retention {
    /// The retention in which a window that is accepted until it is `accepted` old is merged into a day block before
    /// its hour expires, and no level is kept longer than the next one.
    #[must_use]
    pub fn with_accepted(self, accepted: Duration) -> Self {
        let windows = self.windows.max(accepted.saturating_add(DAY));
        let hours = self.hours.max(windows);
        Self {
            windows,
            hours,
            days: self.days.max(hours),
        }
    }
}

/// The kind of object that is deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expired {
    /// A segment or an hour block.
    Piece(Hour, Piece),
    /// The sums by hour of a day block.
    Hours(BlockId),
    /// A day block.
    Block(BlockId),
    /// A month block.
    Month(BlockId),
    /// The series of some classes of a block, which gets a successor without them.
    Series(Period, BlockId, BTreeSet<Class>),
    /// The files of a block without a meta object.
    Unfinished(Period, BlockId),
}

/// Why something is deleted, or is not although its retention is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The retention of windows is over, and a day block holds their sums.
    Windows,
    /// The retention of sums by hour is over.
    Hours,
    /// The retention of days is over.
    Days,
    /// A process was killed while it wrote or deleted the block, and nothing writes it again.
    Unfinished,
    /// A rule expires series.
    Rule,
    /// No day block has held the sums of the hour for the grace period, so its windows are kept.
    NotCovered,
}

impl Reason {
    /// The sentence for people.
    pub fn text(self) -> &'static str {
        match self {
            Self::Windows => "the retention of windows is over and a day block has the sums",
            Self::Hours => "the retention of hourly sums is over",
            Self::Days => "the retention of days is over",
            Self::Unfinished => "a killed process left files of a block without its meta.json",
            Self::Rule => "a rule of retention expires its series",
            Self::NotCovered => "kept: no day block has had the sums for the grace period",
        }
    }
}

/// What expires in a day, and what is kept although its retention is over.
///
/// Pieces with windows are deleted only if a day block that holds every known leaf of the hour has been readable for
/// the grace period, so that readers with an older listing find it, or if the retention of days is over.
///
/// Sums by hour are kept for the grace period at least, because a listing may not show those of a younger block.
///
/// Rules replace a block by a successor without the series that have expired, or delete a block in which all have
/// (see [`rules`](super::rules)). A block is deleted by a rule only when nothing is left of which it could be merged
/// again, because that would be done.
///
/// Files of a block without a meta object are deleted when nothing is left of which the block could be merged. Until
/// then an archiver may be writing them, or write them again.
pub fn plan_retention(
    listing: &DayListing,
    day: Day,
    now: Timestamp,
    retention: &Retention,
    grace: Duration,
    fates: &Fates,
) -> Vec<(Expired, Reason)> {
    let mut plan = Vec::new();
    let is_past = |end: Timestamp, span: Duration| end.plus(span) <= now;
    let is_gone = is_past(day.end(), fates.longest.unwrap_or(retention.days));
    for (hour, pieces) in &listing.hours {
        if !is_past(hour.end(), retention.windows) {
            plan.extend(by_rule(*hour, pieces, fates));
            continue;
        }
        let cover = listing.complete(*hour).map(|at| listing.blocks[at].since);
        let reason = if is_gone {
            Reason::Days
        } else if cover.is_some_and(|since| is_past(since, grace)) || is_active(Mutant::NoDayBlock)
        {
            Reason::Windows
        } else {
            plan.extend(by_rule(*hour, pieces, fates));
            Reason::NotCovered
        };
        let segments = pieces.segments.iter().map(|of| Piece::Segment(of.name));
        let blocks = pieces.blocks.iter().map(|of| Piece::Block(of.id.clone()));
        let all = segments.chain(blocks);
        let all = all.map(|piece| Expired::Piece(*hour, piece));
        let is_planned = |of: &Expired| plan.iter().any(|(planned, _)| planned == of);
        let all: Vec<Expired> = all.filter(|of| !is_planned(of)).collect();
        plan.extend(all.into_iter().map(|of| (of, reason)));
    }
    let has_pieces = |of: &Listing| !of.segments.is_empty() || !of.blocks.is_empty();
    let has_windows = listing.hours.values().any(has_pieces);
    for (at, block) in listing.blocks.iter().enumerate() {
        let fate = fates.blocks.get(&block.id);
        if let (Some(Fate::Successor(classes)), false) = (fate, is_superseded(listing, at)) {
            let series = Expired::Series(day.into(), block.id.clone(), classes.clone());
            plan.push((series, Reason::Rule));
        }
        if is_gone {
            plan.push((Expired::Block(block.id.clone()), Reason::Days));
        } else if fate == Some(&Fate::Deleted) && !has_windows {
            plan.push((Expired::Block(block.id.clone()), Reason::Rule));
        } else if block.has_hours
            && is_past(day.end(), retention.hours)
            && is_past(block.since, grace)
        {
            plan.push((Expired::Hours(block.id.clone()), Reason::Hours));
        }
    }
    for of in &listing.unfinished {
        let has_windows = |hour: &Hour| {
            let pieces = listing.hours.get(hour);
            pieces.is_some_and(|of| !of.segments.is_empty() || !of.blocks.is_empty())
        };
        let is_over = match of.period {
            Period::Hour(hour) => is_past(hour.end(), retention.windows) && !has_windows(&hour),
            Period::Day(day) => {
                is_past(day.end(), retention.hours) && !day.hours().any(|hour| has_windows(&hour))
            }
            // See `plan_month_retention`.
            Period::Month(_) => false,
        };
        if is_over && is_past(of.since, grace) {
            let expired = Expired::Unfinished(of.period, of.id.clone());
            plan.push((expired, Reason::Unfinished));
        }
    }
    plan
}

/// What expires of a month: month blocks when the retention of their first day is over, and files of a block without a
/// meta object when nothing is left of which the block could be merged.
pub fn plan_month_retention(
    listing: &MonthListing,
    month: Month,
    now: Timestamp,
    retention: &Retention,
    grace: Duration,
) -> Vec<(Expired, Reason)> {
    let mut plan = Vec::new();
    for block in &listing.blocks {
        let first = block.days.keys().next();
        if first.is_none_or(|day| day.end().plus(retention.days) <= now) {
            plan.push((Expired::Month(block.id.clone()), Reason::Days));
        }
    }
    for of in &listing.unfinished {
        if listing.days.is_empty() && of.since.plus(grace) <= now {
            let expired = Expired::Unfinished(month.into(), of.id.clone());
            plan.push((expired, Reason::Unfinished));
        }
    }
    plan
}

/// What rules do with the hour blocks that are read.
fn by_rule(hour: Hour, pieces: &Listing, fates: &Fates) -> Vec<(Expired, Reason)> {
    if fates.blocks.is_empty() {
        return Vec::new();
    }
    let blocks = select(pieces)
        .blocks
        .into_iter()
        .map(|at| &pieces.blocks[at]);
    let expired = blocks.filter_map(|block| match fates.blocks.get(&block.id)? {
        Fate::Kept => None,
        Fate::Successor(classes) => Some(Expired::Series(
            hour.into(),
            block.id.clone(),
            classes.clone(),
        )),
        // A listed segment would be read and merged again.
        Fate::Deleted => pieces
            .segments
            .is_empty()
            .then(|| Expired::Piece(hour, Piece::Block(block.id.clone()))),
    });
    expired.map(|of| (of, Reason::Rule)).collect()
}

/// Whether another day block, which readers prefer, holds all that a day block holds.
fn is_superseded(listing: &DayListing, at: usize) -> bool {
    let block = &listing.blocks[at];
    listing.blocks.iter().enumerate().any(|(other, by)| {
        let is_first = by.leaf_count() > block.leaf_count() || by.id < block.id;
        let holds = |(hour, of): (&Hour, &BTreeSet<ulid::Ulid>)| of.is_subset(by.of_hour(*hour));
        other != at && is_first && block.leaves.iter().all(holds)
    })
}

#[cfg(test)]
mod tests;
