//! Simulated histories of a day: archivers with outdated listings store, compact and delete, and readers count.

use super::*;
use crate::plan::day::plan_day;
use crate::plan::retention::{Expired, Reason, Retention, plan_retention};
use crate::plan::rules::Fates;
use crate::plan::{Piece, Policy, plan};
use crate::rule::{BlockEntry, SegmentEntry};
use davy_base::Random;
use std::time::Duration;

const DAY: Day = Day(100);
/// Age up to which windows are accepted.
const ACCEPTED: Duration = Duration::from_hours(12);

/// The windows of a piece, by hour.
type Content = BTreeMap<Hour, BTreeSet<u64>>;

/// A bucket, whose objects are never changed.
#[derive(Clone, Default)]
struct Bucket {
    listing: DayListing,
    segments: BTreeMap<Ulid, Content>,
    blocks: BTreeMap<BlockId, Content>,
}

impl Bucket {
    fn add(&mut self, hour: Hour, name: u64, windows: BTreeSet<u64>) {
        let name = Ulid(name.into());
        let pieces = self.listing.hours.entry(hour).or_default();
        pieces.segments.push(SegmentEntry { name, bytes: 1_000 });
        self.segments.insert(name, [(hour, windows)].into());
    }

    fn content(&self, piece: &Piece) -> Option<&Content> {
        match piece {
            Piece::Segment(name) => self.segments.get(name),
            Piece::Block(id) => self.blocks.get(id),
        }
    }

    fn delete(&mut self, hour: Hour, piece: &Piece) {
        let Some(pieces) = self.listing.hours.get_mut(&hour) else {
            return;
        };
        match piece {
            Piece::Segment(name) => pieces.segments.retain(|of| of.name != *name),
            Piece::Block(id) => pieces.blocks.retain(|of| of.id != *id),
        }
        match piece {
            Piece::Segment(name) => drop(self.segments.remove(name)),
            Piece::Block(id) => drop(self.blocks.remove(id)),
        }
    }

    /// Compacts an hour as an archiver with the listing `view` does.
    fn compact(
        &mut self,
        view: &DayListing,
        hour: Hour,
        now: Timestamp,
        id: BlockId,
        policy: &Policy,
    ) {
        let empty = Listing::default();
        let pieces = view.hours.get(&hour).unwrap_or(&empty);
        let plan = plan(pieces, hour, now, policy);
        let contents: Option<Vec<&Content>> =
            plan.merge.iter().map(|piece| self.content(piece)).collect();
        if let Some(contents) = contents.filter(|all| !all.is_empty()) {
            let windows: BTreeSet<u64> =
                contents.iter().flat_map(|of| &of[&hour]).copied().collect();
            let mut leaves = BTreeSet::new();
            for piece in &plan.merge {
                match piece {
                    Piece::Segment(name) => drop(leaves.insert(*name)),
                    Piece::Block(id) => {
                        let found = pieces.blocks.iter().find(|of| of.id == *id);
                        leaves.extend(found.into_iter().flat_map(|of| of.leaves.iter().copied()));
                    }
                }
            }
            let entry = BlockEntry {
                id: id.clone(),
                bytes: leaves.len() as u64 * 1_000,
                leaves,
                since: now,
            };
            self.listing
                .hours
                .entry(hour)
                .or_default()
                .blocks
                .push(entry);
            self.blocks.insert(id, [(hour, windows)].into());
        }
        for piece in plan.delete {
            self.delete(hour, &piece);
        }
    }

    /// Merges the day as an archiver with the listing `view` does.
    fn merge_day(&mut self, view: &DayListing, now: Timestamp, id: BlockId, policy: &Policy) {
        let plan = plan_day(view, DAY, now, policy);
        if let Some((content, leaves)) = self.merged(view, &plan.hours, &plan.blocks) {
            let block = DayBlock {
                id: id.clone(),
                leaves,
                bytes: 1_000,
                since: now,
                has_hours: true,
                hours_bytes: 500,
                segments: 1,
            };
            self.listing.blocks.push(block);
            self.blocks.insert(id, content);
        }
        for id in plan.delete {
            self.listing.blocks.retain(|of| of.id != id);
            self.blocks.remove(&id);
        }
    }

