//! Keys of objects. External text is encoded here and nowhere else.

use davy_base::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use object_store::path::Path;
use std::fmt;
use std::time::Duration;
use ulid::Ulid;

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

/// The time that a block covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// An hour.
    Hour(Hour),
    /// A day.
    Day(Day),
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

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hour(hour) => hour.fmt(f),
            Self::Day(day) => day.fmt(f),
        }
    }
}

impl fmt::Display for Hour {
    /// `YYYY-MM-DD/HH`, as in keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.date(), hh(*self))
    }
}

/// A tenant, encoded as a part of a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant(String);

impl Tenant {
    /// The tenant of requests without a tenant header.
    pub fn anonymous() -> Self {
        Self("anonymous".to_owned())
    }

    /// The tenant of this name; `None` if the name is empty or longer than 128 bytes.
    pub fn new(name: &str) -> Option<Self> {
        (!name.is_empty() && name.len() <= 128).then(|| Self(encode(name)))
    }

    /// The part of a key.
    pub fn key(&self) -> &str {
        &self.0
    }

    /// From the name of a folder; `None` if no tenant has it.
    pub(crate) fn from_key(key: &str) -> Option<Self> {
        (!key.is_empty() && !key.starts_with('.')).then(|| Self(key.to_owned()))
    }
}

/// Encodes any text as one part of a key, injectively: letters, digits, `-`, `_` and dots after the
/// first byte are kept, every other byte becomes `=` and two hexadecimal digits.
pub fn encode(text: &str) -> String {
    let mut part = String::with_capacity(text.len());
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => part.push(char::from(byte)),
            b'.' if at > 0 => part.push('.'),
            _ => part.push_str(&format!("={byte:02x}")),
        }
    }
    part
}

/// Maximum length of a build id in a key, in bytes: file systems allow names of 255 bytes.
const BUILD_BYTES: usize = 200;

/// A build id, encoded as a part of a key. A long one ends with a hash of the whole, so the meta object states the
/// build id again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BuildKey(String);

impl BuildKey {
    /// The key of a build id.
    pub fn of(build_id: &str) -> Self {
        let mut part = encode(build_id);
        if part.len() > BUILD_BYTES {
            part.truncate(BUILD_BYTES - 33);
            let hash = xxhash_rust::xxh3::xxh3_128(build_id.as_bytes());
            part.push_str(&format!("={hash:032x}"));
        }
        Self(part)
    }

    /// From a part of a key.
    pub(crate) fn from_key(key: &str) -> Self {
        Self(key.to_owned())
    }

    /// The part of a key.
    pub fn key(&self) -> &str {
        &self.0
    }
}

/// The name of a block: the hash of the names of its inputs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockId(pub String);

impl BlockId {
    /// From a part of a key.
    fn parse(part: &str) -> Option<Self> {
        let known = part.len() == 32 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        known.then(|| Self(part.to_owned()))
    }
}

/// Keys below a prefix of the bucket.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    prefix: Vec<String>,
}

/// The object that a key names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// A segment.
    Segment(Hour, Ulid),
    /// A file of an hour block, by file name.
    Block(Hour, BlockId, String),
    /// A file of a day block, by file name.
    DayBlock(Day, BlockId, String),
}

/// The object whose presence makes a block exist.
pub const META: &str = "meta.json";
/// The object with the names of the segments whose windows a day block holds.
pub const SEGMENTS: &str = "segments.json";
const SEGMENT: &str = ".segment";
const ARCHIVERS: &str = ".archivers";

