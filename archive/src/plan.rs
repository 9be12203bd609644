//! Decides what a compactor merges and deletes in an hour: a pure function of the listing and the
//! time.

pub mod day;
pub mod month;
pub mod retention;
pub mod rules;
pub mod share;

use crate::key::{BlockId, Hour};
use crate::rule::{Listing, select};
use crate::simulation::{Mutant, is_active};
use davy_base::Timestamp;
use std::time::Duration;
use ulid::Ulid;

/// Parameters of compaction and deletion.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Number of uncovered segments at which an open hour is compacted.
    pub segments: usize,
    /// Maximum number of segments of one merge.
    pub segments_at_once: usize,
    /// Maximum size of the segments of one merge, in bytes, which are in memory during the merge.
    pub segment_bytes: u64,
    /// Time after its end at which an hour is closed.
    pub settle: Duration,
    /// A block is merged again only if it is at most this many times as large as the smaller inputs
    /// together.
    pub ratio: u64,
    /// Time for which a block must have been readable before its inputs are deleted.
    pub grace: Duration,
    /// Time after its end at which a day is merged into a day block.
    pub day_settle: Duration,
    /// Time without late windows after which those of a day are merged into its next day block.
    pub late_settle: Duration,
    /// Time after the end of a month, and after its newest day block was written, at which it is merged.
    pub month_settle: Duration,
    /// Number of days with windows from which on a month is merged.
    pub month_days: usize,
    /// A month is merged only if its first day is kept for at least this time.
    pub month_kept: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            segments: 32,
            segments_at_once: 256,
            segment_bytes: 32 << 20,
            settle: Duration::from_mins(2),
            ratio: 4,
            grace: Duration::from_hours(1),
            day_settle: Duration::from_hours(6),
            late_settle: Duration::from_hours(6),
            month_settle: Duration::from_hours(24),
            month_days: 2,
            month_kept: Duration::from_hours(31 * 24),
        }
    }
}

/// A segment or a block.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Piece {
    /// A block.
    Block(BlockId),
    /// A segment.
    Segment(Ulid),
}

/// The merge and the deletions of an hour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Pieces to merge into one block; empty if there is nothing to merge.
    pub merge: Vec<Piece>,
    /// Pieces that a block has covered for at least the grace period.
    pub delete: Vec<Piece>,
}

