//! Decides what is rendered: a pure function of what the archive has, what the page of a period says that it shows, and
//! the time.

use crate::span::Span;
use davy_archive::key::{Day, Hour};
use davy_archive::rule::day::DayListing;
use davy_base::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use ulid::Ulid;
use xxhash_rust::xxh3::xxh3_128;

/// What artefacts show: the segments whose windows are in them, whichever blocks hold these now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// A hash of the names of the segments.
    pub hash: String,
    /// When the last of them was written, which is when the archive received its last window.
    pub received: Timestamp,
}

impl Shown {
    /// What some segments hold; `None` without any.
    pub(crate) fn of<'a>(leaves: impl IntoIterator<Item = &'a Ulid>) -> Option<Self> {
        let leaves: BTreeSet<&Ulid> = leaves.into_iter().collect();
        let names: Vec<String> = leaves.iter().map(ToString::to_string).collect();
        let last = leaves.last()?.timestamp_ms();
        Some(Self {
            hash: format!("{:032x}", xxh3_128(names.join("\n").as_bytes())),
            received: Timestamp::from_millis(i64::try_from(last).unwrap_or(i64::MAX)),
        })
    }
}

/// What the page of a period says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stated {
    /// The hash of what its artefacts show.
    pub(crate) hash: String,
    /// Whether everything could be read.
    pub(crate) is_complete: bool,
    /// When it was written.
    pub(crate) written: Timestamp,
}

/// Whether a period is rendered now, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Due {
    /// It has not been rendered.
    New,
    /// Windows arrived since it was rendered.
    Late,
    /// Something could not be read when it was rendered.
    Incomplete,
    /// It was asked for.
    Again,
    /// What is rendered shows everything.
    UpToDate,
    /// It is not over, or late windows may be followed by others soon.
    Waits,
}

impl Due {
    /// Whether it is rendered.
    pub fn is_due(self) -> bool {
        matches!(
            self,
            Self::New | Self::Late | Self::Incomplete | Self::Again
        )
    }

    /// The sentence for people.
    pub fn text(self) -> &'static str {
        match self {
            Self::New => "not rendered yet",
            Self::Late => "windows arrived since it was rendered",
            Self::Incomplete => "something could not be read when it was rendered",
            Self::Again => "rendered again as asked",
            Self::UpToDate => "up to date",
            Self::Waits => "waits until no more windows arrive",
        }
    }
}

/// Late windows of an hour that keep arriving are shown after this time at the latest, those of a day after the second.
const PATIENCE: [Duration; 2] = [Duration::from_mins(15), Duration::from_hours(6)];
/// Time after which a period is rendered again of which something could not be read.
const RETRY: Duration = Duration::from_hours(1);
/// Age above which such a period is left as it is: what is damaged stays damaged.
const GIVEN_UP: Duration = Duration::from_hours(48);

/// When a period became due that has not been rendered as it is now.
pub(crate) fn due_since(period: Span, shown: &Shown, settle: Duration) -> Timestamp {
    period.end().max(shown.received).plus(settle)
}

/// Decides whether a period is rendered.
///
/// A period is closed when it has been over for `settle`, as in compaction. Late windows of it are collected until none
/// has arrived for `settle` (an hour for a day), or until what is rendered is too old.
pub(crate) fn due(
    period: Span,
    shown: &Shown,
    stated: Option<&Stated>,
    now: Timestamp,
    settle: Duration,
) -> Due {
    if now < period.end().plus(settle) {
        return Due::Waits;
    }
    let Some(stated) = stated else {
        return if now < due_since(period, shown, settle)
            && shown.received > period.end().plus(settle)
        {
            Due::Waits
        } else {
            Due::New
        };
    };
    if stated.hash == shown.hash {
        let is_retried = !stated.is_complete
            && stated.written.plus(RETRY) <= now
            && period.end().plus(GIVEN_UP) > now;
        return if is_retried {
            Due::Incomplete
        } else {
            Due::UpToDate
        };
    }
    let (quiet, patience) = match period {
        Span::Hour(_) => (settle, PATIENCE[0]),
        Span::Day(_) => (settle.max(Duration::from_hours(1)), PATIENCE[1]),
    };
    let is_quiet = shown.received.plus(quiet) <= now;
    if is_quiet || stated.written.plus(patience) <= now {
        Due::Late
    } else {
        Due::Waits
    }
}

