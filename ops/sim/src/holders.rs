//! Tracks which objects hold the windows of each segment that was ever written, and detects the deletion of the last
//! one.
//!
//! A segment is held by itself, by a whole hour block that lists it, or by a whole day block that lists it. A block is
//! whole if its meta object and its tables exist. A month block holds nothing: it may be deleted at any time. The check
//! reads the true content of the store, which no archiver sees.

use bytes::Bytes;
use davy_archive::format::Table;
use davy_archive::format::block::Meta;
use davy_archive::key::{Day, Hour, Keys, META, Named, SEGMENTS, Tenant};
use davy_base::Timestamp;
use object_store::path::Path;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use ulid::Ulid;

/// Identifies a block: its hour or day, and its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct BlockKey {
    period: String,
    name: String,
}

#[derive(Debug, Default)]
struct Block {
    is_of_day: bool,
    files: BTreeSet<String>,
    leaves: BTreeSet<Ulid>,
}

impl Block {
    /// Whether everything that a reader needs exists. The samples of a day block have a retention of their own.
    fn is_whole(&self) -> bool {
        let has = |file: &str| self.files.contains(file);
        let needed =
            |table: &Table| !table.is_optional() && (!self.is_of_day || *table != Table::Samples);
        has(META)
            && Table::ALL
                .iter()
                .filter(|of| needed(of))
                .all(|of| has(&of.file()))
    }
}

/// The segments that were written, and the blocks that exist.
#[derive(Debug)]
pub(crate) struct Holders {
    keys: Keys,
    tenant: Tenant,
    /// How long windows are needed after the end of their day.
    needed: Duration,
    segments: BTreeMap<Ulid, (Hour, bool)>,
    blocks: BTreeMap<BlockKey, Block>,
    violation: Option<String>,
}

impl Holders {
    /// For the objects of a tenant, whose windows are needed for `needed` after the end of their day.
    pub(crate) fn new(keys: Keys, tenant: Tenant, needed: Duration) -> Self {
        Self {
            keys,
            tenant,
            needed,
            segments: BTreeMap::new(),
            blocks: BTreeMap::new(),
            violation: None,
        }
    }

    /// The first deletion of the last holder of a needed segment.
    pub(crate) fn violation(&self) -> Option<String> {
        self.violation.clone()
    }

    fn block(&mut self, period: String, name: String, is_of_day: bool) -> &mut Block {
        let block = self.blocks.entry(BlockKey { period, name }).or_default();
        block.is_of_day = is_of_day;
        block
    }

    pub(crate) fn put(&mut self, key: &Path, bytes: &Bytes) {
        match self.keys.parse(&self.tenant, key) {
            Some(Named::Segment(hour, name)) => {
                self.segments.insert(name, (hour, true));
            }
            Some(Named::Block(hour, id, file)) => {
                let block = self.block(hour.to_string(), id.0, false);
                if file == META
                    && let Ok(meta) = Meta::read(bytes)
                {
                    block.leaves = leaves(&meta.segments);
                }
                block.files.insert(file);
            }
            Some(Named::DayBlock(day, id, file)) => {
                let block = self.block(day.to_string(), id.0, true);
                if file == SEGMENTS
                    && let Ok(stored) =
                        serde_json::from_slice::<BTreeMap<String, Vec<String>>>(bytes)
                {
                    block.leaves = stored.values().flat_map(|of| leaves(of)).collect();
                }
                block.files.insert(file);
            }
            Some(Named::MonthBlock(..)) | None => {}
        }
    }

    pub(crate) fn delete(&mut self, key: &Path, at: Timestamp) {
        match self.keys.parse(&self.tenant, key) {
            Some(Named::Segment(_, name)) => {
                if let Some((_, exists)) = self.segments.get_mut(&name) {
                    *exists = false;
                }
            }
            Some(Named::Block(hour, id, file)) => {
                self.block(hour.to_string(), id.0, false)
                    .files
                    .remove(&file);
            }
            Some(Named::DayBlock(day, id, file)) => {
                self.block(day.to_string(), id.0, true).files.remove(&file);
            }
            Some(Named::MonthBlock(..)) | None => {}
        }
        if self.violation.is_none() {
            self.violation = self.lost(at).map(|(name, hour)| {
                format!("{key} was deleted, but it was the last object with the windows of segment {name} of {hour}")
            });
        }
    }

    /// A segment whose windows are needed and that nothing holds.
    fn lost(&self, now: Timestamp) -> Option<(Ulid, Hour)> {
        let whole: Vec<&Block> = self.blocks.values().filter(|of| of.is_whole()).collect();
        let is_lost = |(name, (hour, exists)): &(&Ulid, &(Hour, bool))| {
            let is_needed = Day::of(*hour).end().plus(self.needed) > now;
            is_needed && !exists && !whole.iter().any(|block| block.leaves.contains(name))
        };
        let (name, (hour, _)) = self.segments.iter().find(is_lost)?;
        Some((*name, *hour))
    }
}

fn leaves(names: &[String]) -> BTreeSet<Ulid> {
    names.iter().filter_map(|name| name.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use davy_archive::key::BlockId;

    /// Stores a segment and a block of it, deletes the segment and then a file of the block.
    fn violation(file: &str, day: bool, now: Timestamp) -> Option<String> {
        let (keys, tenant) = (Keys::new(""), Tenant::anonymous());
        let mut holders = Holders::new(keys.clone(), tenant.clone(), Duration::from_hours(48));
        let (hour, name) = (Hour(0), Ulid(7));
        let segment = keys.segment(&tenant, hour, name);
        holders.put(&segment, &Bytes::new());
        let id = BlockId("0".repeat(32));
        let key = |file: &str| {
            if day {
                keys.block(&tenant, Day(0), &id, file)
            } else {
                keys.block(&tenant, hour, &id, file)
            }
        };
        for table in Table::ALL {
            holders.put(&key(&table.file()), &Bytes::new());
        }
        holders.put(
            &key(SEGMENTS),
            &format!("{{\"1970-01-01/00\":[\"{name}\"]}}").into(),
        );
        let meta = format!(
            "{{\"version\":2,\"segments\":[\"{name}\"],\"inputs\":[],\"windows\":0,\"rows\":0,\"groups\":[],\"tables\":{{}}}}"
        );
        holders.put(&key(META), &meta.into());
        holders.delete(&segment, now);
        assert_eq!(holders.violation(), None);
        holders.delete(&key(file), now);
        holders.violation()
    }

    #[test]
    fn deletion_of_the_last_complete_holder_is_a_violation_during_its_retention() {
        let soon = Timestamp::from_seconds(3_600);
        assert!(violation(META, false, soon).is_some());
        assert!(violation("nodes.parquet", false, soon).is_some());
        assert!(violation("samples.parquet", false, soon).is_some());
        assert!(violation("samples.parquet", true, soon).is_none());
        assert!(violation("sums.parquet", true, soon).is_some());
        let later = Timestamp::from_seconds(3 * 24 * 3_600);
        assert!(violation(META, true, later).is_none());
    }
}