/// Plans one hour.
///
/// Merging is tiered: segments are merged with the blocks that are at most `ratio` times as large as
/// all smaller inputs together. A late window therefore does not rewrite a large block, a window is
/// rewritten a logarithmic number of times, and an hour has a logarithmic number of blocks.
pub fn plan(listing: &Listing, hour: Hour, now: Timestamp, policy: &Policy) -> Plan {
    let selection = select(listing);
    let closed = now >= hour.end().plus(policy.settle);
    let due = selection.segments.len() >= if closed { 1 } else { policy.segments };

    let mut merge = Vec::new();
    let mut size = 0u64;
    if due {
        for at in selection.segments.iter().take(policy.segments_at_once) {
            if !merge.is_empty() && size + listing.segments[*at].bytes > policy.segment_bytes {
                break;
            }
            merge.push(Piece::Segment(listing.segments[*at].name));
            size += listing.segments[*at].bytes;
        }
    }
    if due || closed {
        let mut blocks: Vec<usize> = selection.blocks.clone();
        blocks.sort_by_key(|at| (listing.blocks[*at].bytes, &listing.blocks[*at].id));
        for at in blocks {
            let block = &listing.blocks[at];
            if !merge.is_empty() && block.bytes > size.saturating_mul(policy.ratio) {
                break;
            }
            merge.push(Piece::Block(block.id.clone()));
            size += block.bytes;
        }
    }
    // A single block needs no merge. A single segment of a closed hour becomes a block.
    if matches!(merge.as_slice(), [Piece::Block(_)]) {
        merge.clear();
    }

    let covers: Vec<usize> = selection
        .blocks
        .iter()
        .copied()
        .filter(|at| {
            let is_old = listing.blocks[*at].since.plus(policy.grace) <= now;
            is_old || is_active(Mutant::NoGrace)
        })
        .collect();
    let mut delete = Vec::new();
    for segment in &listing.segments {
        if covers
            .iter()
            .any(|at| listing.blocks[*at].leaves.contains(&segment.name))
        {
            delete.push(Piece::Segment(segment.name));
        }
    }
    for (at, block) in listing.blocks.iter().enumerate() {
        let covered = |by: &usize| block.leaves.is_subset(&listing.blocks[*by].leaves);
        if !selection.blocks.contains(&at) && covers.iter().any(covered) {
            delete.push(Piece::Block(block.id.clone()));
        }
    }
    Plan { merge, delete }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::BlockEntry;
    use crate::rule::tests::{block, segments};
    use davy_base::Random;
    use std::collections::BTreeSet;

    const HOUR: Hour = Hour(1_000);

    fn at(minutes: u64) -> Timestamp {
        HOUR.start().plus(Duration::from_mins(minutes))
    }

    #[test]
    fn open_hour_is_compacted_at_the_number_of_segments_and_closed_hour_always() {
        let check = |count: u64, minutes: u64, expected: usize| {
            let listing = Listing {
                segments: segments(0..count),
                blocks: vec![],
            };
            let plan = plan(&listing, HOUR, at(minutes), &Policy::default());
            assert_eq!(
                plan.merge.len(),
                expected,
                "{count} segments, minute {minutes}"
            );
            assert!(plan.delete.is_empty());
        };
        check(31, 30, 0);
        check(32, 30, 32);
        check(1, 61, 0);
        check(1, 62, 1);
        check(0, 70, 0);
        check(300, 30, 256);
    }

    #[test]
    fn segments_of_one_merge_are_limited_by_their_size() {
        let merged = |bytes: u64| {
            let mut segments = segments(0..40);
            for of in &mut segments {
                of.bytes = bytes;
            }
            let listing = Listing {
                segments,
                blocks: vec![],
            };
            plan(&listing, HOUR, at(70), &Policy::default()).merge.len()
        };
        assert_eq!(
            [merged(1 << 10), merged(4 << 20), merged(33 << 20)],
            [40, 8, 1]
        );
    }

    #[test]
    fn late_segment_becomes_a_block_of_its_own_beside_a_large_block() {
        let listing = Listing {
            segments: segments([99]),
            blocks: vec![block(1, 0..50)],
        };
        let plan = plan(&listing, HOUR, at(300), &Policy::default());
        assert_eq!(plan.merge, [Piece::Segment(Ulid(99))]);
    }

    #[test]
    fn block_is_merged_up_to_ratio_times_the_size_of_the_segments() {
        let merged = |bytes: u64| {
            let mut large = block(1, 100..200);
            large.bytes = bytes;
            let listing = Listing {
                segments: segments(0..32),
                blocks: vec![large],
            };
            let plan = plan(&listing, HOUR, at(30), &Policy::default());
            plan.merge.len()
        };
        let limit = 32 * 1_000 * Policy::default().ratio;
        assert_eq!(merged(limit), 33);
        assert_eq!(merged(limit + 1), 32);
    }

    #[test]
    fn size_of_a_merged_block_counts_for_the_next_larger_one() {
        let sized = |name: u64, bytes: u64| BlockEntry {
            bytes,
            ..block(name, [name])
        };
        let merged = |blocks: Vec<BlockEntry>| {
            let listing = Listing {
                segments: vec![],
                blocks,
            };
            plan(&listing, HOUR, at(70), &Policy::default()).merge.len()
        };
        assert_eq!(merged(vec![sized(1, 10), sized(2, 40), sized(3, 200)]), 3);
        assert_eq!(merged(vec![sized(1, 10), sized(2, 40), sized(3, 201)]), 2);
    }

    #[test]
    fn blocks_of_similar_size_are_merged() {
        let listing = Listing {
            segments: vec![],
            blocks: vec![block(1, 0..32), block(2, 32..64)],
        };
        let merged = plan(&listing, HOUR, at(70), &Policy::default()).merge;
        assert_eq!(merged.len(), 2);
        let alone = Listing {
            segments: vec![],
            blocks: vec![block(1, 0..32)],
        };
        assert!(
            plan(&alone, HOUR, at(70), &Policy::default())
                .merge
                .is_empty()
        );
    }

    #[test]
    fn inputs_are_deleted_after_the_grace_period_only() {
        let mut covering = block(1, 0..3);
        covering.since = at(70);
        let listing = Listing {
            segments: segments(0..4),
            blocks: vec![covering, block(2, 0..2)],
        };
        assert!(
            plan(&listing, HOUR, at(129), &Policy::default())
                .delete
                .is_empty()
        );
        let deleted = plan(&listing, HOUR, at(130), &Policy::default()).delete;
        let names: Vec<Piece> = (0..3).map(|name| Piece::Segment(Ulid(name))).collect();
        assert_eq!(deleted[..3], names[..]);
        assert_eq!(deleted[3..], [Piece::Block(block(2, []).id)]);
    }

    /// Archivers with outdated listings merge and delete alternately.
    #[test]
    fn compactors_with_different_listings_never_lose_a_leaf() {
        for seed in 0..500 {
            let mut random = Random::seeded(seed);
            let policy = Policy {
                segments: 2,
                ..Policy::default()
            };
            let mut bucket = Listing::default();
            let mut written = BTreeSet::new();
            let mut next = 0u64;
            // The last listing of each of three archivers, at most half a grace period old.
            let mut views: Vec<(u64, Listing)> = vec![(0, Listing::default()); 3];
            for minute in (0..600).step_by(7) {
                if random.below(3) == 0 {
                    bucket.segments.extend(segments([next]));
                    written.insert(Ulid(next.into()));
                    next += 1;
                }
                let archiver = random.below(3) as usize;
                if random.below(2) == 0 || minute - views[archiver].0 > 30 {
                    views[archiver] = (minute, bucket.clone());
                }
                let plan = plan(&views[archiver].1, HOUR, at(minute), &policy);
                let mut leaves = BTreeSet::new();
                let whole = plan.merge.iter().all(|piece| match piece {
                    Piece::Segment(name) => {
                        leaves.insert(*name);
                        bucket.segments.iter().any(|segment| segment.name == *name)
                    }
                    Piece::Block(id) => {
                        let found = bucket.blocks.iter().find(|block| block.id == *id);
                        leaves.extend(found.iter().flat_map(|block| block.leaves.iter().copied()));
                        found.is_some()
                    }
                });
                if whole && !leaves.is_empty() {
                    let mut made = block(random.next_u64(), []);
                    (made.bytes, made.leaves, made.since) =
                        (leaves.len() as u64 * 1_000, leaves, at(minute));
                    bucket.blocks.push(made);
                }
                bucket
                    .segments
                    .retain(|segment| !plan.delete.contains(&Piece::Segment(segment.name)));
                bucket
                    .blocks
                    .retain(|block| !plan.delete.contains(&Piece::Block(block.id.clone())));
                let mut held: BTreeSet<Ulid> =
                    bucket.segments.iter().map(|segment| segment.name).collect();
                held.extend(
                    bucket
                        .blocks
                        .iter()
                        .flat_map(|block| block.leaves.iter().copied()),
                );
                assert_eq!(held, written, "seed {seed}, minute {minute}");
            }
        }
    }
}
