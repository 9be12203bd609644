//! Listings over all levels.

use super::{Bucket, ReadError};
use crate::error::{Error, Result};
use crate::format::Table;
use crate::key::{BlockId, Day, Hour, META, Named, SEGMENTS, Tenant};
use crate::rule::BlockEntry;
use crate::rule::SegmentEntry;
use crate::rule::day::{DayBlock, DayListing};
use davy_base::Timestamp;
use futures_util::{StreamExt, stream};
use object_store::path::Path;
use std::collections::{BTreeMap, BTreeSet};
use ulid::Ulid;

/// Number of meta objects that are read concurrently.
const TOGETHER: usize = 16;

/// The files of a block.
#[derive(Default)]
struct Files {
    bytes: u64,
    /// When its meta object was written.
    since: Option<Timestamp>,
    /// Size of the values by window or hour, if they exist.
    samples: Option<u64>,
}

impl Files {
    fn add(&mut self, file: &str, bytes: u64, since: Timestamp) {
        self.bytes += bytes;
        if file == META {
            self.since = Some(since);
        }
        if file == Table::Samples.file() {
            self.samples = Some(bytes);
        }
    }
}

/// The segments of a day block by hour (`YYYY-MM-DD/HH`), as stored.
pub type StoredLeaves = BTreeMap<String, Vec<String>>;

impl Bucket {
    /// The folders of all levels of a tenant.
    pub fn levels(&self, tenant: &Tenant) -> Vec<Path> {
        vec![
            self.keys.segments(tenant, None),
            self.keys.blocks(tenant, None),
            self.keys.day_blocks(tenant, None),
        ]
    }

    /// Segments and blocks in some folders that are of hours from `first` to `last`, by day, and a sentence for each
    /// block that is left out because its meta object cannot be read.
    pub async fn days(
        &self,
        tenant: &Tenant,
        folders: &[Path],
        (first, last): (Hour, Hour),
    ) -> Result<(BTreeMap<Day, DayListing>, Vec<String>)> {
        let mut days: BTreeMap<Day, DayListing> = BTreeMap::new();
        let mut blocks: BTreeMap<(Hour, BlockId), Files> = BTreeMap::new();
        let mut day_blocks: BTreeMap<(Day, BlockId), Files> = BTreeMap::new();
        for folder in folders {
            for object in self.list(folder).await? {
                let since = Timestamp::from_millis(object.last_modified.timestamp_millis());
                let named = self.keys.parse(tenant, &object.location);
                let of = named.as_ref().map(|named| match named {
                    Named::Segment(hour, _) | Named::Block(hour, ..) => (*hour, *hour),
                    Named::DayBlock(day, ..) => (day.first(), Hour(day.first().0 + 23)),
                });
                if of.is_none_or(|(from, to)| to < first || from > last) {
                    continue;
                }
                match named {
                    Some(Named::Segment(hour, name)) => {
                        let day = days.entry(Day::of(hour)).or_default();
                        let entry = SegmentEntry {
                            name,
                            bytes: object.size,
                        };
                        day.hours.entry(hour).or_default().segments.push(entry);
                    }
                    Some(Named::Block(hour, id, file)) => {
                        let files = blocks.entry((hour, id)).or_default();
                        files.add(&file, object.size, since);
                    }
                    Some(Named::DayBlock(day, id, file)) => {
                        let files = day_blocks.entry((day, id)).or_default();
                        files.add(&file, object.size, since);
                    }
                    None => {}
                }
            }
        }
        let mut faults = Vec::new();
        let read = blocks.into_iter().filter_map(|((hour, id), files)| {
            let since = files.since?;
            Some(self.hour_entry(tenant, hour, id, files.bytes, since))
        });
        let read: Vec<_> = stream::iter(read).buffered(TOGETHER).collect().await;
        for entry in read.into_iter().flatten() {
            match entry {
                Ok((hour, entry)) => {
                    let day = days.entry(Day::of(hour)).or_default();
                    day.hours.entry(hour).or_default().blocks.push(entry);
                }
                Err(fault) => faults.push(fault),
            }
        }
        let read = day_blocks.into_iter().filter_map(|((day, id), files)| {
            let since = files.since?;
            Some(self.day_entry(tenant, day, id, files, since))
        });
        let read: Vec<_> = stream::iter(read).buffered(TOGETHER).collect().await;
        for entry in read.into_iter().flatten() {
            match entry {
                Ok((day, entry)) => days.entry(day).or_default().blocks.push(entry),
                Err(fault) => faults.push(fault),
            }
        }
        Ok((days, faults))
    }

    /// An hour block of a listing; `None` if it was deleted.
    async fn hour_entry(
        &self,
        tenant: &Tenant,
        hour: Hour,
        id: BlockId,
        bytes: u64,
        since: Timestamp,
    ) -> Option<Result<(Hour, BlockEntry), String>> {
        match self.meta(tenant, hour, &id).await {
            Ok(meta) => {
                let leaves = leaves(&meta.segments);
                let entry = BlockEntry {
                    id,
                    leaves,
                    bytes,
                    since,
                };
                Some(Ok((hour, entry)))
            }
            Err(ReadError::Gone) => None,
            Err(ReadError::Failed(error)) => {
                Some(Err(format!("block {} of {hour}: {error}", id.0)))
            }
        }
    }

    /// A day block of a listing; `None` if it was deleted.
    async fn day_entry(
        &self,
        tenant: &Tenant,
        day: Day,
        id: BlockId,
        files: Files,
        since: Timestamp,
    ) -> Option<Result<(Day, DayBlock), String>> {
        match self.day_leaves(tenant, day, &id).await {
            Ok(leaves) => {
                let entry = DayBlock {
                    id,
                    leaves,
                    bytes: files.bytes,
                    since,
                    has_hours: files.samples.is_some(),
                    hours_bytes: files.samples.unwrap_or(0),
                };
                Some(Ok((day, entry)))
            }
            Err(ReadError::Gone) => None,
            Err(ReadError::Failed(error)) => Some(Err(format!("block {} of {day}: {error}", id.0))),
        }
    }

    /// The segments whose windows a day block holds.
    pub async fn day_leaves(
        &self,
        tenant: &Tenant,
        day: Day,
        id: &BlockId,
    ) -> Result<BTreeMap<Hour, BTreeSet<Ulid>>, ReadError> {
        let key = self.keys.block(tenant, day, id, SEGMENTS);
        let stored: StoredLeaves =
            serde_json::from_slice(&self.get(&key).await?).map_err(Error::corrupt_by)?;
        let mut all = BTreeMap::new();
        for (hour, names) in stored {
            let parts = hour.split_once('/');
            let hour = parts.and_then(|(date, hh)| Hour::parse(date, hh));
            let hour = hour.ok_or_else(|| Error::corrupt("invalid hour").within(&key))?;
            all.insert(hour, leaves(&names));
        }
        Ok(all)
    }
}

fn leaves(names: &[String]) -> BTreeSet<Ulid> {
    names.iter().filter_map(|name| name.parse().ok()).collect()
}
