//! Simulated histories of a month: archivers with outdated listings merge and delete, and readers count.

use super::*;
use crate::key::{Hour, Month};
use crate::plan::Piece;
use crate::plan::Policy;
use crate::plan::day::plan_day;
use crate::plan::month::plan_month;
use crate::plan::retention::{Expired, Reason, Retention, plan_retention};
use crate::plan::rules::Fates;
use crate::rule::BlockEntry;
use crate::rule::day::{DayBlock, Hours};
use davy_base::Random;
use std::collections::BTreeSet;
use std::time::Duration;
use ulid::Ulid;

const HOUR: Duration = Duration::from_hours(1);

fn month() -> Month {
    Month::parse("2026-01").expect("a month")
}

/// The leaves of a day block, by hour.
type Leaves = BTreeMap<Hour, BTreeSet<Ulid>>;

/// What is in a bucket, or in an outdated listing of it.
#[derive(Clone, Default)]
struct Listed {
    days: BTreeMap<Day, DayListing>,
    months: Vec<MonthBlock>,
}

impl Listed {
    fn month(&self) -> MonthListing {
        let days = self.days.iter();
        MonthListing {
            days: days
                .filter_map(|(day, of)| Some((*day, of.source(*day)?)))
                .collect(),
            blocks: self.months.clone(),
            unfinished: vec![],
            outdated: self.outdated(),
        }
    }

    fn outdated(&self) -> BTreeSet<BlockId> {
        let is_gone = |(day, id): (&Day, &BlockId)| {
            let blocks = self.days.get(day).map(|of| &of.blocks);
            !blocks.is_some_and(|of| of.iter().any(|of| of.id == *id))
        };
        let outdated = self.months.iter().filter(|of| of.days.iter().any(is_gone));
        outdated.map(|of| of.id.clone()).collect()
    }
}

/// A bucket. The content of month blocks is known by their names, and stays known when they are deleted, like that of an
/// object that is being read.
#[derive(Clone, Default)]
struct Bucket {
    listed: Listed,
    months: BTreeMap<BlockId, BTreeMap<Day, Vec<Ulid>>>,
}

/// The leaves that are read of a day by its rule, in any order. A leaf that is read twice is in it twice.
fn of_day(listing: &DayListing, day: Day) -> Vec<Ulid> {
    let range = day.first().start().millis()..day.end().millis();
    let tiling = listing.tile(day, &range, Detail::Days);
    assert_eq!(tiling.inexact, []);
    let mut read = Vec::new();
    for (at, hours) in tiling.blocks {
        let leaves = listing.blocks[at].leaves.iter();
        let of_hours = leaves.filter(|(hour, _)| hours.contains(**hour));
        read.extend(of_hours.flat_map(|(_, of)| of.iter().copied()));
    }
    for (hour, selection) in tiling.hours {
        let pieces = &listing.hours[&hour];
        let blocks = selection.blocks.iter().map(|at| &pieces.blocks[*at].leaves);
        read.extend(blocks.flatten().copied());
    }
    read
}

impl Bucket {
    /// The leaves that a reader of the whole month counts by a listing, and whether it reads a month block.
    fn read(&self, view: &Listed) -> (Vec<Ulid>, bool) {
        let month = view.month();
        if let Some(at) = month.choose() {
            let content = &self.months[&month.blocks[at].id];
            return (content.values().flatten().copied().collect(), true);
        }
        let days = view.days.iter();
        (days.flat_map(|(day, of)| of_day(of, *day)).collect(), false)
    }

    /// Stores a window in an hour block of its own.
    fn store(&mut self, hour: Hour, leaf: Ulid, now: Timestamp) {
        let listing = self.listed.days.entry(Day::of(hour)).or_default();
        listing
            .hours
            .entry(hour)
            .or_default()
            .blocks
            .push(BlockEntry {
                id: BlockId(format!("{:032x}", leaf.0)),
                leaves: [leaf].into(),
                bytes: 1,
                since: now,
            });
    }

