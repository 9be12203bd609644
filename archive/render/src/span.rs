//! The hours and days that are rendered.

use davy_archive::key::{Day, Hour};
use davy_base::Timestamp;
use std::fmt;

/// An hour or a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Span {
    /// An hour.
    Hour(Hour),
    /// A day.
    Day(Day),
}

impl Span {
    /// Its start.
    pub fn start(self) -> Timestamp {
        match self {
            Self::Hour(hour) => hour.start(),
            Self::Day(day) => day.first().start(),
        }
    }

    /// Its end, exclusive.
    pub fn end(self) -> Timestamp {
        match self {
            Self::Hour(hour) => hour.end(),
            Self::Day(day) => day.end(),
        }
    }

    /// Its day.
    pub fn day(self) -> Day {
        match self {
            Self::Hour(hour) => Day::of(hour),
            Self::Day(day) => day,
        }
    }

    /// The hour or day before.
    pub(crate) fn before(self) -> Self {
        match self {
            Self::Hour(hour) => Self::Hour(Hour(hour.0 - 1)),
            Self::Day(day) => Self::Day(Day(day.0 - 1)),
        }
    }
}

impl From<Hour> for Span {
    fn from(hour: Hour) -> Self {
        Self::Hour(hour)
    }
}

impl From<Day> for Span {
    fn from(day: Day) -> Self {
        Self::Day(day)
    }
}

impl fmt::Display for Span {
    /// `YYYY-MM-DD/HH` or `YYYY-MM-DD`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hour(hour) => hour.fmt(f),
            Self::Day(day) => day.fmt(f),
        }
    }
}
