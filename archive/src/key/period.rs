//! Hours, days and months of data, in UTC.

use davy_base::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use std::fmt;
use std::time::Duration;

/// An hour of data in UTC, as hours since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hour(pub i64);

const HOUR: Duration = Duration::from_hours(1);

impl Hour {
    /// The first and the last hour.
    pub(crate) const EVER: (Self, Self) = (Self(i64::MIN), Self(i64::MAX));

    /// The hour that contains `time`.
    pub fn of(time: Timestamp) -> Self {
        Self(time.seconds().div_euclid(3_600))
    }

    /// Start of the hour.
    pub fn start(self) -> Timestamp {
        Timestamp::from_seconds(self.0 * 3_600)
    }

    /// End of the hour, exclusive.
    pub fn end(self) -> Timestamp {
        self.start().plus(HOUR)
    }

    /// `YYYY-MM-DD`.
    pub fn date(self) -> String {
        let start = jiff::Timestamp::from(self.start());
        start.strftime("%Y-%m-%d").to_string()
    }

    /// Parses `YYYY-MM-DD` and `HH`.
    pub(crate) fn parse(date: &str, hh: &str) -> Option<Self> {
        let (year, rest) = date.split_once('-')?;
        let (month, day) = rest.split_once('-')?;
        let date = Date::new(
            digits::<4>(year)?,
            digits::<2>(month)? as i8,
            digits::<2>(day)? as i8,
        );
        let start = TimeZone::UTC.to_timestamp(date.ok()?.to_datetime(Time::midnight()));
        let first = Self::of(start.ok()?.into());
        let hour = i64::from(digits::<2>(hh)?);
        (hour < 24).then_some(Self(first.0 + hour))
    }
}

/// The number of exactly `N` decimal digits. Listings have many keys, and no other spelling than that of keys counts.
fn digits<const N: usize>(text: &str) -> Option<i16> {
    let is_number = text.len() == N && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

/// A day of data in UTC, as days since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i64);

impl Day {
    /// The day that contains an hour.
    pub fn of(hour: Hour) -> Self {
        Self(hour.0.div_euclid(24))
    }

    /// Its first hour.
    pub fn first(self) -> Hour {
        Hour(self.0 * 24)
    }

    /// Its hours.
    pub fn hours(self) -> impl Iterator<Item = Hour> {
        (self.0 * 24..self.0 * 24 + 24).map(Hour)
    }

    /// End of the day, exclusive.
    pub fn end(self) -> Timestamp {
        Hour(self.0 * 24 + 24).start()
    }

    /// Parses `YYYY-MM-DD`.
    pub(crate) fn parse(date: &str) -> Option<Self> {
        Hour::parse(date, "00").map(Self::of)
    }
}

impl fmt::Display for Day {
    /// `YYYY-MM-DD`, as in keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.first().date())
    }
}

/// A month of data in UTC, as months since January of the year 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month(pub i64);

impl Month {
    /// The month that contains a day.
    pub fn of(day: Day) -> Self {
        let date = TimeZone::UTC.to_datetime(day.first().start().into());
        Self(i64::from(date.year()) * 12 + i64::from(date.month()) - 1)
    }

    /// Its first day.
    pub fn first(self) -> Day {
        // Months come from days and keys, whose years have at most four digits; others count as the first one.
        let year = i16::try_from(self.0.div_euclid(12)).unwrap_or(0);
        let month = self.0.rem_euclid(12) as i8 + 1;
        let date = Date::new(year, month, 1).unwrap_or(Date::ZERO);
        let start = TimeZone::UTC.to_timestamp(date.to_datetime(Time::midnight()));
        Day::of(Hour::of(start.unwrap_or_default().into()))
    }

    /// Its days.
    pub fn days(self) -> impl Iterator<Item = Day> {
        (self.first().0..Self(self.0 + 1).first().0).map(Day)
    }

    /// Start of the month.
    pub fn start(self) -> Timestamp {
        self.first().first().start()
    }

    /// End of the month, exclusive.
    pub fn end(self) -> Timestamp {
        Self(self.0 + 1).start()
    }

    /// Parses `YYYY-MM`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        (text.len() == 7).then(|| Day::parse(&format!("{text}-01")).map(Self::of))?
    }
}

impl fmt::Display for Month {
    /// `YYYY-MM`, as in keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month) = (self.0.div_euclid(12), self.0.rem_euclid(12) + 1);
        write!(f, "{year:04}-{month:02}")
    }
}

/// The time that a block covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// An hour.
    Hour(Hour),
    /// A day.
    Day(Day),
    /// A month.
    Month(Month),
}

impl From<Hour> for Period {
    fn from(hour: Hour) -> Self {
        Self::Hour(hour)
    }
}

impl From<Day> for Period {
    fn from(day: Day) -> Self {
        Self::Day(day)
    }
}

impl From<Month> for Period {
    fn from(month: Month) -> Self {
        Self::Month(month)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hour(hour) => hour.fmt(f),
            Self::Day(day) => day.fmt(f),
            Self::Month(month) => month.fmt(f),
        }
    }
}

impl fmt::Display for Hour {
    /// `YYYY-MM-DD/HH`, as in keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.date(), hh(*self))
    }
}

/// The two digits of an hour in keys.
pub(super) fn hh(hour: Hour) -> String {
    format!("{:02}", hour.0.rem_euclid(24))
}
