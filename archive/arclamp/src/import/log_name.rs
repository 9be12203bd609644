//! Names of Arc Lamp's logs.

use davy_base::Timestamp;
use std::fmt;
use std::time::Duration;

/// What the name of a log says: `2026-11-29_13.excimer.index.log.gz`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogName {
    /// Start of its hour or day.
    pub start: Timestamp,
    /// Whether it is of an hour; otherwise it is of a day.
    pub is_hourly: bool,
    /// The channel.
    pub channel: String,
    /// The entry point, or `all`.
    pub tag: String,
}

impl LogName {
    /// Parses the name of a file without its folder.
    pub fn parse(name: &str) -> Option<Self> {
        let stem = name
            .strip_suffix(".gz")
            .unwrap_or(name)
            .strip_suffix(".log")?;
        let (time, rest) = stem.split_once('.')?;
        let (channel, tag) = rest.rsplit_once('.')?;
        if channel.is_empty() || tag.is_empty() {
            return None;
        }
        let (date, hour) = match time.split_once('_') {
            Some((date, hour)) => (date, Some(hour)),
            None => (time, None),
        };
        let is_plain = |text: &str, length: usize| {
            text.len() == length
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || byte == b'-')
        };
        if !is_plain(date, 10) || !hour.is_none_or(|hour| is_plain(hour, 2)) {
            return None;
        }
        let date = jiff::civil::Date::strptime("%Y-%m-%d", date).ok()?;
        let hour_of_day: i8 = hour.map_or(Some(0), |hour| hour.parse().ok())?;
        let time = jiff::civil::Time::new(hour_of_day, 0, 0, 0).ok()?;
        let start = jiff::tz::TimeZone::UTC
            .to_timestamp(date.to_datetime(time))
            .ok()?;
        Some(Self {
            start: start.into(),
            is_hourly: hour.is_some(),
            channel: channel.to_owned(),
            tag: tag.to_owned(),
        })
    }

    /// The time that the log covers.
    pub fn duration(&self) -> Duration {
        Duration::from_hours(if self.is_hourly { 1 } else { 24 })
    }
}

/// The name without `.gz`, which Arc Lamp adds after three days.
impl fmt::Display for LogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.start.to_string();
        let (date, hour) = (&time[..10], &time[11..13]);
        write!(f, "{date}")?;
        if self.is_hourly {
            write!(f, "_{hour}")?;
        }
        write!(f, ".{}.{}.log", self.channel, self.tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_states_time_channel_and_tag() {
        let parsed = |name: &str| {
            let name = LogName::parse(name)?;
            Some((
                name.start.to_string(),
                name.is_hourly,
                name.channel,
                name.tag,
            ))
        };
        let expected = |start: &str, is_hourly, channel: &str, tag: &str| {
            Some((
                start.to_owned(),
                is_hourly,
                channel.to_owned(),
                tag.to_owned(),
            ))
        };
        assert_eq!(
            parsed("2026-11-29_13.excimer-wall.index.log.gz"),
            expected("2026-11-29T13:00:00.000Z", true, "excimer-wall", "index")
        );
        assert_eq!(
            parsed("2026-11-29.excimer.all.log"),
            expected("2026-11-29T00:00:00.000Z", false, "excimer", "all")
        );
        assert_eq!(
            parsed("2026-11-29.a.b.all.log"),
            expected("2026-11-29T00:00:00.000Z", false, "a.b", "all")
        );
        for name in [
            "2026-11-29.all.log",
            "2026-11-29_24.x.all.log",
            "2026-13-29.x.all.log",
            "2026-11-29.x.all.svgz",
            "arclamp.log",
            "2026-11-29.x..log",
            "+026-11-29.x.all.log",
        ] {
            assert_eq!(parsed(name), None, "{name}");
        }
    }

    #[test]
    fn compressed_log_has_the_same_name() {
        let name = LogName::parse("2026-11-29_03.excimer.all.log.gz").expect("good");
        assert_eq!(name.to_string(), "2026-11-29_03.excimer.all.log");
        let name = LogName::parse("2026-11-29.excimer.all.log").expect("good");
        assert_eq!(name.to_string(), "2026-11-29.excimer.all.log");
    }
}