    fn merged(
        &self,
        view: &DayListing,
        hours: &[(Hour, Vec<BlockId>)],
        blocks: &[(BlockId, Hours)],
    ) -> Option<(Content, BTreeMap<Hour, BTreeSet<Ulid>>)> {
        let (mut content, mut leaves) = (Content::new(), BTreeMap::<Hour, BTreeSet<Ulid>>::new());
        for (hour, ids) in hours {
            for id in ids {
                content
                    .entry(*hour)
                    .or_default()
                    .extend(&self.blocks.get(id)?[hour]);
                let entry = view.hours[hour].blocks.iter().find(|of| of.id == *id)?;
                leaves.entry(*hour).or_default().extend(&entry.leaves);
            }
        }
        for (id, mask) in blocks {
            let entry = view.blocks.iter().find(|of| of.id == *id)?;
            for (hour, windows) in self
                .blocks
                .get(id)?
                .iter()
                .filter(|(hour, _)| mask.contains(**hour))
            {
                content.entry(*hour).or_default().extend(windows);
                leaves
                    .entry(*hour)
                    .or_default()
                    .extend(entry.of_hour(*hour));
            }
        }
        (!content.is_empty()).then_some((content, leaves))
    }

    /// Deletes some of what has expired, as an archiver that is killed does.
    fn expire(
        &mut self,
        view: &DayListing,
        now: Timestamp,
        retention: &Retention,
        policy: &Policy,
        random: &mut Random,
    ) {
        for (expired, reason) in
            plan_retention(view, DAY, now, retention, policy.grace, &Fates::default())
        {
            match expired {
                Expired::Piece(hour, piece)
                    if reason != Reason::NotCovered && random.below(3) > 0 =>
                {
                    self.delete(hour, &piece)
                }
                _ => {}
            }
        }
    }

    /// How often each window of an hour counts, read by the listing `view`; `None` if an object is gone.
    fn count(&self, view: &DayListing, hour: Hour, detail: Detail) -> Option<BTreeMap<u64, usize>> {
        let choice = view.choose(hour, detail);
        assert!(!choice.is_inexact, "inexact: {choice:?} of {view:?}");
        let mut count = BTreeMap::new();
        for at in choice.blocks {
            for window in self
                .blocks
                .get(&view.blocks[at].id)?
                .get(&hour)
                .into_iter()
                .flatten()
            {
                *count.entry(*window).or_insert(0) += 1;
            }
        }
        let mut seen = BTreeSet::new();
        if let Some(pieces) = view.hours.get(&hour) {
            for at in choice.pieces.blocks {
                seen.extend(&self.blocks.get(&pieces.blocks[at].id)?[&hour]);
            }
            for at in choice.pieces.segments {
                seen.extend(&self.segments.get(&pieces.segments[at].name)?[&hour]);
            }
        }
        for window in seen {
            *count.entry(window).or_insert(0) += 1;
        }
        Some(count)
    }
}

