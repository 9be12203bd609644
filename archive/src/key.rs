//! Keys of objects. External text is encoded here and nowhere else.

mod period;

pub use period::{Day, Hour, Month, Period};

use davy_base::Timestamp;
use object_store::path::Path;
use period::hh;
use ulid::Ulid;

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
    pub(crate) fn parse(part: &str) -> Option<Self> {
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
    /// A file of a month block, by file name.
    MonthBlock(Month, BlockId, String),
}

/// The object whose presence makes a block exist.
pub const META: &str = "meta.json";
/// The object with the names of the segments whose windows a day block holds.
pub const SEGMENTS: &str = "segments.json";
const SEGMENT: &str = ".segment";
const CAPTURES: &str = "captures";
pub(crate) const ARCHIVERS: &str = ".archivers";

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

    /// The folder of a tenant's month blocks.
    pub fn month_blocks(&self, tenant: &Tenant) -> Path {
        self.path(&[tenant.key(), "blocks", "month"])
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
            Period::Month(month) => {
                let month = month.to_string();
                self.path(&[tenant, "blocks", "month", &month, id, file])
            }
        }
    }

    /// The folder of a tenant's captures.
    pub fn captures(&self, tenant: &Tenant) -> Path {
        self.path(&[tenant.key(), CAPTURES])
    }

    /// The folder of the captures of a day.
    pub fn captures_of_day(&self, tenant: &Tenant, day: Day) -> Path {
        self.path(&[tenant.key(), CAPTURES, &day.to_string()])
    }

    /// An object of a capture, in the folder of the day of its id. `end` is the end of its name.
    pub fn capture(&self, tenant: &Tenant, id: Ulid, end: &str) -> Path {
        let at = i64::try_from(id.timestamp_ms()).unwrap_or(i64::MAX);
        let day = Day::of(Hour::of(Timestamp::from_millis(at)));
        let file = format!("{id}{end}");
        self.path(&[tenant.key(), CAPTURES, &day.to_string(), &file])
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
            [of, "blocks", "month", month, id, file] if *of == tenant.key() => {
                let (month, id) = (Month::parse(month)?, BlockId::parse(id)?);
                Some(Named::MonthBlock(month, id, (*file).to_owned()))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
