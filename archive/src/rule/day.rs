//! The reader's rule over all levels: from which pieces each hour of a day is read.
//!
//! A *day block* holds the windows of the leaves that it lists, which are segments of the hours of that day. It has
//! no windows of its own, only *cells*: the sums of a source over an hour. So it is separable by hour, but within an
//! hour it can neither be compared with other pieces window by window, nor combined with one that may hold the same
//! window. The *known* leaves of an hour are those that are listed as segments, or that a listed block holds. For
//! each hour by itself:
//!
//! 1. A day block is *complete* in the hour if it holds every known leaf of it. Of several, the one with the most
//!    leaves in the whole day is first, then the one whose name sorts first. If sums over the hour are enough, the
//!    first complete day block is read and nothing else.
//! 2. Otherwise, if the hour blocks and segments together hold every known leaf, they are read by the rule of the hour
//!    (see the parent module), which counts each window once.
//! 3. Otherwise, if windows were wanted, but a day block is complete, it is read: the range widens to the hour.
//! 4. Otherwise, day blocks and then the other pieces are read as far as their leaves are disjoint. If a leaf is left
//!    that only an overlapping piece holds, that piece is read too, and the hour is *inexact*.
//!
//! **Nothing is missed.** Each case reads every known leaf: 1 and 3 by the definition of complete, 2 by the rule of the
//! hour, 4 because of its last sentence.
//!
//! **Nothing counts twice** in cases 1 to 3: one piece without windows is read alone, or pieces with windows are. A
//! window that was pushed to two segments of the hour is in a day block once, because the day block was merged from
//! pieces with windows (see `plan::day`).
//!
//! **Case 4 does not occur** as long as pushed windows are younger than the retention of windows. A piece with windows
//! is deleted only if a block with windows has all of its leaves (`plan`), or if a day block that is complete in its
//! hour has been readable for the grace period and the retention of windows is over (`plan::retention`). Listings lag
//! by less than the grace period and no segment is added to an hour whose windows have expired, so that day block
//! stays complete in the hour: each listing shows it, or a later one that holds more, or all pieces with windows.
//! If older windows are accepted, they are in leaves of their own, which case 4 reads beside the day block. Then only
//! a window that was counted before its hour expired, and is pushed again after that, counts twice.
//!
//! Two archivers with different listings can build two day blocks of a day. Neither is combined with the other in one
//! hour. If none of them is complete in an hour, its pieces with windows are read, until a compactor has merged a day
//! block that is complete.

use super::{Listing, Selection, select};
use crate::key::{BlockId, Day, Hour, Period};
use crate::simulation::{Mutant, is_active};
use davy_base::Timestamp;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use ulid::Ulid;

/// A listed day block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayBlock {
    /// Name of the block.
    pub id: BlockId,
    /// The segments whose windows it holds, by hour.
    pub leaves: BTreeMap<Hour, BTreeSet<Ulid>>,
    /// Size of its files.
    pub bytes: u64,
    /// Time at which its `meta.json` was written.
    pub since: Timestamp,
    /// Whether it has sums by hour. They are deleted before those of the day.
    pub has_hours: bool,
    /// Size of the sums by hour.
    pub hours_bytes: u64,
    /// Number of segments whose windows it holds.
    pub segments: usize,
}

/// Files of a block without a meta object: one that is being written, or that a killed process left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// The hour or day of the block.
    pub period: Period,
    /// Name of the block.
    pub id: BlockId,
    /// Size of the files.
    pub bytes: u64,
    /// Time at which the last of them was written.
    pub since: Timestamp,
}

/// The segments and blocks of a day.
#[derive(Clone, Debug, Default)]
pub struct DayListing {
    /// Segments and hour blocks.
    pub hours: BTreeMap<Hour, Listing>,
    /// Day blocks.
    pub blocks: Vec<DayBlock>,
    /// Blocks that do not exist, because they have no meta object. No reader selects them.
    pub unfinished: Vec<Unfinished>,
    /// Day blocks without the names of their segments: a merge wrote the block again while it was deleted. No reader
    /// selects them.
    pub torn: Vec<BlockId>,
    /// Whether a block is left out that exists, or existed when it was listed, and is not damaged. Nothing of the day is
    /// merged or deleted because of such a listing.
    pub is_incomplete: bool,
}