#[test]
fn every_window_counts_once_in_any_history_of_a_day() {
    let policy = Policy {
        segments: 2,
        day_settle: Duration::from_hours(1),
        late_settle: Duration::from_hours(2),
        ..Policy::default()
    };
    let retention = Retention {
        windows: Duration::ZERO,
        ..Retention::default()
    };
    let retention = retention.with_accepted(ACCEPTED);
    let hours: Vec<Hour> = DAY.hours().skip(21).collect();
    let (mut day_blocks, mut without_windows) = (0, 0);
    for seed in 0..400 {
        let mut random = Random::seeded(seed);
        let mut bucket = Bucket::default();
        // What was stored, with the minute.
        let mut stored: Vec<(u64, Hour, u64)> = Vec::new();
        let mut next = 0u64;
        // The last listing of each of three archivers, at most half a grace period old.
        let mut views: Vec<(u64, DayListing)> = vec![(0, DayListing::default()); 3];
        let mut minute = 21 * 60;
        while minute < 24 * 60 + 3 * 24 * 60 {
            minute += 1 + random.below(if minute < 40 * 60 { 25 } else { 120 });
            let now = DAY.first().start().plus(Duration::from_mins(minute));
            let hour = hours[random.below(3) as usize];
            if random.below(3) == 0 && hour.start() <= now && now <= hour.end().plus(ACCEPTED) {
                // A new window, or one that was pushed to another archiver before.
                let again = stored
                    .iter()
                    .filter(|(_, of, _)| *of == hour)
                    .map(|(.., window)| *window)
                    .next_back();
                let window = again.filter(|_| random.below(3) == 0).unwrap_or(next);
                bucket.add(hour, random.next_u64() % 1_000_000, [window].into());
                stored.push((minute, hour, window));
                next += 1;
            }
            let archiver = random.below(3) as usize;
            if random.below(2) == 0 || minute - views[archiver].0 > 30 {
                views[archiver] = (minute, bucket.listing.clone());
            }
            let (listed_at, view) = views[archiver].clone();
            let id = BlockId(format!("{:032x}", random.next_u64()));
            match random.below(4) {
                0 | 1 => bucket.compact(&view, hour, now, id, &policy),
                2 => bucket.merge_day(&view, now, id, &policy),
                _ => bucket.expire(&view, now, &retention, &policy, &mut random),
            }
            day_blocks += usize::from(!bucket.listing.blocks.is_empty());
            let context = || format!("seed {seed}, minute {minute}: {:?}", bucket.listing);
            for hour in &hours {
                let mut expected = BTreeMap::new();
                let mut expected_of_view = BTreeMap::new();
                for (at, _, window) in stored.iter().filter(|(_, of, _)| of == hour) {
                    expected.insert(*window, 1);
                    if *at <= listed_at {
                        expected_of_view.insert(*window, 1);
                    }
                }
                for detail in [Detail::Sums, Detail::Windows] {
                    let counted = bucket.count(&bucket.listing, *hour, detail);
                    assert_eq!(counted.as_ref(), Some(&expected), "{}", context());
                    // A listing is usable for half a grace period, but windows that expire meanwhile are gone.
                    let counted = bucket.count(&view, *hour, detail);
                    let is_gone = counted.is_none() && detail == Detail::Windows;
                    if !is_gone || view.complete(*hour).is_none() {
                        assert_eq!(
                            counted.as_ref(),
                            Some(&expected_of_view),
                            "listing of {listed_at}, {}",
                            context()
                        );
                    }
                }
            }
        }
        let is_expired = bucket
            .listing
            .hours
            .values()
            .all(|of| of.segments.is_empty() && of.blocks.is_empty());
        without_windows += usize::from(is_expired && !stored.is_empty());
        assert!(
            bucket.listing.blocks.len() < 2,
            "seed {seed}: {:?}",
            bucket.listing
        );
    }
    assert!(day_blocks > 1_000, "{day_blocks}");
    assert!(without_windows > 300, "{without_windows}");
}

pub(crate) fn day_block(name: u64, leaves: &[(usize, &[u64])]) -> DayBlock {
    let hour = |at: usize| Hour(DAY.first().0 + at as i64);
    let of = |names: &[u64]| names.iter().map(|name| Ulid((*name).into())).collect();
    DayBlock {
        id: BlockId(format!("{name:032x}")),
        leaves: leaves
            .iter()
            .map(|(at, names)| (hour(*at), of(names)))
            .collect(),
        bytes: 1_000,
        since: DAY.end(),
        has_hours: true,
        hours_bytes: 500,
        segments: 1,
    }
}