    /// Merges a day as an archiver with an outdated listing does, and deletes what has expired.
    fn day(
        &mut self,
        view: &Listed,
        day: Day,
        now: Timestamp,
        id: BlockId,
        of: &(Policy, Retention),
    ) {
        let (policy, retention) = of;
        let Some(seen) = view.days.get(&day) else {
            return;
        };
        let plan = plan_day(seen, day, now, policy);
        let mut leaves = Leaves::new();
        for (hour, ids) in &plan.hours {
            let blocks = &seen.hours[hour].blocks;
            let merged = blocks.iter().filter(|of| ids.contains(&of.id));
            let of_hour = leaves.entry(*hour).or_default();
            of_hour.extend(merged.flat_map(|of| &of.leaves));
        }
        for (id, hours) in &plan.blocks {
            let block = seen.blocks.iter().find(|of| of.id == *id).expect("listed");
            for (hour, of) in block
                .leaves
                .iter()
                .filter(|(hour, _)| hours.contains(**hour))
            {
                leaves.entry(*hour).or_default().extend(of);
            }
        }
        let listing = self.listed.days.entry(day).or_default();
        // Inputs that are gone fail a merge.
        let exists = |(hour, ids): &(Hour, Vec<BlockId>)| {
            let blocks = listing.hours.get(hour).map(|of| &of.blocks);
            let has = |id: &BlockId| blocks.is_some_and(|of| of.iter().any(|of| of.id == *id));
            ids.iter().all(has)
        };
        let has = |(id, _): &(BlockId, Hours)| listing.blocks.iter().any(|of| of.id == *id);
        let can_merge = plan.hours.iter().all(exists) && plan.blocks.iter().all(has);
        if can_merge && !leaves.is_empty() {
            listing.blocks.push(DayBlock {
                id,
                leaves,
                bytes: 1,
                since: now,
                has_hours: true,
                hours_bytes: 1,
                segments: 1,
            });
        }
        listing.blocks.retain(|of| !plan.delete.contains(&of.id));
        let grace = policy.grace;
        for (expired, reason) in plan_retention(seen, day, now, retention, grace, &Fates::default())
        {
            if let (Expired::Piece(hour, Piece::Block(id)), Reason::Windows) = (expired, reason)
                && let Some(pieces) = listing.hours.get_mut(&hour)
            {
                pieces.blocks.retain(|of| of.id != id);
            }
        }
    }

    /// Merges the month as an archiver with an outdated listing does. Returns whether it wrote a block.
    fn month(
        &mut self,
        view: &Listed,
        now: Timestamp,
        id: BlockId,
        of: &(Policy, Retention),
    ) -> bool {
        let (policy, retention) = of;
        let plan = plan_month(&view.month(), month(), now, policy, retention);
        let inputs = plan.merge.iter().map(|(day, id)| {
            let blocks = &self.listed.days.get(day)?.blocks;
            let block = blocks.iter().find(|of| of.id == *id)?;
            Some((*day, block.leaves.values().flatten().copied().collect()))
        });
        let content: Option<BTreeMap<Day, Vec<Ulid>>> = inputs.collect();
        let content = content.filter(|of| !of.is_empty());
        let is_merged = content.is_some();
        if let Some(content) = content {
            self.months.insert(id.clone(), content);
            self.listed.months.push(MonthBlock {
                id,
                days: plan.merge,
                bytes: 1,
                since: now,
            });
        }
        self.listed
            .months
            .retain(|of| !plan.delete.contains(&of.id));
        is_merged
    }
}

