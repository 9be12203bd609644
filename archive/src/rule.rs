//! The reader's rule: which segments and blocks of an hour a query or a compaction reads. [`day`] extends it to day
//! blocks, and [`month`] to month blocks.
//!
//! A *leaf* is the name of a segment. A block holds the windows of the leaves that it lists, a segment
//! those of its own leaf. A *piece* is a segment or a block. The rule is a pure function of a listing:
//!
//! 1. Sort the blocks by their number of leaves, descending, then by name. Select each block that
//!    shares no leaf with the blocks selected before it.
//! 2. In the same order, select each block that has a leaf which is neither covered by a selected
//!    block nor listed as a segment: that segment was deleted, and only blocks still hold its windows.
//! 3. Select every listed segment that no selected block covers.
//!
//! **Nothing is missed.** Every leaf of the listing, as a segment or in a block, is in a selected
//! piece. If it is not covered after step 1, then either it is listed, and step 3 selects it unless
//! step 2 covered it, or it is not listed, and step 2 selects a block that has it. A leaf that is not
//! in the listing was written after the listing, or the listing shows its deletion but not yet the
//! block that allowed it. The latter cannot happen while listings lag by less than the grace period,
//! because an input is deleted only when a block with all of its leaves has been readable for that
//! long (see `plan`).
//!
//! **Deleting loses nothing.** An object is deleted only because of a block whose leaves are a
//! superset of its own and, if they are equal, whose name sorts first. This is a strict order, so the
//! maximal pieces above any leaf are never deleted, whatever listings the compactors saw.
//!
//! **Nothing counts twice.** The pieces of steps 1 and 3 have disjoint leaves. Step 2 can select a
//! block that overlaps another one, and a window can be in two leaves if a client pushed it to two
//! archivers. Both are resolved by window ids: a reader goes through the selected pieces in the order
//! of this rule and drops every window that an earlier piece had.

pub mod day;
pub mod month;

use crate::key::BlockId;
use crate::simulation::{Mutant, is_active};
use davy_base::Timestamp;
use std::collections::BTreeSet;
use ulid::Ulid;

/// A listed segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentEntry {
    /// Name of the segment.
    pub name: Ulid,
    /// Size in bytes.
    pub bytes: u64,
}

/// A listed block, with the leaves from its `meta.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockEntry {
    /// Name of the block.
    pub id: BlockId,
    /// The segments whose windows it holds.
    pub leaves: BTreeSet<Ulid>,
    /// Size of its files.
    pub bytes: u64,
    /// Time at which its `meta.json` was written.
    pub since: Timestamp,
}

/// The segments and blocks of an hour.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Segments.
    pub segments: Vec<SegmentEntry>,
    /// Blocks.
    pub blocks: Vec<BlockEntry>,
}

/// The pieces to read, as indices into a listing, in reading order: blocks first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Blocks.
    pub blocks: Vec<usize>,
    /// Segments.
    pub segments: Vec<usize>,
}

