//! Listings over all levels.

use super::{Bucket, ReadError};
use crate::error::{Error, Result};
use crate::format::Table;
use crate::format::block::Meta;
use crate::key::{BlockId, Day, Hour, META, Month, Named, Period, SEGMENTS, Tenant};
use crate::rule::day::{DayBlock, DayListing, Unfinished};
use crate::rule::{BlockEntry, SegmentEntry};
use davy_base::Timestamp;
use futures_util::{StreamExt, stream};
use object_store::path::Path;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use ulid::Ulid;

/// Number of days, of months, and of meta objects of a day that are read concurrently.
pub(super) const TOGETHER: usize = 8;

/// The files of a block.
#[derive(Default)]
pub(super) struct Files {
    pub(super) bytes: u64,
    /// When its meta object was written.
    pub(super) since: Option<Timestamp>,
    /// When the last file was written.
    pub(super) last: Timestamp,
    /// Size of the values by window or hour, if they exist.
    samples: Option<u64>,
    /// Whether the names of the segments of a day block exist.
    has_segments: bool,
}

impl Files {
    /// Whether there are values by window or hour. A listing can show the meta object and not yet them, but only for less
    /// than the grace period, in which they are not deleted.
    fn has_samples(&self, now: Timestamp, grace: Duration) -> bool {
        self.samples.is_some() || self.is_young(now, grace)
    }

    /// Whether these are of a day block that was deleted in part after it was written again. The names of its segments are
    /// written first and deleted last, so a block that is whole has them.
    fn is_torn(&self, now: Timestamp, grace: Duration) -> bool {
        !self.has_segments && self.since.is_some() && !self.is_young(now, grace)
    }

    fn is_young(&self, now: Timestamp, grace: Duration) -> bool {
        self.since.is_some_and(|since| since.plus(grace) > now)
    }

    fn add(&mut self, file: &str, bytes: u64, since: Timestamp) {
        self.bytes += bytes;
        self.last = self.last.max(since);
        if file == META {
            self.since = Some(since);
        }
        if file == Table::Samples.file() {
            self.samples = Some(bytes);
        }
        self.has_segments |= file == SEGMENTS;
    }
}

/// The listing of a day.
#[derive(Default)]
pub(super) struct Listed {
    pub(super) segments: BTreeMap<Hour, Vec<SegmentEntry>>,
    pub(super) hours: BTreeMap<(Hour, BlockId), Files>,
    pub(super) days: BTreeMap<BlockId, Files>,
}

/// What is listed of days and months.
#[derive(Default)]
pub(super) struct AllListed {
    pub(super) days: BTreeMap<Day, Listed>,
    pub(super) months: BTreeMap<Month, BTreeMap<BlockId, Files>>,
}

/// A day, and a sentence for each block that is left out because it cannot be read.
type Read = (DayListing, Vec<String>);

/// The segments of a day block by hour (`YYYY-MM-DD/HH`), as stored.
pub type StoredLeaves = BTreeMap<String, Vec<String>>;

