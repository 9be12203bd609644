use super::*;
use crate::plan::retention::{Expired, plan_month_retention};
use crate::rule::day::Unfinished;
use std::time::Duration;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

fn month() -> Month {
    Month::parse("2026-10").expect("a month")
}

fn id(name: u64) -> BlockId {
    BlockId(format!("{name:032x}"))
}

fn at(hours: u32) -> Timestamp {
    month().end().plus(HOUR * hours)
}

/// The first days of the month, each with the day block of this name.
fn days(names: &[u64]) -> MonthListing {
    let source = |(day, name): (Day, &u64)| (day, DaySource::Block(id(*name), at(1)));
    MonthListing {
        days: month().days().zip(names).map(source).collect(),
        ..MonthListing::default()
    }
}

fn block(name: u64, days: &[u64], since: Timestamp) -> MonthBlock {
    MonthBlock {
        id: id(name),
        days: month().days().zip(days.iter().map(|of| id(*of))).collect(),
        bytes: 1_000,
        since,
    }
}

fn plan_at(listing: &MonthListing, hours: u32) -> MonthPlan {
    let retention = Retention::default();
    plan_month(listing, month(), at(hours), &Policy::default(), &retention)
}

#[test]
fn month_is_merged_when_all_of_its_days_have_settled() {
    let mut listing = days(&[1, 2, 3]);
    assert_eq!(plan_at(&listing, 24), MonthPlan::default());
    let plan = plan_at(&listing, 25);
    assert_eq!(plan.merge, listing.sources().expect("day blocks"));
    assert_eq!(plan.merge.len(), 3);
    let last = month().first();
    listing.days.insert(last, DaySource::Other);
    assert_eq!(plan_at(&listing, 25), MonthPlan::default());
}

#[test]
fn month_of_one_day_is_not_merged() {
    assert_eq!(plan_at(&days(&[1]), 100), MonthPlan::default());
}

#[test]
fn merged_month_is_merged_again_when_a_day_has_another_block_that_has_settled() {
    let mut listing = days(&[1, 2, 3]);
    listing.blocks.push(block(9, &[1, 2, 3], at(25)));
    assert_eq!(plan_at(&listing, 100), MonthPlan::default());
    let day = month().first();
    let late = DaySource::Block(id(7), at(100));
    listing.days.insert(day, late);
    assert_eq!(plan_at(&listing, 123), MonthPlan::default());
    assert_eq!(plan_at(&listing, 124).merge[&day], id(7));
}

#[test]
fn replaced_month_block_is_deleted_after_the_grace_period() {
    let mut listing = days(&[1, 2]);
    listing.blocks.push(block(8, &[1, 7], at(25)));
    listing.unfinished.push(Unfinished {
        period: month().into(),
        id: id(6),
        bytes: 1,
        since: at(25),
    });
    assert_eq!(plan_at(&listing, 200).delete, []);
    listing.blocks.push(block(9, &[1, 2], at(50)));
    assert_eq!(plan_at(&listing, 50), MonthPlan::default());
    let plan = plan_at(&listing, 51);
    assert_eq!((plan.delete, plan.unfinished), (vec![id(8)], vec![id(6)]));
    // Of two that were merged from the same days, one stays.
    listing.blocks.push(block(7, &[1, 2], at(50)));
    assert_eq!(plan_at(&listing, 51).delete, [id(8), id(9)]);
}

#[test]
fn month_block_is_deleted_when_a_day_block_that_it_was_merged_from_was_deleted() {
    let mut listing = days(&[1, 2]);
    listing.blocks.push(block(8, &[1, 7], at(25)));
    assert_eq!(plan_at(&listing, 30).delete, []);
    listing.outdated.insert(id(8));
    assert_eq!(plan_at(&listing, 30).delete, [id(8)]);
    // Listings may not show the day blocks yet.
    assert_eq!(plan_at(&listing, 25).delete, []);
}

#[test]
fn month_block_expires_with_its_first_day_and_is_not_merged_shortly_before() {
    let mut listing = days(&[1, 2]);
    let kept = Retention::default().days;
    let first = month().first().end();
    let planned = |now: Timestamp, listing: &MonthListing| {
        let (policy, retention) = (Policy::default(), Retention::default());
        let merged = plan_month(listing, month(), now, &policy, &retention).merge;
        let of = |(expired, _)| expired;
        let all = plan_month_retention(listing, month(), now, &retention, policy.grace);
        (merged.len(), all.into_iter().map(of).collect::<Vec<_>>())
    };
    let last = first.plus(kept).minus(DAY * 31);
    assert_eq!(planned(last.minus(HOUR), &listing), (2, vec![]));
    assert_eq!(planned(last, &listing), (0, vec![]));
    listing.blocks.push(block(9, &[1, 2], at(25)));
    let end = first.plus(kept);
    assert_eq!(planned(end.minus(HOUR), &listing), (0, vec![]));
    assert_eq!(planned(end, &listing), (0, vec![Expired::Month(id(9))]));
}
