//! The parts of a scan that are read from day blocks.

use super::ahead::ReadAhead;
use super::load::Loader;
use super::part::BlockRef;
use super::unread::Unread;
use super::{Scan, Visitor};
use crate::bucket::ReadError;
use crate::error::Result;
use crate::format::block::Meta;
use crate::key::{Day, Hour};
use crate::rule::day::{DayBlock, DayListing, Hours, Tiling};
use crate::rule::select;
use std::sync::Arc;

impl Scan<'_> {
    /// Marks the windows of an hour that was read from a day block as counted, as far as they still exist.
    pub(super) async fn leave_out(
        &mut self,
        hour: Hour,
        (tiling, listing): (&Tiling, &DayListing),
    ) -> Result<()> {
        let is_counted = tiling.blocks.iter().any(|(_, hours)| hours.contains(hour));
        let Some(pieces) = listing.hours.get(&hour).filter(|_| is_counted) else {
            return Ok(());
        };
        let (bucket, tenant) = (&self.query.bucket, &self.ask.tenant);
        let loader = Loader::new(bucket, self.ask);
        // What is gone was held by the day block for long, so nothing was pushed again around its end.
        for part in self.parts(hour, pieces, &select(pieces), &mut 0).await {
            let parts = match loader.opened(hour, part).await {
                Ok(parts) => parts,
                Err(Unread::Skipped(_)) => continue,
                Err(Unread::Fatal(error)) => return Err(error),
            };
            for part in parts {
                let windows = async {
                    let series = part.series(bucket, tenant).await?;
                    part.windows(bucket, tenant, &series).await
                };
                match windows.await {
                    Ok(windows) => {
                        let ids = windows.rows.iter().map(|of| of.id);
                        Arc::make_mut(&mut self.before).extend(ids);
                    }
                    Err(Unread::Skipped(_)) => {}
                    Err(Unread::Fatal(error)) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// States the range that is read, and the hours in which windows may count twice.
    pub(super) fn widen(&mut self, tiling: &Tiling) {
        for hour in &tiling.widened {
            let effective = &mut self.report.effective;
            effective.start = effective.start.min(hour.start().millis());
            effective.end = effective.end.max(hour.end().millis());
        }
        for hour in &tiling.inexact {
            self.report.partial.push(format!(
                "{hour}: some windows may count twice because the blocks that hold them overlap; run `davy archive verify`"
            ));
        }
    }

    /// Shows the groups of a day block and returns the visitor.
    pub(super) async fn day<V: Visitor>(
        &mut self,
        day: Day,
        block: &DayBlock,
        hours: Hours,
        mut visitor: V,
    ) -> Result<V> {
        let ask = self.ask;
        if !ask.selector.only().is_all() || V::SPANS {
            let expired = self.report.expired.get_or_insert((day, day));
            expired.1 = expired.1.max(day);
            return Ok(visitor);
        }
        let meta = match self.query.bucket.meta(&ask.tenant, day, &block.id).await {
            Ok(meta) => meta,
            Err(error) => {
                self.unreadable(&day, error);
                return Ok(visitor);
            }
        };
        self.damaged(&day, &meta);
        let parts = BlockRef(day.into(), &block.id, &meta)
            .parts((Some(hours), block.has_hours), |of| {
                ask.may_select(&of.services)
            });
        let loader = Loader::new(&self.query.bucket, ask);
        let mut all = ReadAhead::of(loader.load_all::<V>(day.first(), parts));
        while let Some(loaded) = all.next().await {
            let shown;
            (visitor, shown) = all.during(self.group(loaded, visitor)).await?;
            match shown {
                Ok(()) => self.visited += 1,
                Err(error) => self.unreadable(&day, error),
            }
        }
        Ok(visitor)
    }

    /// States what was damaged when a block was merged.
    pub(super) fn damaged(&mut self, period: &dyn std::fmt::Display, meta: &Meta) {
        if let Some(first) = meta.damaged.first() {
            let count = meta.damaged.len();
            let parts = davy_profile::units::count(count, "damaged part is", "damaged parts are");
            let (key, reason) = (&first.key, &first.reason);
            self.report.partial.push(format!(
                "{period}: {parts} missing, with a copy in the quarantine: {key}: {reason}"
            ));
        }
    }

    pub(super) fn unreadable(&mut self, period: &dyn std::fmt::Display, error: ReadError) {
        let reason = match error {
            ReadError::Gone => "an object was deleted while being read; retry".to_owned(),
            ReadError::Failed(error) => error.to_string(),
        };
        self.report.partial.push(format!("{period}: {reason}"));
    }
}