impl Keys {
    /// Keys below `prefix`, such as `davy/prod`, or of the whole bucket if it is empty.
    pub fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix
                .split('/')
                .filter(|part| !part.is_empty())
                .map(encode)
                .collect(),
        }
    }

    fn path(&self, parts: &[&str]) -> Path {
        self.prefix
            .iter()
            .map(String::as_str)
            .chain(parts.iter().copied())
            .collect()
    }

    /// The folder of presence objects. No tenant has its name: encoded names do not begin with a dot.
    pub fn archivers(&self) -> Path {
        self.path(&[ARCHIVERS])
    }

    /// The presence object of an archiver.
    pub fn archiver(&self, name: &str) -> Path {
        self.path(&[ARCHIVERS, name])
    }

    /// The folder of all tenants, and of presence objects.
    pub fn root(&self) -> Path {
        self.path(&[])
    }

    /// The folder of a tenant's segments, or of those of an hour.
    pub fn segments(&self, tenant: &Tenant, hour: Option<Hour>) -> Path {
        match hour {
            None => self.path(&[tenant.key(), "segments"]),
            Some(hour) => self.path(&[tenant.key(), "segments", &hour.date(), &hh(hour)]),
        }
    }

    /// The folder of a day's segments.
    pub fn segments_of_day(&self, tenant: &Tenant, hour: Hour) -> Path {
        self.path(&[tenant.key(), "segments", &hour.date()])
    }

    /// A segment.
    pub fn segment(&self, tenant: &Tenant, hour: Hour, name: Ulid) -> Path {
        let file = format!("{name}{SEGMENT}");
        self.path(&[tenant.key(), "segments", &hour.date(), &hh(hour), &file])
    }

    /// The folder of a tenant's hour blocks, or of those of an hour.
    pub fn blocks(&self, tenant: &Tenant, hour: Option<Hour>) -> Path {
        match hour {
            None => self.path(&[tenant.key(), "blocks", "hour"]),
            Some(hour) => self.path(&[tenant.key(), "blocks", "hour", &hour.date(), &hh(hour)]),
        }
    }

    /// The folder of a day's hour blocks.
    pub fn blocks_of_day(&self, tenant: &Tenant, hour: Hour) -> Path {
        self.path(&[tenant.key(), "blocks", "hour", &hour.date()])
    }

    /// The folder of a tenant's day blocks, or of those of a day.
    pub fn day_blocks(&self, tenant: &Tenant, day: Option<Day>) -> Path {
        match day {
            None => self.path(&[tenant.key(), "blocks", "day"]),
            Some(day) => self.path(&[tenant.key(), "blocks", "day", &day.to_string()]),
        }
    }

    /// A file of a block.
    pub fn block(
        &self,
        tenant: &Tenant,
        period: impl Into<Period>,
        id: &BlockId,
        file: &str,
    ) -> Path {
        let (tenant, id) = (tenant.key(), id.0.as_str());
        match period.into() {
            Period::Hour(hour) => {
                let (date, hh) = (hour.date(), hh(hour));
                self.path(&[tenant, "blocks", "hour", &date, &hh, id, file])
            }
            Period::Day(day) => {
                let date = day.to_string();
                self.path(&[tenant, "blocks", "day", &date, id, file])
            }
        }
    }

    /// The folder of copies of a tenant's damaged objects.
    pub fn quarantine(&self, tenant: &Tenant) -> Path {
        self.path(&[tenant.key(), "quarantine"])
    }

    /// The copy of a damaged object: its key below the folder of the tenant, in a folder of the reason.
    pub fn quarantined(&self, tenant: &Tenant, reason: &str, key: &Path) -> Path {
        let mut path = self.path(&[tenant.key(), "quarantine", reason]);
        for part in key.parts().skip(self.prefix.len() + 1) {
            path = path.join(part);
        }
        path
    }

    /// A file of the metadata of a table that is published for other engines.
    pub fn published(&self, tenant: &Tenant, table: &str, file: &str) -> Path {
        self.path(&[tenant.key(), "table", table, "metadata", file])
    }

    /// The folder of a published table.
    pub fn published_table(&self, tenant: &Tenant, table: &str) -> Path {
        self.path(&[tenant.key(), "table", table])
    }

    /// The folder of a tenant's symbols.
    pub fn all_symbols(&self, tenant: &Tenant) -> Path {
        self.path(&[tenant.key(), "symbols"])
    }

    /// The meta object of the symbols of a build.
    pub fn symbols(&self, tenant: &Tenant, build: &BuildKey) -> Path {
        self.path(&[tenant.key(), "symbols", &build.0, META])
    }

    /// A table of the symbols of a build.
    pub fn symbol_table(
        &self,
        tenant: &Tenant,
        build: &BuildKey,
        content: &str,
        file: &str,
    ) -> Path {
        self.path(&[tenant.key(), "symbols", &build.0, content, file])
    }

    /// The object that a key names; `None` if it is not a key of the archive.
    pub fn parse(&self, tenant: &Tenant, path: &Path) -> Option<Named> {
        let parts: Vec<String> = path.parts().map(|part| part.as_ref().to_owned()).collect();
        let rest = parts.strip_prefix(self.prefix.as_slice())?;
        let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
        match rest.as_slice() {
            [of, "segments", date, hour, file] if *of == tenant.key() => {
                let name = file.strip_suffix(SEGMENT)?.parse().ok()?;
                Some(Named::Segment(Hour::parse(date, hour)?, name))
            }
            [of, "blocks", "hour", date, hour, id, file] if *of == tenant.key() => {
                let (hour, id) = (Hour::parse(date, hour)?, BlockId::parse(id)?);
                Some(Named::Block(hour, id, (*file).to_owned()))
            }
            [of, "blocks", "day", date, id, file] if *of == tenant.key() => {
                let (day, id) = (Day::parse(date)?, BlockId::parse(id)?);
                Some(Named::DayBlock(day, id, (*file).to_owned()))
            }
            _ => None,
        }
    }
}

