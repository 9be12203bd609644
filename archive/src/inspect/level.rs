//! What each level of a tenant holds.

use crate::archive::Archive;
use crate::error::Result;
use crate::format::block::Meta;
use crate::key::{BlockId, Day, Period, Tenant};
use crate::rule::day::DayListing;
use crate::rule::select;
use davy_base::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;

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

/// What a tenant has stored.
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
    /// What each tenant has stored, by level and by service.
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
        let now = self.now();
        let mut levels = [
            Level::named("segment"),
            Level::named("hour"),
            Level::named("day"),
        ];
        let mut of_months = Level::named("month");
        let mut services: BTreeMap<String, [u64; 3]> = BTreeMap::new();
        for (month, listing) in &months {
            for block in &listing.blocks {
                of_months.add(&(*month).into(), block.bytes);
                self.add_services(tenant, (*month).into(), &block.id, 2, &mut services)
                    .await;
            }
        }
        for (day, listing) in &days {
            add_day(&mut levels, *day, listing, now);
            for (hour, pieces) in &listing.hours {
                for block in &pieces.blocks {
                    self.add_services(tenant, (*hour).into(), &block.id, 0, &mut services)
                        .await;
                }
            }
            for block in &listing.blocks {
                self.add_services(tenant, (*day).into(), &block.id, 1, &mut services)
                    .await;
            }
        }
        let mut services: Vec<ServiceBytes> = services
            .into_iter()
            .map(
                |(service, [hour_bytes, day_bytes, month_bytes])| ServiceBytes {
                    service,
                    hour_bytes,
                    day_bytes,
                    month_bytes,
                },
            )
            .collect();
        let bytes = |of: &ServiceBytes| of.hour_bytes + of.day_bytes + of.month_bytes;
        services.sort_by_key(|of| std::cmp::Reverse(bytes(of)));
        let quarantine = self.bucket().keys.quarantine(tenant);
        Ok(TenantLevels {
            tenant: tenant.key().to_owned(),
            levels: levels.into_iter().chain([of_months]).collect(),
            services,
            quarantined: self.bucket().list(&quarantine).await?.len(),
            faults,
        })
    }

    async fn add_services(
        &self,
        tenant: &Tenant,
        period: Period,
        id: &BlockId,
        column: usize,
        services: &mut BTreeMap<String, [u64; 3]>,
    ) {
        let Ok(meta) = self.bucket().meta(tenant, period, id).await else {
            return;
        };
        for (index, group) in meta.groups.iter().enumerate() {
            let bytes = group_bytes(&meta, index) / group.services.len().max(1) as u64;
            for service in &group.services {
                services.entry(service.clone()).or_default()[column] += bytes;
            }
        }
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
