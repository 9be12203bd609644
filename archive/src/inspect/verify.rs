//! Verifies the pieces of a day, and its day blocks against the pieces with windows.

use super::item::Item;
use super::piece;
use super::totals::Totals;
use crate::bucket::{Bucket, ReadError};
use crate::error::Result;
use crate::key::{BlockId, Day, Hour, Tenant};
use crate::rule::day::{DayListing, Detail};
use crate::rule::select;
use std::collections::{BTreeMap, BTreeSet};

/// The verification of a day.
pub(super) struct Verification<'a> {
    pub(super) bucket: &'a Bucket,
    pub(super) tenant: &'a Tenant,
    pub(super) day: Day,
    pub(super) listing: &'a DayListing,
}

fn sentence(error: ReadError) -> String {
    match error {
        ReadError::Gone => "deleted while it was read, or a file of it is missing".to_owned(),
        ReadError::Failed(error) => error.message,
    }
}

impl Verification<'_> {
    /// Adds the faults to the items of the day.
    pub(super) async fn run(&self, mut items: Vec<Item>) -> Result<Vec<Item>> {
        let mut faults: BTreeMap<String, String> = BTreeMap::new();
        let mut windows = Totals::default();
        // Hours that cannot be compared because a piece of them cannot be read.
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
            if let Some(fault) = self.day_block(at, &windows, &faulty).await {
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
    ) -> Option<String> {
        let block = &self.listing.blocks[at];
        let mut totals = Totals::default();
        let period = self.day.into();
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
        let range = self.day.first().start().millis()..self.day.end().millis();
        let tiling = self.listing.tile(self.day, &range, Detail::Sums);
        if let Some(hour) = tiling.inexact.first() {
            return Some(format!(
                "{hour}: overlaps with another day block, and no windows exist"
            ));
        }
        if !block.has_hours {
            return None;
        }
        let hours = block.leaves.keys().filter(|hour| !faulty.contains(hour));
        let mut comparable = hours.filter(|hour| self.is_comparable(&block.id, **hour));
        comparable.find_map(|hour| Some(format!("{hour}: {}", totals.difference(windows, *hour)?)))
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