#[test]
fn month_block_counts_what_its_days_count_in_any_history() {
    let policy = Policy {
        day_settle: HOUR,
        late_settle: HOUR * 2,
        month_settle: HOUR * 2,
        month_kept: Duration::ZERO,
        ..Policy::default()
    };
    let retention = Retention {
        windows: Duration::ZERO,
        ..Retention::default()
    };
    let of = (policy, retention.with_accepted(HOUR * 24));
    let hours: Vec<Hour> = [-30, -29, -5, -4, -1]
        .map(|at| Hour(Hour::of(month().end()).0 + at))
        .into();
    let (mut reads, mut merged, mut replaced) = (0, 0, 0);
    for seed in 0..300 {
        let mut random = Random::seeded(seed);
        let mut bucket = Bucket::default();
        let mut stored: Vec<(u64, Ulid)> = Vec::new();
        let mut views: Vec<(u64, Listed)> = vec![(0, Listed::default()); 3];
        let start = hours[0].start();
        let (mut minute, mut of_history) = (0, 0);
        while minute < 7 * 24 * 60 {
            minute += 1 + random.below(if minute < 60 * 60 { 60 } else { 200 });
            let now = start.plus(Duration::from_mins(minute));
            let hour = hours[random.below(5) as usize];
            // Late windows arrive for a day after the end of the month.
            let is_late = now <= hour.end().plus(HOUR * 24);
            if random.below(4) == 0 && hour.start() <= now && is_late {
                let leaf = Ulid(random.next_u128());
                bucket.store(hour, leaf, now);
                stored.push((minute, leaf));
            }
            let archiver = random.below(3) as usize;
            if random.below(2) == 0 || minute - views[archiver].0 > 30 {
                views[archiver] = (minute, bucket.listed.clone());
            }
            let (listed_at, view) = views[archiver].clone();
            let id = BlockId(format!("{:032x}", random.next_u128()));
            if random.below(3) == 0 {
                of_history += usize::from(bucket.month(&view, now, id, &of));
            } else {
                bucket.day(&view, Day::of(hour), now, id, &of);
            }
            for (at, view) in [(minute, bucket.listed.clone()), (listed_at, view)] {
                let (mut counted, is_month) = bucket.read(&view);
                let before = stored.iter().filter(|(of, _)| *of <= at);
                let mut expected: Vec<Ulid> = before.map(|(_, leaf)| *leaf).collect();
                counted.sort_unstable();
                expected.sort_unstable();
                assert_eq!(
                    counted, expected,
                    "seed {seed}, minute {minute}, {is_month}"
                );
                reads += usize::from(is_month);
            }
        }
        merged += of_history;
        replaced += usize::from(of_history > 1);
        let left = bucket.listed.months.len();
        assert!(left < 2, "seed {seed}: {left} month blocks are left");
    }
    assert!(reads > 5_000, "{reads}");
    assert!(merged > 250, "{merged}");
    assert!(replaced > 50, "{replaced}");
}

fn block(name: u64, days: &[u64]) -> MonthBlock {
    let ids = days.iter().map(|of| BlockId(format!("{of:032x}")));
    MonthBlock {
        id: BlockId(format!("{name:032x}")),
        days: month().days().zip(ids).collect(),
        bytes: 1,
        since: month().end(),
    }
}

/// The name of the month block that is read if the sources of the first days are these day blocks; 0 is another source.
fn chosen(days: &[u64], blocks: Vec<MonthBlock>) -> Option<BlockId> {
    let source = |name: &u64| match name {
        0 => DaySource::Other,
        name => DaySource::Block(BlockId(format!("{name:032x}")), month().end()),
    };
    let listing = MonthListing {
        days: month().days().zip(days.iter().map(source)).collect(),
        blocks,
        ..MonthListing::default()
    };
    Some(listing.blocks[listing.choose()?].id.clone())
}

#[test]
fn month_block_is_read_only_if_it_was_merged_from_the_sources_of_all_days() {
    let check = |days: &[u64], expected: bool| {
        let found = chosen(days, vec![block(9, &[1, 2, 3])]);
        assert_eq!(found.is_some(), expected, "{days:?}");
    };
    check(&[1, 2, 3], true);
    check(&[1, 2, 4], false);
    check(&[1, 2], false);
    check(&[1, 2, 3, 4], false);
    check(&[1, 0, 3], false);
    check(&[1, 2, 3, 0], false);
    check(&[], false);
    assert_eq!(chosen(&[], vec![block(9, &[])]), None);
}

#[test]
fn of_two_month_blocks_of_the_same_days_the_first_name_is_read_whatever_their_order() {
    let mut blocks = vec![block(8, &[1, 2]), block(7, &[1, 2]), block(6, &[1, 3])];
    for _ in 0..2 {
        assert_eq!(chosen(&[1, 2], blocks.clone()), Some(block(7, &[]).id));
        blocks.reverse();
    }
}
