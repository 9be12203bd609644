//! Wall-clock and monotonic time behind one handle.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// A point of wall-clock time: nanoseconds since 1970-01-01T00:00:00Z.
///
/// Covers the years 1678 to 2262; arithmetic saturates at the ends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

const NANOS_A_SECOND: i64 = 1_000_000_000;

impl Timestamp {
    /// The epoch, 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);

    /// From nanoseconds since the epoch.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From milliseconds since the epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// From seconds since the epoch.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(NANOS_A_SECOND))
    }

    /// Nanoseconds since the epoch.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since the epoch, rounded down.
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(NANOS_A_SECOND)
    }

    /// This time and `span` later.
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(saturating_nanos(span)))
    }

    /// `span` before this time.
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(saturating_nanos(span)))
    }

    /// The time from `earlier` to this, zero where `earlier` is the later one.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0).max(0).unsigned_abs())
    }

    /// The last multiple of `step` since the epoch that is not after this time.
    ///
    /// `step` must be longer than nothing; a zero step leaves the time as it is.
    pub fn floor(self, step: Duration) -> Self {
        match saturating_nanos(step) {
            0 => self,
            step => Self(self.0.div_euclid(step).saturating_mul(step)),
        }
    }

    /// The calendar of this time, in UTC.
    pub fn civil(self) -> Civil {
        let seconds = self.seconds();
        let days = seconds.div_euclid(86_400);
        let second_of_day = seconds.rem_euclid(86_400) as u32;
        // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = (day_of_year - (153 * shifted_month + 2) / 5 + 1) as u32;
        let month = if shifted_month < 10 {
            shifted_month + 3
        } else {
            shifted_month - 9
        } as u32;
        let year = (year_of_era + era * 400 + i64::from(month <= 2)) as i32;
        Civil {
            year,
            month,
            day,
            hour: second_of_day / 3_600,
            minute: second_of_day / 60 % 60,
            second: second_of_day % 60,
        }
    }

    /// The time of a calendar date in UTC, or `None` where there is no such date.
    pub fn from_civil(civil: Civil) -> Option<Self> {
        let Civil {
            year,
            month,
            day,
            hour,
            minute,
            second,
        } = civil;
        if !(1..=12).contains(&month) || hour > 23 || minute > 59 || second > 60 || day == 0 {
            return None;
        }
        // Howard Hinnant, days_from_civil.
        let shifted_year = i64::from(year) - i64::from(month <= 2);
        let era = shifted_year.div_euclid(400);
        let year_of_era = shifted_year.rem_euclid(400);
        let shifted_month = i64::from(if month > 2 { month - 3 } else { month + 9 });
        let day_of_year = (153 * shifted_month + 2) / 5 + i64::from(day) - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = era * 146_097 + day_of_era - 719_468;
        let seconds = days.checked_mul(86_400)?
            + i64::from(hour) * 3_600
            + i64::from(minute) * 60
            + i64::from(second);
        let time = Self(seconds.checked_mul(NANOS_A_SECOND)?);
        let back = time.civil();
        (back.day == day && back.month == month || second == 60).then_some(time)
    }

    /// Reads `2026-11-22T10:00:00Z`, with an optional fraction and offset (RFC 3339).
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let number = |from: usize, to: usize| -> Option<u32> {
            let part = text.get(from..to)?;
            part.bytes()
                .all(|b| b.is_ascii_digit())
                .then(|| part.parse().ok())?
        };
        let marks = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
        if bytes.len() < 20
            || marks.iter().any(|(at, mark)| bytes[*at] != *mark)
            || !matches!(bytes[10], b'T' | b't' | b' ')
        {
            return None;
        }
        let civil = Civil {
            year: number(0, 4)? as i32,
            month: number(5, 7)?,
            day: number(8, 10)?,
            hour: number(11, 13)?,
            minute: number(14, 16)?,
            second: number(17, 19)?,
        };
        let mut rest = text.get(19..)?;
        let mut nanos = 0i64;
        if let Some(fraction) = rest.strip_prefix('.') {
            let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
            if digits == 0 {
                return None;
            }
            let mut padded = fraction[..digits.min(9)].to_owned();
            while padded.len() < 9 {
                padded.push('0');
            }
            nanos = padded.parse().ok()?;
            rest = &fraction[digits..];
        }
        let offset_seconds = match rest.as_bytes() {
            [b'Z' | b'z'] => 0,
            [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
                let digit = |b: &u8| b.is_ascii_digit().then(|| i64::from(b - b'0'));
                let (hours, minutes) = (digit(h1)? * 10 + digit(h2)?, digit(m1)? * 10 + digit(m2)?);
                if hours > 23 || minutes > 59 {
                    return None;
                }
                (hours * 3_600 + minutes * 60) * if *sign == b'+' { 1 } else { -1 }
            }
            _ => return None,
        };
        let whole = Self::from_civil(civil)?;
        Some(Self(
            whole
                .0
                .checked_sub(offset_seconds * NANOS_A_SECOND)?
                .checked_add(nanos)?,
        ))
    }

    /// Reads a time as an operator writes it: RFC 3339, unix seconds, milliseconds, microseconds or
    /// nanoseconds (told apart by their 10, 13, 16 or 19 digits), `now`, or `now-90m`.
    pub fn parse(text: &str, now: Self) -> Option<Self> {
        let text = text.trim();
        if text == "now" {
            return Some(now);
        }
        if let Some(span) = text.strip_prefix("now-") {
            return Some(now.minus(crate::size::parse_duration(span)?));
        }
        if text.bytes().all(|b| b.is_ascii_digit()) {
            let number: i64 = text.parse().ok()?;
            return match text.len() {
                1..=10 => Some(Self::from_seconds(number)),
                11..=13 => Some(Self::from_millis(number)),
                14..=16 => Some(Self(number.checked_mul(1_000)?)),
                _ => Some(Self(number)),
            };
        }
        Self::parse_rfc3339(text)
    }
}

