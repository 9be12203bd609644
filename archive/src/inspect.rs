//! Lists and verifies all segments and blocks of a bucket.

mod item;
mod level;
mod piece;
mod totals;
mod verify;

pub use item::Item;
pub use level::{Level, ServiceBytes, TenantLevels};
pub(crate) use level::{Listed, levels, services};

use crate::archive::Archive;
use crate::error::Result;
use crate::key::{Day, Hour, Month, Tenant};
use crate::progress::Progress;
use crate::rule::day::{DayListing, Detail};
use crate::rule::month::MonthListing;
use std::collections::BTreeMap;
use verify::{DaySums, Verification, month_block};

impl Archive {
    /// Lists every segment and block of every tenant.
    pub async fn ls(&self) -> Result<Vec<Item>> {
        let mut items = Vec::new();
        for tenant in self.bucket().tenants().await? {
            let (days, faults) = self.all_days(&tenant).await?;
            items.extend(faults.into_iter().map(|fault| unreadable(&tenant, fault)));
            let (months, faults) = self.bucket().months(&tenant, &days).await?;
            items.extend(faults.into_iter().map(|fault| unreadable(&tenant, fault)));
            for (day, listing) in &days {
                items.extend(items_of(&tenant, *day, listing));
            }
            for (month, listing) in &months {
                items.extend(items_of_month(&tenant, *month, listing, &days));
            }
        }
        Ok(items)
    }

    /// Lists every segment and block after reading it completely: checksums, references, counts, the sums of day blocks
    /// against the windows that still exist, and those of month blocks against their day blocks.
    pub async fn verify(&self) -> Result<Vec<Item>> {
        self.verify_with(&|_, _| {}).await
    }

    /// Like [`verify`](Self::verify), with progress.
    pub async fn verify_with(&self, progress: Progress<'_>) -> Result<Vec<Item>> {
        let (mut all, mut items) = (Vec::new(), Vec::new());
        for tenant in self.bucket().tenants().await? {
            let (days, mut faults) = self.all_days(&tenant).await?;
            let (months, of_months) = self.bucket().months(&tenant, &days).await?;
            faults.extend(of_months);
            items.extend(faults.into_iter().map(|fault| unreadable(&tenant, fault)));
            all.push((tenant, days, months));
        }
        let mut progress = Bytes {
            done: 0,
            total: all
                .iter()
                .map(|(_, days, months)| bytes(days, months))
                .sum(),
            progress,
        };
        for (tenant, days, months) in all {
            let mut sums = DaySums::new();
            for (day, listing) in &days {
                let verification = Verification {
                    bucket: self.bucket(),
                    tenant: &tenant,
                    day: *day,
                    listing,
                };
                let of_day = items_of(&tenant, *day, listing);
                let of_day = verification.run(of_day, &mut sums).await?;
                progress.read(&of_day);
                items.extend(of_day);
            }
            for (month, listing) in &months {
                let mut of_month = items_of_month(&tenant, *month, listing, &days);
                for (item, block) in of_month.iter_mut().zip(&listing.blocks) {
                    let fault = month_block(self.bucket(), &tenant, *month, block, &sums);
                    item.fault = fault.await;
                }
                progress.read(&of_month);
                items.extend(of_month);
            }
        }
        Ok(items)
    }

    /// Segments and blocks of a tenant, by day.
    async fn all_days(&self, tenant: &Tenant) -> Result<(BTreeMap<Day, DayListing>, Vec<String>)> {
        let folders = self.bucket().levels(tenant);
        self.bucket().days(tenant, &folders, Hour::EVER).await
    }
}

/// Bytes that were read, for the progress.
struct Bytes<'a> {
    done: u64,
    total: u64,
    progress: Progress<'a>,
}

impl Bytes<'_> {
    fn read(&mut self, items: &[Item]) {
        self.done += items.iter().map(|item| item.bytes).sum::<u64>();
        (self.progress)(self.done, self.total);
    }
}

/// The size of all segments and blocks.
fn bytes(days: &BTreeMap<Day, DayListing>, months: &BTreeMap<Month, MonthListing>) -> u64 {
    let hours = days.values().flat_map(|of| of.hours.values());
    let of_hours = hours.map(|of| {
        let segments = of.segments.iter().map(|of| of.bytes);
        segments
            .chain(of.blocks.iter().map(|of| of.bytes))
            .sum::<u64>()
    });
    let of_days = days.values().flat_map(|of| &of.blocks).map(|of| of.bytes);
    let of_months = months.values().flat_map(|of| &of.blocks);
    let of_months = of_months.map(|of| of.bytes);
    of_hours.chain(of_days).chain(of_months).sum()
}

/// A block whose meta object cannot be read.
fn unreadable(tenant: &Tenant, fault: String) -> Item {
    Item {
        tenant: tenant.key().to_owned(),
        period: String::new(),
        kind: "block",
        name: String::new(),
        bytes: 0,
        segments: 0,
        read: true,
        fault: Some(fault),
    }
}

/// The segments and blocks of a day.
fn items_of(tenant: &Tenant, day: Day, listing: &DayListing) -> Vec<Item> {
    let range = day.first().start().millis()..day.end().millis();
    let tiling = listing.tile(day, &range, Detail::Sums);
    let mut items = Vec::new();
    let mut add = |period: String, kind, name: String, bytes, segments, read| {
        items.push(Item {
            tenant: tenant.key().to_owned(),
            period,
            kind,
            name,
            bytes,
            segments,
            read,
            fault: None,
        });
    };
    for (at, block) in listing.blocks.iter().enumerate() {
        let is_read = tiling.blocks.iter().any(|(read, _)| *read == at);
        let (name, count) = (block.id.0.clone(), block.segments);
        add(day.to_string(), "day", name, block.bytes, count, is_read);
    }
    for (hour, pieces) in &listing.hours {
        let read = tiling.hours.iter().find(|(of, _)| of == hour);
        for (at, block) in pieces.blocks.iter().enumerate() {
            let is_read = read.is_some_and(|(_, of)| of.blocks.contains(&at));
            let (name, count) = (block.id.0.clone(), block.leaves.len());
            add(hour.to_string(), "hour", name, block.bytes, count, is_read);
        }
        for (at, segment) in pieces.segments.iter().enumerate() {
            let is_read = read.is_some_and(|(_, of)| of.segments.contains(&at));
            let name = segment.name.to_string();
            add(hour.to_string(), "segment", name, segment.bytes, 1, is_read);
        }
    }
    items
}

/// The month blocks of a month.
fn items_of_month(
    tenant: &Tenant,
    month: Month,
    listing: &MonthListing,
    days: &BTreeMap<Day, DayListing>,
) -> Vec<Item> {
    let chosen = listing.choose();
    let item = |(at, block): (usize, &crate::rule::month::MonthBlock)| {
        let held = block.days.iter().filter_map(|(day, id)| {
            let blocks = &days.get(day)?.blocks;
            Some(blocks.iter().find(|of| of.id == *id)?.segments)
        });
        Item {
            tenant: tenant.key().to_owned(),
            period: month.to_string(),
            kind: "month",
            name: block.id.0.clone(),
            bytes: block.bytes,
            segments: held.sum(),
            read: chosen == Some(at),
            fault: None,
        }
    };
    listing.blocks.iter().enumerate().map(item).collect()
}