/// A listing with these segments by hour.
fn listing(segments: &[(usize, &[u64])], blocks: Vec<DayBlock>) -> DayListing {
    let mut hours = BTreeMap::<Hour, Listing>::new();
    for (at, names) in segments {
        let listing = hours.entry(Hour(DAY.first().0 + *at as i64)).or_default();
        listing.segments = crate::rule::tests::segments(names.iter().copied());
    }
    DayListing {
        hours,
        blocks,
        ..DayListing::default()
    }
}

fn range(from: i64, until: i64) -> Range<i64> {
    let start = DAY.first().start().millis();
    start + from * 60_000..start + until * 60_000
}

#[test]
fn whole_hours_are_read_from_a_day_block_and_parts_from_windows() {
    let listing = listing(
        &[(1, &[1]), (2, &[2]), (3, &[3])],
        vec![day_block(9, &[(1, &[1]), (2, &[2]), (3, &[3])])],
    );
    let tiling = listing.tile(DAY, &range(90, 240), Detail::Sums);
    assert_eq!(tiling.blocks, [(0, Hours(0b1100))]);
    assert_eq!(tiling.hours.len(), 1);
    assert_eq!(tiling.hours[0].0, Hour(DAY.first().0 + 1));
    assert_eq!(tiling.widened, []);
    let all = listing.tile(DAY, &range(90, 240), Detail::Windows);
    assert_eq!((all.blocks.len(), all.hours.len()), (0, 3));
}

#[test]
fn part_of_an_hour_without_windows_widens_to_the_hour() {
    let listing = listing(&[], vec![day_block(9, &[(1, &[1]), (2, &[2])])]);
    let tiling = listing.tile(DAY, &range(90, 91), Detail::Sums);
    assert_eq!(tiling.blocks, [(0, Hours(0b10))]);
    assert_eq!(tiling.widened, [Hour(DAY.first().0 + 1)]);
}

#[test]
fn day_block_without_hours_widens_to_the_day() {
    let mut block = day_block(9, &[(1, &[1]), (2, &[2])]);
    block.has_hours = false;
    let listing = listing(&[], vec![block]);
    let tiling = listing.tile(DAY, &range(60, 120), Detail::Sums);
    assert_eq!(tiling.blocks, [(0, Hours::ALL)]);
    assert_eq!(tiling.widened, [Hour(DAY.first().0 + 2)]);
    let whole = listing.tile(DAY, &range(0, 1_440), Detail::Sums);
    assert_eq!(whole.widened, []);
}

#[test]
fn late_segment_is_read_with_the_windows_of_its_hour() {
    let listing = listing(
        &[(1, &[1, 7]), (2, &[2])],
        vec![day_block(9, &[(1, &[1]), (2, &[2])])],
    );
    let tiling = listing.tile(DAY, &range(0, 1_440), Detail::Sums);
    assert_eq!(tiling.blocks, [(0, Hours(0b100))]);
    assert_eq!(tiling.hours[0].1.segments.len(), 2);
}

#[test]
fn late_segment_of_an_expired_hour_is_read_beside_the_day_block() {
    let late = listing(&[(1, &[7])], vec![day_block(9, &[(1, &[1])])]);
    let tiling = late.tile(DAY, &range(0, 1_440), Detail::Sums);
    assert_eq!((tiling.blocks.len(), tiling.hours.len()), (1, 1));
    assert_eq!(tiling.inexact, []);
    // Without windows, nothing shows what two day blocks that share a leaf have in common.
    let overlapping = listing(
        &[],
        vec![day_block(8, &[(1, &[1, 2])]), day_block(9, &[(1, &[2, 3])])],
    );
    let tiling = overlapping.tile(DAY, &range(0, 1_440), Detail::Sums);
    assert_eq!(tiling.inexact.len(), 1);
}