fn saturating_nanos(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Civil {
            year,
            month,
            day,
            hour,
            minute,
            second,
        } = self.civil();
        let millis = self.millis().rem_euclid(1_000);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z"
        )
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A calendar date and time of day in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct Civil {
    pub year: i32,
    pub month: u32,
    pub day: u32,
    pub hour: u32,
    pub minute: u32,
    pub second: u32,
}

/// Where time comes from. Cheap to clone; clones tell the same time.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System(Instant),
    Manual(Arc<AtomicI64>, i64),
}

impl Clock {
    /// The machine's clock.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the machine's clock"
    )]
    pub fn system() -> Self {
        Self(Source::System(Instant::now()))
    }

    /// A clock that stands at `start` and moves only by [`Clock::advance`].
    pub fn manual(start: Timestamp) -> Self {
        Self(Source::Manual(
            Arc::new(AtomicI64::new(start.nanos())),
            start.nanos(),
        ))
    }

    /// Wall-clock time now.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the machine's clock"
    )]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System(_) => match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
                Ok(since) => Timestamp(saturating_nanos(since)),
                Err(before) => Timestamp(-saturating_nanos(before.duration())),
            },
            Source::Manual(nanos, _) => Timestamp(nanos.load(Ordering::Acquire)),
        }
    }

    /// Time since this clock was made; never goes back.
    pub fn monotonic(&self) -> Duration {
        match &self.0 {
            Source::System(start) => start.elapsed(),
            Source::Manual(nanos, start) => {
                Duration::from_nanos((nanos.load(Ordering::Acquire) - start).max(0) as u64)
            }
        }
    }

    /// Moves a manual clock on. The machine's clock is not moved.
    pub fn advance(&self, span: Duration) {
        if let Source::Manual(nanos, _) = &self.0 {
            nanos.fetch_add(saturating_nanos(span), Ordering::AcqRel);
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_survives_a_round_trip() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(
                Timestamp::parse_rfc3339(text)
                    .map(|t| t.to_string())
                    .as_deref(),
                expected,
                "{text}"
            );
        };
        check("2026-11-22T10:08:15Z", Some("2026-11-22T10:08:15.000Z"));
        check(
            "2024-02-29T23:59:59.987654321+02:00",
            Some("2024-02-29T21:59:59.987Z"),
        );
        check("1969-12-31T23:59:59.5Z", Some("1969-12-31T23:59:59.500Z"));
        check("2023-02-29T00:00:00Z", None);
        check("2023-13-01T00:00:00Z", None);
        check("2023-01-01T00:00:00", None);
        check("not a time at all....", None);
        check("2023-01-01T00:00:00ä", None);
    }

    #[test]
    fn operators_times_are_read() {
        let now = Timestamp::from_seconds(1_000_000);
        let check = |text: &str, nanos: Option<i64>| {
            assert_eq!(
                Timestamp::parse(text, now).map(Timestamp::nanos),
                nanos,
                "{text}"
            );
        };
        check("now", Some(1_000_000 * NANOS_A_SECOND));
        check("now-1h", Some((1_000_000 - 3_600) * NANOS_A_SECOND));
        check("1700000000", Some(1_700_000_000 * NANOS_A_SECOND));
        check("1700000000000", Some(1_700_000_000 * NANOS_A_SECOND));
        check("1700000000000000", Some(1_700_000_000 * NANOS_A_SECOND));
        check(
            "1700000000000000001",
            Some(1_700_000_000 * NANOS_A_SECOND + 1),
        );
        check("99999999999999999999", None);
        check("now-", None);
        check("", None);
        check("yesterday", None);
    }

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = Clock::manual(Timestamp::from_seconds(5));
        let twin = clock.clone();
        assert_eq!(clock.now(), twin.now());
        clock.advance(Duration::from_secs(2));
        assert_eq!(twin.now(), Timestamp::from_seconds(7));
        assert_eq!(twin.monotonic(), Duration::from_secs(2));
    }

    #[test]
    fn floor_finds_the_hour() {
        let time = Timestamp::parse_rfc3339("2026-11-22T10:59:59.999Z").expect("valid");
        assert_eq!(
            time.floor(Duration::from_hours(1)).to_string(),
            "2026-11-22T10:00:00.000Z"
        );
    }
}
