//! Points of wall-clock time.

use std::time::Duration;

/// A point of wall-clock time: nanoseconds since 1970-01-01T00:00:00Z.
///
/// Covers the years 1678 to 2262. Arithmetic saturates at both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

const NANOS_PER_SECOND: i64 = 1_000_000_000;

impl Timestamp {
    /// The Unix epoch, 1970-01-01T00:00:00Z.
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
        Self(seconds.saturating_mul(NANOS_PER_SECOND))
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
        self.0.div_euclid(NANOS_PER_SECOND)
    }

    /// `span` after this time.
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(saturating_nanos(span)))
    }

    /// `span` before this time.
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(saturating_nanos(span)))
    }

    /// The time from `earlier` to this; zero if `earlier` is later than this.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0).max(0).unsigned_abs())
    }

    /// The last multiple of `step` since the epoch that is not after this time. A zero `step`
    /// returns the time unchanged.
    pub fn floor(self, step: Duration) -> Self {
        match saturating_nanos(step) {
            0 => self,
            step => Self(self.0.div_euclid(step).saturating_mul(step)),
        }
    }
}

/// Nanoseconds of `span`, at most `i64::MAX`.
pub(crate) fn saturating_nanos(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(feature = "jiff")]
impl From<Timestamp> for jiff::Timestamp {
    fn from(time: Timestamp) -> Self {
        // jiff covers the years -9999 to 9999, more than 64 bits of nanoseconds can express.
        Self::from_nanosecond(i128::from(time.0)).unwrap_or_default()
    }
}

/// The nearest time that 64 bits of nanoseconds can express.
#[cfg(feature = "jiff")]
impl From<jiff::Timestamp> for Timestamp {
    fn from(time: jiff::Timestamp) -> Self {
        let nanos = time.as_nanosecond();
        Self(nanos.clamp(i64::MIN.into(), i64::MAX.into()) as i64)
    }
}

/// RFC 3339 in UTC with milliseconds: `2026-11-22T10:08:15.000Z`.
#[cfg(feature = "jiff")]
impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Rounded down, as a clock shows it.
        let whole = jiff::Timestamp::from(Self::from_millis(self.millis()));
        write!(f, "{whole:.3}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floor_returns_the_start_of_the_hour() {
        let time = Timestamp::from_seconds(7 * 3_600 + 59 * 60);
        assert_eq!(
            time.floor(Duration::from_hours(1)),
            Timestamp::from_seconds(7 * 3_600)
        );
    }

    #[cfg(feature = "jiff")]
    #[test]
    fn display_is_rfc3339_in_utc_with_milliseconds() {
        let check = |nanos: i64, expected: &str| {
            assert_eq!(Timestamp::from_nanos(nanos).to_string(), expected);
        };
        check(0, "1970-01-01T00:00:00.000Z");
        check(1_700_000_000_123_999_999, "2023-11-14T22:13:20.123Z");
        check(-1, "1969-12-31T23:59:59.999Z");
        check(i64::MAX, "2262-04-11T23:47:16.854Z");
    }
}
