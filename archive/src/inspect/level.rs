//! The objects and bytes of each level of a tenant.

use crate::archive::Archive;
use crate::bucket::Bucket;
use crate::compact::Compactor;
use crate::error::Result;
use crate::format::block::Meta;
use crate::key::{BlockId, Day, Month, Period, Tenant};
use crate::plan::day::plan_day;
use crate::plan::month::plan_month;
use crate::plan::plan;
use crate::rule::day::DayListing;
use crate::rule::month::MonthListing;
use crate::rule::select;
use davy_base::Timestamp;
use futures_util::{StreamExt, stream};
use serde::Serialize;
use std::collections::BTreeMap;

/// Number of meta objects that are read concurrently.
const TOGETHER: usize = 8;

/// A level of a tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Level {
    /// `segment`, `hour`, `day` or `month`.
    pub level: &'static str,
    /// Number of segments or blocks.
    pub pieces: usize,
    /// Their size in bytes.
    pub bytes: u64,
    /// Start of the first hour, day or month, as in keys; empty without pieces.
    pub first: String,
    /// Start of the last one.
    pub last: String,
    /// Seconds since the end of the oldest hour or day that the next level does not hold; 0 without one. Days do not wait
    /// for months, which hold nothing else.
    pub lag_seconds: u64,
    /// Number of hours, days or months that are due to be merged into the next level.
    pub backlog: usize,
}

/// The size of a service in blocks. Services that share a row group share its size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServiceBytes {
    /// Service.
    pub service: String,
    /// Bytes in hour blocks.
    pub hour_bytes: u64,
    /// Bytes in day blocks.
    pub day_bytes: u64,
    /// Bytes in month blocks.
    pub month_bytes: u64,
}

/// The stored data of a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TenantLevels {
    /// The tenant, encoded as in keys.
    pub tenant: String,
    /// Its levels, the finest first.
    pub levels: Vec<Level>,
    /// Its services, the largest first.
    pub services: Vec<ServiceBytes>,
    /// Number of damaged objects in the quarantine.
    pub quarantined: usize,
    /// A sentence for each block that cannot be read.
    pub faults: Vec<String>,
}

impl Level {
    fn named(level: &'static str) -> Self {
        Self {
            level,
            ..Self::default()
        }
    }

    fn add(&mut self, period: &Period, bytes: u64) {
        let period = period.to_string();
        self.pieces += 1;
        self.bytes += bytes;
        if self.first.is_empty() || period < self.first {
            self.first.clone_from(&period);
        }
        if period > self.last {
            self.last = period;
        }
    }

    fn waits_since(&mut self, end: Timestamp, now: Timestamp) {
        self.lag_seconds = self.lag_seconds.max(now.since(end).as_secs());
    }
}

impl Archive {
    /// The stored data of each tenant, by level and by service.
    pub async fn levels(&self) -> Result<Vec<TenantLevels>> {
        let mut all = Vec::new();
        for tenant in self.bucket().tenants().await? {
            all.push(self.levels_of(&tenant).await?);
        }
        Ok(all)
    }

    async fn levels_of(&self, tenant: &Tenant) -> Result<TenantLevels> {
        let (days, mut faults) = self.all_days(tenant).await?;
        let (months, of_months) = self.bucket().months(tenant, &days).await?;
        faults.extend(of_months);
        let compactor = self.compactor();
        let services = services(self.bucket(), tenant, (&days, &months), usize::MAX).await;
        let quarantine = self.bucket().keys.quarantine(tenant);
        Ok(TenantLevels {
            tenant: tenant.key().to_owned(),
            levels: levels((&days, &months), self.now(), &compactor),
            services: services.sizes,
            quarantined: self.bucket().list(&quarantine).await?.len(),
            faults,
        })
    }
}

/// The days and months of a tenant.
pub(crate) type Listed<'a> = (
    &'a BTreeMap<Day, DayListing>,
    &'a BTreeMap<Month, MonthListing>,
);

