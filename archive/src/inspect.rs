//! Lists and verifies all segments and blocks of a bucket.

mod item;
mod level;
mod piece;
mod totals;
mod verify;

pub use item::Item;
pub use level::{Level, ServiceBytes, TenantLevels};

use crate::archive::Archive;
use crate::error::Result;
use crate::key::{Day, Hour, Tenant};
use crate::progress::Progress;
use crate::rule::day::{DayListing, Detail};
use std::collections::BTreeMap;
use verify::Verification;

impl Archive {
    /// Lists every segment and block of every tenant.
    pub async fn ls(&self) -> Result<Vec<Item>> {
        let mut items = Vec::new();
        for tenant in self.bucket().tenants().await? {
            let (days, faults) = self.all_days(&tenant).await?;
            items.extend(faults.into_iter().map(|fault| unreadable(&tenant, fault)));
            for (day, listing) in days {
                items.extend(items_of(&tenant, day, &listing));
            }
        }
        Ok(items)
    }

    /// Lists every segment and block after reading it completely: checksums, references, counts, and the sums of day
    /// blocks against the windows that still exist.
    pub async fn verify(&self) -> Result<Vec<Item>> {
        self.verify_with(&|_, _| {}).await
    }

    /// Like [`verify`](Self::verify), with progress.
    pub async fn verify_with(&self, progress: Progress<'_>) -> Result<Vec<Item>> {
        let (mut all, mut items) = (Vec::new(), Vec::new());
        for tenant in self.bucket().tenants().await? {
            let (days, faults) = self.all_days(&tenant).await?;
            items.extend(faults.into_iter().map(|fault| unreadable(&tenant, fault)));
            for (day, listing) in days {
                let of_day = items_of(&tenant, day, &listing);
                all.push((tenant.clone(), day, listing, of_day));
            }
        }
        let bytes = |items: &[Item]| items.iter().map(|item| item.bytes).sum::<u64>();
        let total = all.iter().map(|(.., items)| bytes(items)).sum();
        let mut done = 0;
        for (tenant, day, listing, of_day) in all {
            done += bytes(&of_day);
            let verification = Verification {
                bucket: self.bucket(),
                tenant: &tenant,
                day,
                listing: &listing,
            };
            items.extend(verification.run(of_day).await?);
            progress(done, total);
        }
        Ok(items)
    }

    /// Segments and blocks of a tenant, by day.
    async fn all_days(&self, tenant: &Tenant) -> Result<(BTreeMap<Day, DayListing>, Vec<String>)> {
        let folders = self.bucket().levels(tenant);
        self.bucket().days(tenant, &folders, Hour::EVER).await
    }
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
