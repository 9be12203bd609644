use super::*;
use crate::rule::Listing;
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
    }
}

fn reasons(listing: &DayListing, days: u32, minutes: u64) -> Vec<Reason> {
    let now = OF.end().plus(DAY * days).plus(Duration::from_mins(minutes));
    let retention = Retention::default();
    let plan = plan_retention(listing, OF, now, &retention, Duration::from_hours(1));
    plan.into_iter().map(|(_, reason)| reason).collect()
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
