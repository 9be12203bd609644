//! The reader's rule for month blocks: when one is read instead of the days of its month.
//!
//! A *month block* has the sums of the month, and totals by day. It was merged from one day block of each day that has
//! windows, as a whole, and names these day blocks. The *source* of a day is what the rule of the day (see
//! [`day`](super::day)) reads for the whole day if sums over it are enough: one day block and nothing else, or other
//! pieces. The rule is a function of the sources of a month's days and of its listed month blocks:
//!
//! 1. If every source of the month is a day block, and a listed month block was merged from exactly these, it is read
//!    for the whole month. Of several, the one whose name sorts first.
//! 2. Otherwise the days are read, as if there were no month blocks.
//!
//! A reader applies it to months that are in its range as a whole, if sums over days are enough for it.
//!
//! **A month block decides nothing.** In case 1 the days would be read from the day blocks that the month block names.
//! Objects never change, so it has their sums, and both cases count the same windows. Whatever holds of the rule of
//! the day (nothing is missed, nothing counts twice) therefore holds of this one, for any listing: an outdated one, one
//! in which the levels were listed at different times, and one without some month blocks.
//!
//! **It needs no coordination.** A late window makes another source, first pieces with windows and then another day
//! block. From the listing on that shows it, the month block is not read, until a compactor has merged another one.
//! Two archivers with different listings write two month blocks, of which each is read only by those who would read its
//! days. A month block holds nothing that its days do not hold, so it may be deleted at any time: a reader that does
//! not find it any more reads the days.
//!
//! **Days that a reader need not open.** If a day has one day block and nothing else, that is its source, whatever
//! segments it holds. So a listing is enough to compare most days, and only the meta objects of month blocks are read.
//!
//! **Retention.** A month block is deleted when the retention of its first day is over, or when one of the day blocks that
//! it was merged from was deleted, because another one has more windows, or fewer series by a rule of retention. So no
//! sums are kept for longer than those of days. The days are then read one by one.

use super::day::{DayListing, Detail, Unfinished};
use crate::key::{BlockId, Day};
use crate::simulation::{Mutant, is_active};
use davy_base::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// A listed month block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonthBlock {
    /// Name of the block.
    pub id: BlockId,
    /// The day blocks that were merged.
    pub days: BTreeMap<Day, BlockId>,
    /// Size of its files.
    pub bytes: u64,
    /// Time at which its `meta.json` was written.
    pub since: Timestamp,
}

/// What is read for a whole day if sums over it are enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DaySource {
    /// One day block, and the time at which its `meta.json` was written.
    Block(BlockId, Timestamp),
    /// Other pieces, or several.
    Other,
}

/// The month blocks of a month, and the sources of its days that have windows.
#[derive(Clone, Debug, Default)]
pub struct MonthListing {
    /// Sources of the days.
    pub days: BTreeMap<Day, DaySource>,
    /// Month blocks.
    pub blocks: Vec<MonthBlock>,
    /// Month blocks that do not exist, because they have no meta object.
    pub unfinished: Vec<Unfinished>,
    /// Month blocks that were merged from a day block that is not listed any more.
    pub outdated: BTreeSet<BlockId>,
}

impl DayListing {
    /// The source of the day; `None` if it has no windows.
    pub fn source(&self, day: Day) -> Option<DaySource> {
        let range = day.first().start().millis()..day.end().millis();
        let tiling = self.tile(day, &range, Detail::Days);
        let is_inexact = !tiling.inexact.is_empty();
        match (tiling.blocks.as_slice(), tiling.hours.as_slice()) {
            ([], []) => None,
            ([(at, _)], []) if !is_inexact => {
                let block = &self.blocks[*at];
                Some(DaySource::Block(block.id.clone(), block.since))
            }
            _ => Some(DaySource::Other),
        }
    }
}

impl MonthListing {
    /// The day blocks from which the month is read; `None` if a day is read from other pieces.
    pub fn sources(&self) -> Option<BTreeMap<Day, BlockId>> {
        let of = |(day, source): (&Day, &DaySource)| match source {
            DaySource::Block(id, _) => Some((*day, id.clone())),
            DaySource::Other => None,
        };
        self.days.iter().map(of).collect()
    }

    /// The month block that is read instead of the days.
    pub fn choose(&self) -> Option<usize> {
        let sources = self.sources();
        let is_same = |of: &MonthBlock| {
            let is_same = !of.days.is_empty() && Some(&of.days) == sources.as_ref();
            is_same || is_active(Mutant::OutdatedMonthBlock)
        };
        let all = self.blocks.iter().enumerate();
        let same = all.filter(|(_, of)| is_same(of));
        Some(same.min_by_key(|(_, of)| &of.id)?.0)
    }
}

#[cfg(test)]
mod tests;