/// What each hour of a day and the day hold, by segments. `leaves` are those of the day blocks of the listing, whose own
/// may be names of hour blocks that stand for segments.
pub(crate) fn shown(
    day: Day,
    listing: &DayListing,
    leaves: Option<&BTreeMap<Hour, BTreeSet<Ulid>>>,
) -> BTreeMap<Span, Shown> {
    let mut all = BTreeMap::new();
    let mut of_day: BTreeSet<Ulid> = BTreeSet::new();
    let hours: BTreeSet<Hour> = match leaves {
        Some(leaves) => leaves.keys().copied().collect(),
        None => listing.known_hours(),
    };
    for hour in hours {
        let of_hour = match leaves {
            Some(leaves) => leaves.get(&hour).cloned().unwrap_or_default(),
            None => listing.known(hour),
        };
        if let Some(shown) = Shown::of(&of_hour) {
            all.insert(hour.into(), shown);
        }
        of_day.extend(of_hour);
    }
    if let Some(shown) = Shown::of(&of_day) {
        all.insert(day.into(), shown);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTLE: Duration = Duration::from_mins(2);

    fn at(minutes: i64) -> Timestamp {
        Hour(480_000)
            .start()
            .plus(Duration::from_secs(minutes as u64 * 60))
    }

    fn shown_of(minutes: &[i64]) -> Shown {
        let leaf = |minute: &i64| Ulid::from_parts(at(*minute).millis() as u64, 7);
        let leaves: Vec<Ulid> = minutes.iter().map(leaf).collect();
        Shown::of(&leaves).expect("leaves")
    }

    #[test]
    fn hour_is_rendered_when_it_closes_and_again_when_late_windows_arrived() {
        let period = Span::Hour(Hour(480_000));
        let first = shown_of(&[10, 59]);
        let check = |shown: &Shown, stated: Option<&Stated>, minute, expected| {
            assert_eq!(
                due(period, shown, stated, at(minute), SETTLE),
                expected,
                "{minute}"
            );
        };
        check(&first, None, 61, Due::Waits);
        check(&first, None, 62, Due::New);
        let stated = Stated {
            hash: first.hash.clone(),
            is_complete: true,
            written: at(62),
        };
        check(&first, Some(&stated), 300, Due::UpToDate);
        let late = shown_of(&[10, 59, 65]);
        check(&late, Some(&stated), 66, Due::Waits);
        check(&late, Some(&stated), 67, Due::Late);
        // Windows that keep arriving are shown after a quarter of an hour.
        check(&shown_of(&[10, 59, 76]), Some(&stated), 76, Due::Waits);
        check(&shown_of(&[10, 59, 77]), Some(&stated), 77, Due::Late);
        let incomplete = Stated {
            is_complete: false,
            ..stated
        };
        check(&first, Some(&incomplete), 100, Due::UpToDate);
        check(&first, Some(&incomplete), 122, Due::Incomplete);
        check(&first, Some(&incomplete), 60 * 60, Due::UpToDate);
    }

    #[test]
    fn what_is_shown_does_not_depend_on_the_blocks_that_hold_it() {
        let (a, b) = (Ulid::from_parts(1, 1), Ulid::from_parts(2, 2));
        assert_eq!(Shown::of([&a, &b]), Shown::of([&b, &a, &b]));
        assert_ne!(Shown::of([&a, &b]), Shown::of([&a]));
        assert_eq!(Shown::of([]), None);
    }
}