fn hh(hour: Hour) -> String {
    format!("{:02}", hour.0.rem_euclid(24))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_text_cannot_leave_its_folder() {
        let check = |text: &str, part: &str| assert_eq!(encode(text), part, "{text}");
        check("web-1.eu_west", "web-1.eu_west");
        check("..", "=2e.");
        check("../../etc", "=2e.=2f..=2fetc");
        check("a\0b", "a=00b");
        check("ä%", "=c3=a4=25");
        assert_eq!(Tenant::new(""), None);
    }

    #[test]
    fn build_id_of_any_length_is_one_short_part_of_a_key() {
        let key = |id: &str| BuildKey::of(id).key().to_owned();
        assert_eq!(key("0aff"), "0aff");
        assert_eq!(key("../a/b-c_d"), "=2e.=2fa=2fb-c_d");
        let (a, b) = ("/".repeat(255) + "a", "/".repeat(255) + "b");
        assert_eq!(key(&a).len(), 200);
        assert_ne!(key(&a), key(&b));
        assert!(!key(&a).contains('/'));
    }

    #[test]
    fn hour_is_parsed_only_as_keys_spell_it() {
        let check = |date: &str, hh: &str, expected: Option<i64>| {
            assert_eq!(
                Hour::parse(date, hh).map(|hour| hour.0),
                expected,
                "{date} {hh}"
            );
        };
        check("1970-01-01", "00", Some(0));
        check("2026-11-22", "10", Some(498_706));
        check("2024-02-29", "23", Some(474_791));
        for (date, hh) in [
            ("2026-11-22", "24"),
            ("2026-11-22", "7"),
            ("2026-11-22", "+7"),
            ("2026-02-29", "00"),
            ("2026-1-22", "00"),
            ("+026-11-22", "00"),
            ("20261122", "00"),
            ("2026-11-22T", "00"),
        ] {
            check(date, hh, None);
        }
        let hour = Hour(498_706);
        let text = hour.to_string();
        let (date, hh) = text.split_once('/').expect("a date and an hour");
        assert_eq!(Hour::parse(date, hh), Some(hour));
    }

    #[test]
    fn keys_survive_a_round_trip() {
        let keys = Keys::new("davy/x y");
        let tenant = Tenant::new("../t").expect("a name");
        let hour =
            Hour::of(crate::time::parse("2026-11-22T10:59:59Z", Timestamp::EPOCH).expect("valid"));
        let path = keys.segment(&tenant, hour, Ulid(7));
        assert_eq!(
            path.as_ref(),
            "davy/x=20y/=2e.=2ft/segments/2026-11-22/10/00000000000000000000000007.segment"
        );
        assert_eq!(
            keys.parse(&tenant, &path),
            Some(Named::Segment(hour, Ulid(7)))
        );
        assert_eq!(keys.parse(&Tenant::anonymous(), &path), None);
        let id = BlockId("0".repeat(32));
        let path = keys.block(&tenant, hour, &id, META);
        assert_eq!(
            keys.parse(&tenant, &path),
            Some(Named::Block(hour, id.clone(), META.to_owned()))
        );
        let day = Day::of(hour);
        let path = keys.block(&tenant, day, &id, META);
        assert!(path.as_ref().contains("/blocks/day/2026-11-22/"), "{path}");
        assert_eq!(
            keys.parse(&tenant, &path),
            Some(Named::DayBlock(day, id, META.to_owned()))
        );
    }
}
