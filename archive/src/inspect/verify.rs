//! Verifies the pieces of a day, its day blocks against the pieces with windows, and month blocks against their days.

use super::item::Item;
use super::piece;
use super::totals::{BlockSums, Totals, sums_differ};
use crate::bucket::{Bucket, ReadError};
use crate::error::Result;
use crate::key::{BlockId, Day, Hour, Month, Period, Tenant};
use crate::plan::rules::is_successor;
use crate::rule::day::{DayListing, Detail};
use crate::rule::month::MonthBlock;
use crate::rule::select;
use std::collections::{BTreeMap, BTreeSet};

/// The verification of a day.
pub(super) struct Verification<'a> {
    pub(super) bucket: &'a Bucket,
    pub(super) tenant: &'a Tenant,
    pub(super) day: Day,
    pub(super) listing: &'a DayListing,
}

/// The sums of the day blocks that were read.
pub(super) type DaySums = BTreeMap<(Day, BlockId), BlockSums>;

fn sentence(error: ReadError) -> String {
    match error {
        ReadError::Gone => "deleted while it was read, or a file of it is missing".to_owned(),
        ReadError::Failed(error) => error.message,
    }
}

impl Verification<'_> {
    /// Adds the faults to the items of the day, and the sums of its day blocks to those of others.
    pub(super) async fn run(&self, mut items: Vec<Item>, days: &mut DaySums) -> Result<Vec<Item>> {
        let mut faults: BTreeMap<String, String> = BTreeMap::new();
        let mut windows = Totals::default();
        // Hours that cannot be compared because a piece of them cannot be read, or lacks series that rules expired.
        let mut faulty = BTreeSet::new();
        for (hour, pieces) in &self.listing.hours {
            let selection = select(pieces);
            // In the order of reading; pieces that are not read have totals of their own.
            let blocks = 0..pieces.blocks.len();
            let skipped = blocks.filter(|at| !selection.blocks.contains(at));
            for at in selection.blocks.iter().copied().chain(skipped) {
                let id = &pieces.blocks[at].id;
                let mut own = Totals::default();
                let is_read = selection.blocks.contains(&at);
                let totals = if is_read { &mut windows } else { &mut own };
                let read = piece::block(self.bucket, self.tenant, (*hour).into(), id, true, totals);
                if let Err(error) = read.await {
                    faults.insert(id.0.clone(), sentence(error));
                    faulty.insert(*hour);
                } else if is_read && self.lacks_series((*hour).into(), id).await {
                    faulty.insert(*hour);
                }
            }
            let segments = 0..pieces.segments.len();
            let skipped = segments.filter(|at| !selection.segments.contains(at));
            for at in selection.segments.iter().copied().chain(skipped) {
                let name = pieces.segments[at].name;
                let mut own = Totals::default();
                let is_read = selection.segments.contains(&at);
                let totals = if is_read { &mut windows } else { &mut own };
                let read = piece::segment(self.bucket, self.tenant, *hour, name, totals);
                if let Err(error) = read.await {
                    faults.insert(name.to_string(), sentence(error));
                    faulty.insert(*hour);
                }
            }
        }
        for at in 0..self.listing.blocks.len() {
            let id = &self.listing.blocks[at].id;
            if let Some(fault) = self.day_block(at, &windows, &faulty, days).await {
                faults.insert(id.0.clone(), fault);
            }
        }
        for item in &mut items {
            item.fault = faults.remove(&item.name);
        }
        Ok(items)
    }

    /// The fault of a day block.
    async fn day_block(
        &self,
        at: usize,
        windows: &Totals,
        faulty: &BTreeSet<Hour>,
        days: &mut DaySums,
    ) -> Option<String> {
        let block = &self.listing.blocks[at];
        let mut totals = Totals::default();
        let period = Period::from(self.day);
        let read = piece::block(
            self.bucket,
            self.tenant,
            period,
            &block.id,
            block.has_hours,
            &mut totals,
        );
        if let Err(error) = read.await {
            return Some(sentence(error));
        }
        let sums = std::mem::take(&mut totals.sums);
        days.insert((self.day, block.id.clone()), sums);
        let range = self.day.first().start().millis()..self.day.end().millis();
        let tiling = self.listing.tile(self.day, &range, Detail::Sums);
        if let Some(hour) = tiling.inexact.first() {
            return Some(format!(
                "{hour}: overlaps with another day block, and no windows exist"
            ));
        }
        if !block.has_hours || self.lacks_series(period, &block.id).await {
            return None;
        }
        let hours = block.leaves.keys().filter(|hour| !faulty.contains(hour));
        let mut comparable = hours.filter(|hour| self.is_comparable(&block.id, **hour));
        comparable.find_map(|hour| Some(format!("{hour}: {}", totals.difference(windows, *hour)?)))
    }

    /// Whether a block is without series that rules expired, so that it cannot be compared with others.
    async fn lacks_series(&self, period: Period, id: &BlockId) -> bool {
        let meta = self.bucket.meta(self.tenant, period, id).await;
        meta.is_ok_and(|meta| is_successor(&meta.inputs))
    }

    /// Whether a day block holds exactly the windows of the other pieces of the hour.
    fn is_comparable(&self, id: &BlockId, hour: Hour) -> bool {
        let of_block = self.listing.blocks.iter().find(|of| of.id == *id);
        let Some((block, pieces)) = of_block.zip(self.listing.hours.get(&hour)) else {
            return false;
        };
        let blocks = pieces.blocks.iter().flat_map(|of| &of.leaves);
        let segments = pieces.segments.iter().map(|of| &of.name);
        let leaves: BTreeSet<_> = blocks.chain(segments).copied().collect();
        leaves == *block.of_hour(hour)
    }
}

/// The fault of a month block: it cannot be read, or has other sums than its day blocks that were read.
pub(super) async fn month_block(
    bucket: &Bucket,
    tenant: &Tenant,
    month: Month,
    block: &MonthBlock,
    days: &DaySums,
) -> Option<String> {
    let mut totals = Totals::default();
    let read = piece::block(bucket, tenant, month.into(), &block.id, false, &mut totals);
    if let Err(error) = read.await {
        return Some(sentence(error));
    }
    let none = BlockSums::new();
    block.days.iter().find_map(|(day, id)| {
        let of_day = days.get(&(*day, id.clone()))?;
        let here = totals.days.get(day).unwrap_or(&none);
        Some(format!("{day}: {}", sums_differ(here, of_day)?))
    })
}