impl Bucket {
    /// The folders of all levels of a tenant but months.
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
        let listed = self.listed(tenant, folders, (first, last)).await?;
        Ok(self.read_days(tenant, listed.days).await)
    }

    /// The objects in some folders that are of hours from `first` to `last`, and of months.
    pub(super) async fn listed(
        &self,
        tenant: &Tenant,
        folders: &[Path],
        (first, last): (Hour, Hour),
    ) -> Result<AllListed> {
        let mut all = AllListed::default();
        for folder in folders {
            for object in self.list(folder).await? {
                let Some(named) = self.keys.parse(tenant, &object.location) else {
                    continue;
                };
                let since = Timestamp::from_millis(object.last_modified.timestamp_millis());
                let day = match &named {
                    Named::Segment(hour, _) | Named::Block(hour, ..) => {
                        if *hour < first || *hour > last {
                            continue;
                        }
                        Day::of(*hour)
                    }
                    Named::DayBlock(day, ..) => *day,
                    Named::MonthBlock(month, id, file) => {
                        let of_month = all.months.entry(*month).or_default();
                        let files = of_month.entry(id.clone()).or_default();
                        files.add(file, object.size, since);
                        continue;
                    }
                };
                if day < Day::of(first) || day > Day::of(last) {
                    continue;
                }
                let listed = all.days.entry(day).or_default();
                match named {
                    Named::Segment(hour, name) => {
                        let bytes = object.size;
                        let of_hour = listed.segments.entry(hour).or_default();
                        of_hour.push(SegmentEntry { name, bytes });
                    }
                    Named::Block(hour, id, file) => {
                        let files = listed.hours.entry((hour, id)).or_default();
                        files.add(&file, object.size, since);
                    }
                    Named::DayBlock(_, id, file) => {
                        let files = listed.days.entry(id).or_default();
                        files.add(&file, object.size, since);
                    }
                    // It is of no day.
                    Named::MonthBlock(..) => {}
                }
            }
        }
        Ok(all)
    }

    /// Reads what the rule needs of days.
    pub(super) async fn read_days(
        &self,
        tenant: &Tenant,
        days: BTreeMap<Day, Listed>,
    ) -> (BTreeMap<Day, DayListing>, Vec<String>) {
        let reads: Vec<_> = days
            .into_iter()
            .map(|(day, listed)| self.day(tenant, day, listed))
            .collect();
        let reads: Vec<(Day, Read)> = stream::iter(reads).buffered(TOGETHER).collect().await;
        let (mut days, mut faults) = (BTreeMap::new(), Vec::new());
        for (day, (listing, of_day)) in reads {
            days.insert(day, listing);
            faults.extend(of_day);
        }
        (days, faults)
    }

    /// Reads what the rule needs of a day.
    async fn day(&self, tenant: &Tenant, day: Day, listed: Listed) -> (Day, Read) {
        let unfinished = unfinished(day, &listed);
        let Listed {
            segments,
            mut hours,
            mut days,
        } = listed;
        hours.retain(|_, files| files.since.is_some());
        let now = self.clock.now();
        let is_torn = |files: &Files| files.is_torn(now, self.grace);
        let torn = days.iter().filter(|(_, files)| is_torn(files));
        let torn: Vec<BlockId> = torn.map(|(id, _)| id.clone()).collect();
        days.retain(|_, files| files.since.is_some() && !is_torn(files));
        if let (true, 1, Some((id, files))) =
            (segments.is_empty(), days.len(), days.first_key_value())
            && let Ok(meta) = self.meta(tenant, day, id).await
            && let Some(mut listing) = self.by_blocks(&hours, id, files, &meta)
        {
            (listing.unfinished, listing.torn) = (unfinished, torn);
            return (day, (listing, Vec::new()));
        }
        let mut faults = Vec::new();
        let mut listing = DayListing {
            unfinished,
            torn,
            ..DayListing::default()
        };
        for (hour, of_hour) in segments {
            listing.hours.entry(hour).or_default().segments = of_hour;
        }
        let reads: Vec<_> = hours
            .into_iter()
            .map(|((hour, id), files)| async move {
                let entry = self.hour_entry(tenant, hour, id.clone(), files).await;
                entry.map_err(|error| (Period::from(hour), id, error))
            })
            .collect();
        let reads: Vec<_> = stream::iter(reads).buffered(TOGETHER).collect().await;
        for read in reads {
            match read {
                Ok((hour, entry)) => listing.hours.entry(hour).or_default().blocks.push(entry),
                Err((period, id, error)) => {
                    listing.is_incomplete |= !is_damage(&error);
                    faults.extend(fault(period, &id, error));
                }
            }
        }
        for (id, files) in days {
            match self.day_entry(tenant, day, id.clone(), files).await {
                Ok(entry) => listing.blocks.push(entry),
                Err(error) => {
                    listing.is_incomplete |= !is_damage(&error);
                    faults.extend(fault(day.into(), &id, error));
                }
            }
        }
        (day, (listing, faults))
    }

    /// An hour block of a listing.
    async fn hour_entry(
        &self,
        tenant: &Tenant,
        hour: Hour,
        id: BlockId,
        files: Files,
    ) -> Result<(Hour, BlockEntry), ReadError> {
        let meta = self.meta(tenant, hour, &id).await?;
        let entry = BlockEntry {
            id,
            leaves: leaves(&meta.segments),
            bytes: files.bytes,
            since: files.since.unwrap_or_default(),
        };
        Ok((hour, entry))
    }

    /// A day block of a listing.
    async fn day_entry(
        &self,
        tenant: &Tenant,
        day: Day,
        id: BlockId,
        files: Files,
    ) -> Result<DayBlock, ReadError> {
        let leaves = self.day_leaves(tenant, day, &id).await?;
        let meta = self.meta(tenant, day, &id).await?;
        Ok(self.day_block(id, &files, &meta, leaves))
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
            let hour = parse_hour(&hour);
            let hour = hour.ok_or_else(|| Error::corrupt("invalid hour").within(&key))?;
            all.insert(hour, leaves(&names));
        }
        Ok(all)
    }

    /// The listing of a day whose only day block was merged from all hour blocks that still exist. The rule compares
    /// segments only with each other, so the names of these hour blocks can stand for the segments that they hold, and
    /// neither the meta objects of the hour blocks nor the names of the segments are read. Almost all days are of this
    /// kind.
    fn by_blocks(
        &self,
        hours: &BTreeMap<(Hour, BlockId), Files>,
        id: &BlockId,
        files: &Files,
        meta: &Arc<Meta>,
    ) -> Option<DayListing> {
        let name = |id: &str| Some(Ulid(u128::from_str_radix(id, 16).ok()?));
        let mut held: BTreeMap<Hour, BTreeSet<Ulid>> = BTreeMap::new();
        for (hour, of) in &meta.hours {
            let names: Option<BTreeSet<Ulid>> = of.blocks.iter().map(|id| name(id)).collect();
            held.insert(parse_hour(hour)?, names?);
        }
        let mut listing = DayListing::default();
        for ((hour, id), files) in hours {
            let leaf = name(&id.0)?;
            if !held.get(hour)?.contains(&leaf) {
                return None;
            }
            let pieces = listing.hours.entry(*hour).or_default();
            pieces.blocks.push(BlockEntry {
                id: id.clone(),
                leaves: [leaf].into(),
                bytes: files.bytes,
                since: files.since?,
            });
        }
        let mut block = self.day_block(id.clone(), files, meta, held);
        block.segments = meta.hours.values().map(|of| of.segments).sum();
        listing.blocks.push(block);
        Some(listing)
    }

    fn day_block(
        &self,
        id: BlockId,
        files: &Files,
        meta: &Meta,
        leaves: BTreeMap<Hour, BTreeSet<Ulid>>,
    ) -> DayBlock {
        // A successor of a block without sums by hour never had any.
        let has_hours = files.has_samples(self.clock.now(), self.grace);
        DayBlock {
            id,
            bytes: files.bytes,
            since: files.since.unwrap_or_default(),
            has_hours: has_hours && meta.has(Table::Samples),
            hours_bytes: files.samples.unwrap_or(0),
            segments: leaves.values().map(BTreeSet::len).sum(),
            leaves,
        }
    }
}

