//! Which pieces of a day other engines can read as a whole: a pure function of the listing.
//!
//! 1. If a day block holds every known leaf of the day, it is the only piece.
//! 2. Otherwise, if windows of all hours still exist, each hour is read from its hour blocks. An hour with segments that
//!    no block holds is left out, because segments are not Parquet. Several blocks of an hour, and those of adjacent
//!    hours, can hold the same window; who reads their ids decides.
//! 3. Otherwise the preferred day block is the only piece, and the hours that it does not hold completely are named.
//!
//! Month blocks are not published. They hold what day blocks hold, without values by hour, and would be replaced whenever
//! a late window arrives; a table has each window once, in a partition of its day.

use crate::key::{BlockId, Hour};
use crate::rule::day::{DayListing, Detail};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Why an hour is left out, or is not complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reason {
    /// Some of its segments are not compacted yet.
    NotCompacted,
    /// The same window is in two of its blocks, or in one of the hour before.
    Overlapping,
    /// Its blocks are of an earlier version.
    Version,
    /// Windows are not in the day block yet, whose other windows have expired.
    Late,
}

impl Reason {
    /// The sentence for people.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::NotCompacted => "not compacted yet",
            Self::Overlapping => "a window was pushed twice; wait for the day block",
            Self::Version => "of an earlier version of the format; run davy archive rewrite",
            Self::Late => "published without late windows; wait for the next day block",
        }
    }
}

/// The pieces of a day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct DayChoice {
    /// The day block.
    pub day: Option<BlockId>,
    /// Hour blocks; those of an hour may overlap.
    pub hours: BTreeMap<Hour, Vec<BlockId>>,
    /// Hours that are left out.
    pub left_out: BTreeMap<Hour, Reason>,
}

/// Chooses the pieces of a day.
pub(super) fn choose(listing: &DayListing) -> DayChoice {
    let hours = listing.known_hours();
    let known: Vec<_> = hours
        .into_iter()
        .map(|hour| (hour, listing.known(hour)))
        .filter(|(_, leaves)| !leaves.is_empty())
        .collect();
    let mut blocks: Vec<_> = listing.blocks.iter().collect();
    blocks.sort_by_key(|block| (Reverse(block.leaf_count()), &block.id));
    let complete = blocks.iter().find(|block| {
        let mut known = known.iter();
        known.all(|(hour, leaves)| leaves.is_subset(block.of_hour(*hour)))
    });
    let mut choice = DayChoice::default();
    if let Some(block) = complete {
        choice.day = Some(block.id.clone());
        return choice;
    }
    for (hour, _) in &known {
        let of_hour = listing.choose(*hour, Detail::Windows);
        if !of_hour.blocks.is_empty() || of_hour.is_inexact {
            return alone(&blocks, &known);
        }
        if !of_hour.pieces.segments.is_empty() {
            choice.left_out.insert(*hour, Reason::NotCompacted);
            continue;
        }
        let listed = &listing.hours[hour].blocks;
        let ids = of_hour
            .pieces
            .blocks
            .iter()
            .map(|at| listed[*at].id.clone());
        choice.hours.insert(*hour, ids.collect());
    }
    choice
}