/// The levels of a tenant, the finest first.
pub(crate) fn levels(
    (days, months): Listed<'_>,
    now: Timestamp,
    compactor: &Compactor,
) -> Vec<Level> {
    let (policy, retention) = (&compactor.policy(), compactor.retention());
    let mut levels = [
        Level::named("segment"),
        Level::named("hour"),
        Level::named("day"),
    ];
    for (day, listing) in days {
        add_day(&mut levels, *day, listing, now);
        let hours = listing.hours.iter();
        let due = hours.filter(|(hour, of)| !plan(of, **hour, now, policy).merge.is_empty());
        levels[0].backlog += due.count();
        let is_due = !plan_day(listing, *day, now, policy).is_settled();
        levels[1].backlog += usize::from(is_due);
    }
    let mut of_months = Level::named("month");
    for (month, listing) in months {
        for block in &listing.blocks {
            of_months.add(&(*month).into(), block.bytes);
        }
        let plan = plan_month(listing, *month, now, policy, &retention);
        levels[2].backlog += usize::from(!plan.merge.is_empty());
    }
    levels.into_iter().chain([of_months]).collect()
}

/// The services of a tenant.
pub(crate) struct Services {
    /// The largest first.
    pub(crate) sizes: Vec<ServiceBytes>,
    /// Number of blocks that there are.
    pub(crate) blocks: usize,
    /// Number of blocks, the newest ones, whose services are counted.
    pub(crate) counted: usize,
}

/// The services of the newest blocks of a tenant, from their meta objects. Blocks that cannot be read are left out.
pub(crate) async fn services(
    bucket: &Bucket,
    tenant: &Tenant,
    (days, months): Listed<'_>,
    blocks_max: usize,
) -> Services {
    let mut blocks: Vec<(Period, &BlockId, usize)> = Vec::new();
    for (month, listing) in months {
        let of_month = listing.blocks.iter();
        blocks.extend(of_month.map(|of| ((*month).into(), &of.id, 2)));
    }
    for (day, listing) in days.iter().rev() {
        blocks.extend(listing.blocks.iter().map(|of| ((*day).into(), &of.id, 1)));
        for (hour, pieces) in listing.hours.iter().rev() {
            let of_hour = pieces.blocks.iter();
            blocks.extend(of_hour.map(|of| ((*hour).into(), &of.id, 0)));
        }
    }
    let count = blocks.len();
    blocks.truncate(blocks_max);
    let reads = blocks.into_iter().map(|(period, id, column)| async move {
        let meta = bucket.meta(tenant, period, id).await;
        meta.ok().map(|meta| (meta, column))
    });
    let reads: Vec<_> = reads.collect();
    let mut reads = stream::iter(reads).buffer_unordered(TOGETHER);
    let (mut services, mut counted) = (BTreeMap::<String, [u64; 3]>::new(), 0);
    while let Some(read) = reads.next().await {
        let Some((meta, column)) = read else { continue };
        counted += 1;
        for (index, group) in meta.groups.iter().enumerate() {
            let bytes = group_bytes(&meta, index) / group.services.len().max(1) as u64;
            for service in &group.services {
                services.entry(service.clone()).or_default()[column] += bytes;
            }
        }
    }
    let services = services.into_iter();
    let services = services.map(
        |(service, [hour_bytes, day_bytes, month_bytes])| ServiceBytes {
            service,
            hour_bytes,
            day_bytes,
            month_bytes,
        },
    );
    let mut services: Vec<ServiceBytes> = services.collect();
    let bytes = |of: &ServiceBytes| of.hour_bytes + of.day_bytes + of.month_bytes;
    services.sort_by_key(|of| std::cmp::Reverse(bytes(of)));
    Services {
        sizes: services,
        blocks: count,
        counted,
    }
}

fn group_bytes(meta: &Meta, index: usize) -> u64 {
    let groups = meta
        .tables
        .values()
        .filter_map(|file| file.groups.get(index));
    groups.map(|(start, end, _)| end - start).sum()
}

fn add_day(levels: &mut [Level; 3], day: Day, listing: &DayListing, now: Timestamp) {
    let [segments, hours, days] = levels;
    for block in &listing.blocks {
        days.add(&day.into(), block.bytes);
    }
    let mut is_covered = true;
    for (hour, pieces) in &listing.hours {
        for segment in &pieces.segments {
            segments.add(&(*hour).into(), segment.bytes);
        }
        for block in &pieces.blocks {
            hours.add(&(*hour).into(), block.bytes);
        }
        if !select(pieces).segments.is_empty() {
            segments.waits_since(hour.end(), now);
        }
        is_covered &= listing.complete(*hour).is_some();
    }
    if !is_covered {
        hours.waits_since(day.end(), now);
    }
}
