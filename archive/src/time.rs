//! Parses times as people and agents write them.

use davy_base::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// A text that is not a time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid time {0:?}; examples: now, 1h (ago), now-90m, 2026-11-28, 2026-11-28 13:00 (UTC), 2026-11-28T13:00:00+01:00, 1764334800 (unix time in s, ms, us or ns)"
)]
pub struct InvalidTime(pub String);

/// Parses a time:
///
/// - `now`, and times before it: `1h`, `-1h`, `now-1h30m`;
/// - a date or a date and time, in UTC: `2026-11-28`, `2026-11-28 13:00`;
/// - RFC 3339: `2026-11-28T13:00:00+01:00`;
/// - unix time, whose unit follows from its number of digits: up to 11 are seconds, up to 14
///   milliseconds, up to 17 microseconds, more nanoseconds.
pub fn parse(text: &str, now: Timestamp) -> Result<Timestamp, InvalidTime> {
    let invalid = || InvalidTime(text.to_owned());
    let text = text.trim();
    if text == "now" {
        return Ok(now);
    }
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        let number: i64 = text.parse().map_err(|_| invalid())?;
        return Ok(match text.len() {
            ..=11 => Timestamp::from_seconds(number),
            12..=14 => Timestamp::from_millis(number),
            15..=17 => Timestamp::from_nanos(number.saturating_mul(1_000)),
            _ => Timestamp::from_nanos(number),
        });
    }
    let ago = text.strip_prefix("now").unwrap_or(text);
    if let Ok(span) = humantime::parse_duration(ago.strip_prefix('-').unwrap_or(ago)) {
        return Ok(now.minus(span));
    }
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(time.into());
    }
    let civil: DateTime = text.parse().map_err(|_| invalid())?;
    let time = TimeZone::UTC.to_timestamp(civil).map_err(|_| invalid())?;
    Ok(time.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn every_documented_form_is_parsed() {
        let now = Timestamp::from_seconds(1_764_334_800);
        let check = |text: &str, expected: Timestamp| {
            assert_eq!(parse(text, now), Ok(expected), "{text}");
        };
        check("now", now);
        for hour_ago in ["1h", "-1h", "now-1h", "now-60m", "30m30m"] {
            check(hour_ago, now.minus(Duration::from_hours(1)));
        }
        check("2025-11-28", Timestamp::from_seconds(1_764_288_000));
        for time in [
            "2025-11-28 13:00",
            "2025-11-28T13:00",
            "2025-11-28 13:00:00",
            "2025-11-28T13:00:00Z",
            "2025-11-28T14:00:00+01:00",
            "2025-11-28 13:00:00.000Z",
            "1764334800",
            "1764334800000",
            "1764334800000000",
            "1764334800000000000",
        ] {
            check(time, now);
        }
        check("0", Timestamp::EPOCH);
    }

    #[test]
    fn text_in_another_form_is_rejected() {
        let now = Timestamp::from_seconds(1_764_334_800);
        for text in [
            "",
            "yesterday",
            "now-",
            "-",
            "2025-02-30",
            "25:00",
            "99999999999999999999",
            "1x",
            "2025-11-28T25:00:00Z",
            "ä",
        ] {
            assert_eq!(
                parse(text, now),
                Err(InvalidTime(text.to_owned())),
                "{text}"
            );
        }
    }
}