/// Case 3.
fn alone(
    blocks: &[&crate::rule::day::DayBlock],
    known: &[(Hour, std::collections::BTreeSet<ulid::Ulid>)],
) -> DayChoice {
    let first = blocks.first();
    let is_late = |(hour, leaves): &&(Hour, std::collections::BTreeSet<ulid::Ulid>)| {
        !first.is_some_and(|block| leaves.is_subset(block.of_hour(*hour)))
    };
    let late = known.iter().filter(is_late);
    DayChoice {
        day: first.map(|block| block.id.clone()),
        hours: BTreeMap::new(),
        left_out: late.map(|(hour, _)| (*hour, Reason::Late)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::day::DayBlock;
    use crate::rule::tests::{block, segments};
    use crate::rule::{Listing, select};
    use davy_base::{Random, Timestamp};
    use std::collections::BTreeSet;
    use ulid::Ulid;

    fn leaf(name: u64) -> Ulid {
        Ulid(name.into())
    }

    /// A day block of leaves, ten of which are in each hour.
    fn day_block(name: u64, leaves: impl IntoIterator<Item = u64>) -> DayBlock {
        let mut by_hour: BTreeMap<Hour, BTreeSet<Ulid>> = BTreeMap::new();
        for name in leaves {
            let hour = Hour((name / 10) as i64);
            by_hour.entry(hour).or_default().insert(leaf(name));
        }
        DayBlock {
            id: BlockId(format!("{name:032x}")),
            segments: by_hour.values().map(BTreeSet::len).sum(),
            leaves: by_hour,
            bytes: 0,
            since: Timestamp::EPOCH,
            has_hours: true,
            hours_bytes: 0,
        }
    }

    #[test]
    fn day_block_with_all_leaves_is_the_only_piece() {
        let mut listing = DayListing {
            blocks: vec![day_block(2, 0..25), day_block(1, 0..24)],
            ..DayListing::default()
        };
        let hour = listing.hours.entry(Hour(2)).or_default();
        hour.blocks = vec![block(7, 20..25)];
        let choice = choose(&listing);
        assert_eq!(choice.day, Some(listing.blocks[0].id.clone()));
        assert!(choice.hours.is_empty() && choice.left_out.is_empty());
    }

    #[test]
    fn day_with_a_late_window_is_read_from_hours_while_they_exist() {
        let mut listing = DayListing {
            blocks: vec![day_block(1, [0, 1, 10, 11])],
            ..DayListing::default()
        };
        let of = |blocks| Listing {
            segments: vec![],
            blocks,
        };
        listing.hours.insert(Hour(0), of(vec![block(7, 0..2)]));
        let late = vec![block(8, 10..12), block(9, 12..13)];
        listing.hours.insert(Hour(1), of(late));
        let choice = choose(&listing);
        assert_eq!(choice.day, None);
        assert_eq!(choice.hours[&Hour(0)].len(), 1);
        assert_eq!(choice.hours[&Hour(1)].len(), 2);
        // The windows of the first hour have expired.
        listing.hours.remove(&Hour(0));
        let choice = choose(&listing);
        assert_eq!(choice.day, Some(listing.blocks[0].id.clone()));
        assert_eq!(choice.left_out, [(Hour(1), Reason::Late)].into());
    }

    #[test]
    fn hour_with_segments_is_left_out() {
        let mut listing = DayListing::default();
        let of = |segments, blocks| Listing { segments, blocks };
        let open = of(segments([3]), vec![block(7, 0..3)]);
        listing.hours.insert(Hour(0), open);
        let covered = of(segments(10..12), vec![block(8, 10..13)]);
        listing.hours.insert(Hour(1), covered);
        let choice = choose(&listing);
        assert_eq!(choice.left_out, [(Hour(0), Reason::NotCompacted)].into());
        assert_eq!(choice.hours.len(), 1);
    }

    /// No leaf is in two chosen pieces unless they are of the same hour and overlap, and every leaf of an hour that is
    /// not left out is in one.
    #[test]
    fn every_leaf_is_chosen_or_its_hour_is_left_out_in_random_listings() {
        for seed in 0..2_000 {
            let mut random = Random::seeded(seed);
            let mut listing = DayListing::default();
            for name in 0..random.below(4) {
                let leaves = (0..30).filter(|_| random.below(8) > 0);
                listing
                    .blocks
                    .push(day_block(name, leaves.collect::<Vec<_>>()));
            }
            for hour in 0..3u64 {
                let of_hour = listing.hours.entry(Hour(hour as i64)).or_default();
                let leaves = || hour * 10..hour * 10 + 10;
                let listed: Vec<u64> = leaves().filter(|_| random.below(9) == 0).collect();
                of_hour.segments = segments(listed);
                for name in 0..random.below(3) {
                    let held: Vec<u64> = leaves().filter(|_| random.below(9) > 0).collect();
                    of_hour.blocks.push(block(100 * hour + name, held));
                }
            }
            let choice = choose(&listing);
            for hour in listing.known_hours() {
                let known = listing.known(hour);
                if choice.left_out.contains_key(&hour) || known.is_empty() {
                    continue;
                }
                let mut held: BTreeSet<Ulid> = BTreeSet::new();
                if let Some(day) = &choice.day {
                    let block = listing.blocks.iter().find(|of| of.id == *day);
                    held.extend(block.expect("listed").of_hour(hour));
                    assert!(choice.hours.is_empty(), "seed {seed}");
                }
                for id in choice.hours.get(&hour).into_iter().flatten() {
                    let blocks = &listing.hours[&hour].blocks;
                    let at = blocks.iter().position(|of| of.id == *id).expect("listed");
                    assert!(select(&listing.hours[&hour]).blocks.contains(&at));
                    held.extend(&blocks[at].leaves);
                }
                assert_eq!(held, known, "seed {seed} {hour}");
            }
        }
    }
}