/// The detail that a reader needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Windows, if they still exist.
    Windows,
    /// Sums over the hour.
    Sums,
    /// Sums over the day; of a day, the same as sums over the hour.
    Days,
}

/// The pieces from which an hour is read, as indices into the listings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Day blocks.
    pub blocks: Vec<usize>,
    /// Hour blocks and segments.
    pub pieces: Selection,
    /// Whether a window may count twice.
    pub is_inexact: bool,
}

/// Hours of a day, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hours(pub u32);

impl Hours {
    /// All hours of a day.
    pub const ALL: Self = Self((1 << 24) - 1);

    /// Whether it contains an hour.
    pub fn contains(self, hour: Hour) -> bool {
        self.0 & Self::bit(hour) != 0
    }

    /// Adds an hour.
    pub fn insert(&mut self, hour: Hour) {
        self.0 |= Self::bit(hour);
    }

    fn bit(hour: Hour) -> u32 {
        1 << hour.0.rem_euclid(24)
    }
}

/// The pieces that answer a part of a day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tiling {
    /// Day blocks, and the hours that are read from each.
    pub blocks: Vec<(usize, Hours)>,
    /// Hours that are read from hour blocks and segments.
    pub hours: Vec<(Hour, Selection)>,
    /// Hours, wholly or partly outside of the range, whose windows no longer exist and which are part of the answer.
    pub widened: Vec<Hour>,
    /// Hours in which a window may count twice.
    pub inexact: Vec<Hour>,
}

static NO_LEAVES: BTreeSet<Ulid> = BTreeSet::new();

impl DayBlock {
    /// Its leaves of an hour.
    pub fn of_hour(&self, hour: Hour) -> &BTreeSet<Ulid> {
        self.leaves.get(&hour).unwrap_or(&NO_LEAVES)
    }

    /// Number of its leaves.
    pub fn leaf_count(&self) -> usize {
        self.leaves.values().map(BTreeSet::len).sum()
    }
}

impl DayListing {
    /// The leaves of an hour that pieces with windows hold.
    fn with_windows(&self, hour: Hour) -> BTreeSet<Ulid> {
        let Some(listing) = self.hours.get(&hour) else {
            return BTreeSet::new();
        };
        let blocks = listing.blocks.iter().flat_map(|block| &block.leaves);
        let segments = listing.segments.iter().map(|segment| segment.name);
        blocks.copied().chain(segments).collect()
    }

    /// The known leaves of an hour.
    pub fn known(&self, hour: Hour) -> BTreeSet<Ulid> {
        let mut known = self.with_windows(hour);
        let blocks = self.blocks.iter().flat_map(|block| block.of_hour(hour));
        known.extend(blocks);
        known
    }

    /// Hours that have a known leaf.
    pub fn known_hours(&self) -> BTreeSet<Hour> {
        let of_blocks = self.blocks.iter().flat_map(|block| block.leaves.keys());
        of_blocks.chain(self.hours.keys()).copied().collect()
    }

