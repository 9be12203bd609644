//! What a compactor does with an hour: a pure function of its listing and the time.

use crate::key::{BlockId, Hour};
use crate::rule::{Listing, select};
use davy_base::Timestamp;
use std::time::Duration;
use ulid::Ulid;

/// When to compact and when to delete.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// An open hour is compacted when it has this many segments beside its blocks.
    pub segments: usize,
    /// Segments of one merge, at most.
    pub segments_at_once: usize,
    /// How long after its end an hour is closed.
    pub settle: Duration,
    /// A block is merged again only with inputs that together have this part of its size.
    pub ratio: u64,
    /// How long a block must have been readable before its inputs are deleted.
    pub grace: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            segments: 32,
            segments_at_once: 256,
            settle: Duration::from_mins(2),
            ratio: 4,
            grace: Duration::from_hours(1),
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

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Pieces to make one block of; empty where there is nothing to merge.
    pub merge: Vec<Piece>,
    /// Pieces that a block has covered for long enough.
    pub delete: Vec<Piece>,
}

/// The plan for one hour.
///
/// Merging is tiered: segments are merged with those blocks that are at most `ratio` times as large
/// as everything smaller together, so a late window does not rewrite a large block, a window is
/// rewritten a logarithmic number of times, and an hour has a logarithmic number of blocks.
pub fn plan(listing: &Listing, hour: Hour, now: Timestamp, policy: &Policy) -> Plan {
    let selection = select(listing);
    let closed = now >= hour.end().plus(policy.settle);
    let due = selection.segments.len() >= if closed { 1 } else { policy.segments };

    let mut merge = Vec::new();
    let mut size = 0u64;
    if due {
        for at in selection.segments.iter().take(policy.segments_at_once) {
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
    // A block alone stays what it is. A segment alone becomes a block, in a closed hour.
    if matches!(merge.as_slice(), [Piece::Block(_)]) {
        merge.clear();
    }

    let covers: Vec<usize> = selection
        .blocks
        .iter()
        .copied()
        .filter(|at| listing.blocks[*at].since.plus(policy.grace) <= now)
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
    use crate::rule::tests::{block, segments};
    use davy_base::Random;
    use std::collections::BTreeSet;

    const HOUR: Hour = Hour(1_000);

    fn at(minutes: u64) -> Timestamp {
        HOUR.start().plus(Duration::from_mins(minutes))
    }

    #[test]
    fn an_open_hour_is_compacted_when_segments_gather() {
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
    fn a_late_segment_makes_a_late_block_and_leaves_the_large_one_alone() {
        let listing = Listing {
            segments: segments([99]),
            blocks: vec![block(1, 0..50)],
        };
        let plan = plan(&listing, HOUR, at(300), &Policy::default());
        assert_eq!(plan.merge, [Piece::Segment(Ulid(99))]);
    }

    #[test]
    fn blocks_of_like_size_become_one() {
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
    fn inputs_are_deleted_only_when_a_block_has_covered_them_for_an_hour() {
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

    /// Archivers with old listings merge and delete in turns; no leaf is ever lost.
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
            // What each of three archivers last saw; a look is at most half a grace period old.
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