/// Applies the rule to a listing.
pub fn select(listing: &Listing) -> Selection {
    let blocks = &listing.blocks;
    let listed: BTreeSet<Ulid> = listing
        .segments
        .iter()
        .map(|segment| segment.name)
        .collect();
    let mut order: Vec<usize> = (0..blocks.len()).collect();
    order.sort_by_key(|at| (std::cmp::Reverse(blocks[*at].leaves.len()), &blocks[*at].id));
    order.dedup_by_key(|at| &blocks[*at].id);
    let mut covered: BTreeSet<Ulid> = BTreeSet::new();
    let mut selected = Vec::new();
    for at in &order {
        if blocks[*at].leaves.is_disjoint(&covered) && !blocks[*at].leaves.is_empty() {
            covered.extend(&blocks[*at].leaves);
            selected.push(*at);
        }
    }
    for at in &order {
        let lost = |leaf: &Ulid| !covered.contains(leaf) && !listed.contains(leaf);
        if blocks[*at].leaves.iter().any(lost) && !is_active(Mutant::NoStepTwo) {
            covered.extend(&blocks[*at].leaves);
            selected.push(*at);
        }
    }
    let mut segments: Vec<usize> = (0..listing.segments.len())
        .filter(|at| !covered.contains(&listing.segments[*at].name))
        .collect();
    segments.sort_by_key(|at| listing.segments[*at].name);
    segments.dedup_by_key(|at| listing.segments[*at].name);
    Selection {
        blocks: selected,
        segments,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use davy_base::Random;

    pub(crate) fn block(name: u64, leaves: impl IntoIterator<Item = u64>) -> BlockEntry {
        let leaves: BTreeSet<Ulid> = leaves.into_iter().map(|leaf| Ulid(leaf.into())).collect();
        BlockEntry {
            id: BlockId(format!("{name:032x}")),
            bytes: leaves.len() as u64 * 1_000,
            leaves,
            since: Timestamp::EPOCH,
        }
    }

    pub(crate) fn segments(names: impl IntoIterator<Item = u64>) -> Vec<SegmentEntry> {
        names
            .into_iter()
            .map(|name| SegmentEntry {
                name: Ulid(name.into()),
                bytes: 1_000,
            })
            .collect()
    }

    /// The leaves of the selected pieces, and in how many pieces each is.
    fn read(listing: &Listing) -> std::collections::BTreeMap<Ulid, usize> {
        let selection = select(listing);
        let mut count = std::collections::BTreeMap::new();
        for at in &selection.blocks {
            for leaf in &listing.blocks[*at].leaves {
                *count.entry(*leaf).or_insert(0) += 1;
            }
        }
        for at in &selection.segments {
            *count.entry(listing.segments[*at].name).or_insert(0) += 1;
        }
        count
    }

    #[test]
    fn largest_disjoint_blocks_are_selected_first() {
        let listing = Listing {
            segments: segments(1..=9),
            blocks: vec![block(1, 1..=3), block(2, 3..=7), block(3, 8..=8)],
        };
        let selection = select(&listing);
        assert_eq!(selection.blocks, [1, 2]);
        assert_eq!(selection.segments, [0, 1, 8]);
    }

    #[test]
    fn deleted_leaf_is_read_from_an_overlapping_block() {
        let listing = Listing {
            segments: segments([1]),
            blocks: vec![block(1, 1..=3), block(2, 3..=7)],
        };
        let read = read(&listing);
        assert_eq!(read.len(), 7);
        assert_eq!(select(&listing).blocks, [1, 0]);
    }

    #[test]
    fn every_leaf_is_selected_whatever_the_order_of_the_listing() {
        for seed in 0..2_000 {
            let mut random = Random::seeded(seed);
            let leaves = 1 + random.below(12);
            let listed: Vec<u64> = (0..leaves).filter(|_| random.below(3) > 0).collect();
            let mut blocks = Vec::new();
            for name in 0..random.below(6) {
                let from = random.below(leaves);
                let to = from + 1 + random.below(leaves - from);
                blocks.push(block(name, (from..to).filter(|_| random.below(4) > 0)));
            }
            let mut listing = Listing {
                segments: segments(listed),
                blocks,
            };
            let mut expected: BTreeSet<Ulid> = listing.segments.iter().map(|s| s.name).collect();
            expected.extend(listing.blocks.iter().flat_map(|b| b.leaves.iter().copied()));
            let names = |listing: &Listing| {
                let selection = select(listing);
                let blocks: Vec<_> = selection
                    .blocks
                    .iter()
                    .map(|b| listing.blocks[*b].id.clone())
                    .collect();
                let segments: Vec<_> = selection
                    .segments
                    .iter()
                    .map(|s| listing.segments[*s].name)
                    .collect();
                (blocks, segments)
            };
            let before = names(&listing);
            assert_eq!(
                read(&listing).into_keys().collect::<BTreeSet<_>>(),
                expected,
                "seed {seed}"
            );
            listing.blocks.reverse();
            listing.segments.reverse();
            assert_eq!(names(&listing), before, "seed {seed}");
            // If no segment was deleted, every leaf is in exactly one selected piece.
            listing.segments = segments(0..leaves);
            assert!(
                read(&listing).values().all(|times| *times == 1),
                "seed {seed}"
            );
        }
    }
}