    /// The day blocks in the order in which they are preferred.
    fn preferred(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.blocks.len()).collect();
        order.sort_by_key(|at| {
            let block = &self.blocks[*at];
            (Reverse(block.leaf_count()), &block.id)
        });
        order
    }

    /// The first day block that is complete in an hour.
    pub fn complete(&self, hour: Hour) -> Option<usize> {
        let known = self.known(hour);
        let is_complete = |at: &usize| {
            let is_whole = known.is_subset(self.blocks[*at].of_hour(hour));
            is_whole || is_active(Mutant::IncompleteDayBlock)
        };
        (!known.is_empty()).then(|| self.preferred().into_iter().find(is_complete))?
    }

    /// Chooses the segments and blocks from which an hour is read.
    pub fn choose(&self, hour: Hour, detail: Detail) -> Choice {
        let complete = self.complete(hour);
        let of = |block| Choice {
            blocks: vec![block],
            ..Choice::default()
        };
        if let (Some(block), Detail::Sums | Detail::Days) = (complete, detail) {
            return of(block);
        }
        let (known, with_windows) = (self.known(hour), self.with_windows(hour));
        if known == with_windows {
            return Choice {
                pieces: self.hours.get(&hour).map(select).unwrap_or_default(),
                ..Choice::default()
            };
        }
        match complete {
            Some(block) => of(block),
            None => self.mixed(hour),
        }
    }

    /// Case 4 of the rule.
    fn mixed(&self, hour: Hour) -> Choice {
        let empty = Listing::default();
        let listing = self.hours.get(&hour).unwrap_or(&empty);
        let mut order = self.preferred();
        order.sort_by_key(|at| Reverse(self.blocks[*at].of_hour(hour).len()));
        let mut choice = Choice::default();
        let mut covered = BTreeSet::new();
        let is_disjoint = |leaves: &BTreeSet<Ulid>, covered: &BTreeSet<Ulid>| {
            !leaves.is_empty() && leaves.is_disjoint(covered)
        };
        for at in &order {
            let leaves = self.blocks[*at].of_hour(hour);
            if is_disjoint(leaves, &covered) {
                covered.extend(leaves);
                choice.blocks.push(*at);
            }
        }
        let pieces = select(listing);
        let mut skipped = Vec::new();
        for at in pieces.blocks {
            let leaves = &listing.blocks[at].leaves;
            if is_disjoint(leaves, &covered) {
                covered.extend(leaves);
                choice.pieces.blocks.push(at);
            } else {
                skipped.push(at);
            }
        }
        for at in pieces.segments {
            if covered.insert(listing.segments[at].name) {
                choice.pieces.segments.push(at);
            }
        }
        for at in skipped {
            let leaves = &listing.blocks[at].leaves;
            if !leaves.is_subset(&covered) {
                covered.extend(leaves);
                choice.pieces.blocks.push(at);
                choice.is_inexact = true;
            }
        }
        for at in order {
            let leaves = self.blocks[at].of_hour(hour);
            if !leaves.is_subset(&covered) {
                covered.extend(leaves);
                choice.blocks.push(at);
                choice.is_inexact = true;
            }
        }
        choice
    }

    /// The pieces that answer the part of a day that is in `range` (milliseconds since the epoch). Hours that are
    /// partly in the range are read from windows if they exist.
    pub fn tile(&self, day: Day, range: &Range<i64>, detail: Detail) -> Tiling {
        let mut tiling = Tiling::default();
        let mut masks = vec![Hours::default(); self.blocks.len()];
        for hour in self.known_hours() {
            let (start, end) = (hour.start().millis(), hour.end().millis());
            if Day::of(hour) != day || end <= range.start || start >= range.end {
                continue;
            }
            let is_whole = range.start <= start && end <= range.end;
            let detail = if is_whole { detail } else { Detail::Windows };
            let choice = self.choose(hour, detail);
            if !is_whole && !choice.blocks.is_empty() {
                tiling.widened.push(hour);
            }
            for block in choice.blocks {
                masks[block].insert(hour);
            }
            if choice.is_inexact {
                tiling.inexact.push(hour);
            }
            if choice.pieces != Selection::default() {
                tiling.hours.push((hour, choice.pieces));
            }
        }
        let blocks = masks.into_iter().enumerate();
        tiling.blocks = blocks.filter(|(_, mask)| mask.0 != 0).collect();
        self.widen(&mut tiling);
        tiling
    }

    /// A day block without sums by hour is read as a whole.
    fn widen(&self, tiling: &mut Tiling) {
        for at in 0..tiling.blocks.len() {
            let (block, mask) = tiling.blocks[at];
            if self.blocks[block].has_hours {
                continue;
            }
            tiling.blocks[at].1 = Hours::ALL;
            for (hour, leaves) in &self.blocks[block].leaves {
                if mask.contains(*hour) || leaves.is_empty() {
                    continue;
                }
                if !tiling.widened.contains(hour) {
                    tiling.widened.push(*hour);
                }
                let with_others = tiling.hours.iter().any(|(other, _)| other == hour);
                let others = tiling.blocks.iter().filter(|(other, _)| *other != block);
                let with_others = with_others || others.clone().any(|(_, of)| of.contains(*hour));
                if with_others {
                    tiling.inexact.push(*hour);
                }
            }
        }
        tiling.widened.sort_unstable();
    }
}

#[cfg(test)]
pub(crate) mod tests;
