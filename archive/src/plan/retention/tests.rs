use super::*;
use crate::rule::Listing;
use crate::rule::day::Unfinished;
use crate::rule::day::tests::day_block;
use crate::rule::tests::{block, segments};

const OF: Day = Day(100);

fn listing() -> DayListing {
    let pieces = Listing {
        segments: segments([1]),
        blocks: vec![block(5, [1, 2])],
    };
    DayListing {
        hours: [(Hour(OF.first().0 + 23), pieces)].into(),
        blocks: vec![day_block(9, &[(23, &[1, 2])])],
        ..DayListing::default()
    }
}

fn reasons(listing: &DayListing, days: u32, minutes: u64) -> Vec<Reason> {
    let now = OF.end().plus(DAY * days).plus(Duration::from_mins(minutes));
    let plan = planned(listing, now, &Fates::default());
    plan.into_iter().map(|(_, reason)| reason).collect()
}

fn planned(listing: &DayListing, now: Timestamp, fates: &Fates) -> Vec<(Expired, Reason)> {
    let retention = Retention::default();
    plan_retention(listing, OF, now, &retention, Duration::from_hours(1), fates)
}

#[test]
fn each_level_expires_at_its_own_age() {
    use Reason::{Days, Hours, Windows};
    assert_eq!(reasons(&listing(), 13, 1_439), []);
    assert_eq!(reasons(&listing(), 14, 0), [Windows, Windows]);
    assert_eq!(reasons(&listing(), 90, 0), [Windows, Windows, Hours]);
    assert_eq!(reasons(&listing(), 731, 0), [Days, Days, Days]);
}

#[test]
fn windows_without_a_complete_day_block_are_kept() {
    use Reason::NotCovered;
    let mut without = listing();
    without.blocks.clear();
    assert_eq!(reasons(&without, 20, 0), [NotCovered, NotCovered]);
    let mut late = listing();
    let pieces = late.hours.values_mut().next().expect("an hour");
    pieces.segments.extend(segments([3]));
    assert_eq!(reasons(&late, 20, 0), [NotCovered; 3]);
    let mut fresh = listing();
    fresh.blocks[0].since = OF.end().plus(DAY * 20);
    assert_eq!(reasons(&fresh, 20, 59), [NotCovered; 2]);
    assert_eq!(reasons(&fresh, 20, 60), [Reason::Windows; 2]);
}

#[test]
fn windows_are_kept_a_day_longer_than_they_are_accepted() {
    let of = Retention::default().with_accepted(DAY * 14);
    assert_eq!(
        (of.windows, of.hours, of.days),
        (DAY * 15, DAY * 90, DAY * 731)
    );
    let of = Retention::default().with_accepted(DAY * 1_000);
    assert_eq!(
        (of.windows, of.hours, of.days),
        (DAY * 1_001, DAY * 1_001, DAY * 1_001)
    );
}

#[test]
fn files_without_a_meta_object_are_deleted_when_nothing_is_left_to_merge() {
    let unfinished = |period| Unfinished {
        period,
        id: BlockId("0".repeat(32)),
        bytes: 1,
        since: OF.end(),
    };
    let of_hour = unfinished(Hour(OF.first().0 + 23).into());
    let of_day = unfinished(OF.into());
    let check = |of: &Unfinished, with_windows: bool, days: u32, expected: usize| {
        let mut all = listing();
        if !with_windows {
            all.hours.clear();
        }
        all.unfinished.push(of.clone());
        let found = reasons(&all, days, 59).into_iter();
        let found = found.filter(|reason| *reason == Reason::Unfinished);
        assert_eq!(
            found.count(),
            expected,
            "{of:?}, {with_windows}, day {days}"
        );
    };
    check(&of_hour, false, 13, 0);
    check(&of_hour, false, 14, 1);
    check(&of_hour, true, 14, 0);
    check(&of_day, false, 89, 0);
    check(&of_day, false, 90, 1);
    check(&of_day, true, 90, 0);
    // Its writer finishes within the grace period.
    let mut fresh = of_day;
    fresh.since = OF.end().plus(DAY * 90);
    check(&fresh, false, 90, 0);
}

/// The fates of blocks, in an archive with a rule that keeps series for a thousand days.
fn fates(of: &[(u64, Fate)]) -> Fates {
    let block = |(name, fate): &(u64, Fate)| (BlockId(format!("{name:032x}")), fate.clone());
    Fates {
        longest: Some(DAY * 1_000),
        blocks: of.iter().map(block).collect(),
    }
}

fn after(days: u32) -> Timestamp {
    OF.end().plus(DAY * days)
}

#[test]
fn rule_replaces_the_blocks_that_are_read_and_nothing_else() {
    let successor = Fate::Successor([0].into());
    let of_all = fates(&[
        (5, successor.clone()),
        (6, successor.clone()),
        (9, successor),
    ]);
    let hour = Hour(OF.first().0 + 23);
    let id = |name: u64| BlockId(format!("{name:032x}"));
    let series =
        |period: Period, name| (Expired::Series(period, id(name), [0].into()), Reason::Rule);
    let mut all = listing();
    all.hours
        .get_mut(&hour)
        .expect("listed")
        .blocks
        .push(block(6, [1]));
    assert_eq!(
        planned(&all, after(7), &of_all),
        [series(hour.into(), 5), series(OF.into(), 9)]
    );
    // The successor of the day block is listed.
    all.blocks.push(day_block(3, &[(23, &[1, 2])]));
    assert_eq!(planned(&all, after(7), &of_all), [series(hour.into(), 5)]);
    // Windows expire as without rules.
    let plan = planned(&all, after(14), &of_all);
    assert!(
        plan.iter().all(|(_, reason)| *reason == Reason::Windows),
        "{plan:?}"
    );
    assert_eq!(plan.len(), 3);
}

#[test]
fn block_is_deleted_by_a_rule_when_nothing_is_left_to_merge_it_again() {
    let of_all = fates(&[(5, Fate::Deleted), (9, Fate::Deleted)]);
    let hour = Hour(OF.first().0 + 23);
    let id = |name: u64| BlockId(format!("{name:032x}"));
    let mut all = listing();
    assert_eq!(planned(&all, after(7), &of_all), [], "a segment is listed");
    all.hours.get_mut(&hour).expect("listed").segments.clear();
    let of_hour = (Expired::Piece(hour, Piece::Block(id(5))), Reason::Rule);
    assert_eq!(planned(&all, after(7), &of_all), [of_hour]);
    all.hours.clear();
    let of_day = (Expired::Block(id(9)), Reason::Rule);
    assert_eq!(planned(&all, after(7), &of_all), [of_day]);
}

#[test]
fn day_with_series_that_are_kept_longer_stays() {
    let mut all = listing();
    all.hours.clear();
    all.blocks[0].has_hours = false;
    let kept = fates(&[(9, Fate::Kept)]);
    assert_eq!(planned(&all, after(731), &kept), []);
    assert_eq!(planned(&all, after(731), &Fates::default()).len(), 1);
    let reasons = |days| -> Vec<Reason> {
        let plan = planned(&all, after(days), &kept);
        plan.into_iter().map(|(_, reason)| reason).collect()
    };
    assert_eq!(reasons(999), []);
    assert_eq!(reasons(1_000), [Reason::Days]);
}
