use super::*;
use crate::key::BlockId;
use crate::rule::BlockEntry;
use crate::rule::Listing;
use crate::rule::day::tests::day_block;
use crate::rule::tests::{block, segments};
use std::time::Duration;

const DAY: Day = Day(100);

fn at(hours: u64) -> Timestamp {
    DAY.end().plus(Duration::from_hours(hours))
}

/// A day whose hour 1 has these blocks of leaves, and segments.
fn day(blocks: Vec<BlockEntry>, names: &[u64]) -> DayListing {
    let listing = Listing {
        segments: segments(names.iter().copied()),
        blocks,
    };
    DayListing {
        hours: [(Hour(DAY.first().0 + 1), listing)].into(),
        ..DayListing::default()
    }
}

fn merged(listing: &DayListing, hours: u64) -> usize {
    let plan = plan_day(listing, DAY, at(hours), &Policy::default());
    plan.hours.iter().map(|(_, blocks)| blocks.len()).sum()
}

#[test]
fn day_is_merged_when_it_has_settled_and_its_hours_are_compacted() {
    let listing = day(vec![block(1, 0..3), block(2, 3..5)], &[0, 1]);
    assert_eq!(merged(&listing, 5), 0);
    assert_eq!(merged(&listing, 6), 2);
    assert_eq!(merged(&day(vec![block(1, 0..3)], &[7]), 6), 0);
    assert_eq!(merged(&day(vec![], &[]), 6), 0);
}

#[test]
fn complete_day_block_is_not_merged_again() {
    let mut listing = day(vec![block(1, 1..3)], &[]);
    listing.blocks.push(day_block(9, &[(1, &[1, 2])]));
    assert_eq!(merged(&listing, 100), 0);
}

#[test]
fn late_windows_are_collected_until_they_have_settled() {
    let late = |since: u64, until: u64| {
        let mut listing = day(vec![block(1, 1..3)], &[]);
        for (name, since) in (since..=until).enumerate() {
            let mut late = block(10 + name as u64, [10 + name as u64]);
            late.since = at(since);
            listing
                .hours
                .values_mut()
                .for_each(|of| of.blocks.push(late.clone()));
        }
        listing.blocks.push(day_block(9, &[(1, &[1, 2])]));
        listing
    };
    assert_eq!(merged(&late(10, 10), 15), 0);
    assert_eq!(merged(&late(10, 10), 16), 2);
    assert_eq!(merged(&late(10, 30), 33), 0);
    assert_eq!(merged(&late(10, 30), 34), 22);
}

#[test]
fn hour_is_never_merged_from_a_day_block_and_other_pieces() {
    // The block of leaf 1 is missing in the listing. Leaf 2 may hold a window of leaf 1 again.
    let mut listing = day(vec![block(2, 2..3)], &[]);
    listing.blocks.push(day_block(9, &[(1, &[1])]));
    assert!(plan_day(&listing, DAY, at(100), &Policy::default()).is_settled());
    // Neither is it from two day blocks.
    listing.hours.clear();
    listing.blocks.push(day_block(8, &[(1, &[2])]));
    assert!(plan_day(&listing, DAY, at(100), &Policy::default()).is_settled());
    // With the block of leaf 1 it is merged from windows.
    let mut listing = day(vec![block(1, 1..2), block(2, 2..3)], &[]);
    listing.blocks.push(day_block(9, &[(1, &[1])]));
    assert_eq!(merged(&listing, 100), 2);
}

#[test]
fn torn_day_block_is_deleted_and_the_day_is_merged() {
    let mut listing = day(vec![block(1, 0..3)], &[]);
    listing.torn.push(BlockId("7".to_owned()));
    let plan = plan_day(&listing, DAY, at(6), &Policy::default());
    assert_eq!(plan.delete, listing.torn);
    assert_eq!(merged(&listing, 6), 1);
}

#[test]
fn replaced_day_block_is_deleted_after_the_grace_period() {
    let mut listing = day(vec![block(1, 1..4)], &[]);
    listing.blocks.push(day_block(8, &[(1, &[1, 2])]));
    listing.blocks.push(day_block(9, &[(1, &[1, 2, 3])]));
    let deleted = |listing: &DayListing, minutes: u64| {
        let now = DAY.end().plus(Duration::from_mins(minutes));
        plan_day(listing, DAY, now, &Policy::default()).delete
    };
    assert_eq!(deleted(&listing, 59), []);
    assert_eq!(deleted(&listing, 60), [day_block(8, &[]).id]);
    // The only one with sums by hour is kept.
    listing.blocks[1].has_hours = false;
    assert_eq!(deleted(&listing, 60), []);
}