/// The blocks of a day that have files but no meta object.
fn unfinished(day: Day, listed: &Listed) -> Vec<Unfinished> {
    let hours = listed.hours.iter();
    let of_hours = hours.map(|((hour, id), files)| (Period::from(*hour), id, files));
    let of_day = listed.days.iter();
    let of_day = of_day.map(|(id, files)| (Period::from(day), id, files));
    let all = of_hours.chain(of_day);
    all.filter(|(.., files)| files.since.is_none())
        .map(|(period, id, files)| Unfinished {
            period,
            id: id.clone(),
            bytes: files.bytes,
            since: files.last,
        })
        .collect()
}

/// Whether a block cannot be read because it is damaged.
fn is_damage(error: &ReadError) -> bool {
    matches!(error, ReadError::Failed(error) if error.is_damage)
}

/// Why a block is left out; `None` if it was deleted.
pub(super) fn fault(period: Period, id: &BlockId, error: ReadError) -> Option<String> {
    match error {
        ReadError::Gone => None,
        ReadError::Failed(error) => Some(format!("block {} of {period}: {error}", id.0)),
    }
}

/// Parses `YYYY-MM-DD/HH`.
fn parse_hour(text: &str) -> Option<Hour> {
    let (date, hh) = text.split_once('/')?;
    Hour::parse(date, hh)
}

fn leaves(names: &[String]) -> BTreeSet<Ulid> {
    names.iter().filter_map(|name| name.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn young_block_counts_as_having_samples_even_if_the_listing_lacks_them() {
        let at = |minutes: i64| Timestamp::from_seconds(minutes * 60);
        let mut files = Files::default();
        files.add(META, 1, at(0));
        let has = |files: &Files, minute| files.has_samples(at(minute), Duration::from_hours(1));
        assert_eq!(
            [0, 59, 60].map(|minute| has(&files, minute)),
            [true, true, false]
        );
        files.add(&Table::Samples.file(), 1, at(0));
        assert!(has(&files, 60));
    }

    #[test]
    fn old_day_block_without_the_names_of_its_segments_is_torn() {
        let at = |minutes: i64| Timestamp::from_seconds(minutes * 60);
        let mut files = Files::default();
        let is_torn = |files: &Files, minute| files.is_torn(at(minute), Duration::from_hours(1));
        assert!(
            !is_torn(&files, 60),
            "without a meta object it does not exist"
        );
        files.add(META, 1, at(0));
        assert_eq!(
            [59, 60].map(|minute| is_torn(&files, minute)),
            [false, true]
        );
        files.add(SEGMENTS, 1, at(0));
        assert!(!is_torn(&files, 60));
    }
}
