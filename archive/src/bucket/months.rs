//! Month blocks, and the days that they replace.

use super::Bucket;
use super::levels::{AllListed, Files, Listed, TOGETHER, fault};
use crate::error::{Error, Result};
use crate::key::{BlockId, Day, Hour, Month, Tenant};
use crate::rule::day::{DayListing, Unfinished};
use crate::rule::month::{DaySource, MonthBlock, MonthListing};
use futures_util::{StreamExt, stream};
use object_store::path::Path;
use std::collections::BTreeMap;
use std::ops::Range;

/// What a query reads of a range.
#[derive(Default)]
pub struct Covered {
    /// Days. Those of `months` that have pieces with windows are among them; they need not be read.
    pub days: BTreeMap<Day, DayListing>,
    /// The month blocks that are read instead of days.
    pub months: BTreeMap<Month, MonthBlock>,
    /// A sentence for each block that is left out because it cannot be read.
    pub faults: Vec<String>,
}

impl Listed {
    /// The source of a day that has one day block and nothing else. What the block holds makes no difference.
    fn source(&self) -> Option<DaySource> {
        let mut finished = self
            .days
            .iter()
            .filter_map(|(id, of)| Some((id, of.since?)));
        let (id, since) = finished.next()?;
        let is_alone = finished.next().is_none() && self.segments.is_empty();
        let is_sole = is_alone && self.hours.values().all(|of| of.since.is_none());
        is_sole.then(|| DaySource::Block(id.clone(), since))
    }
}

impl Bucket {
    /// The months of some days, which are all that exist, and of all month blocks, and a sentence for each month block
    /// that is left out because its meta object cannot be read.
    pub async fn months(
        &self,
        tenant: &Tenant,
        days: &BTreeMap<Day, DayListing>,
    ) -> Result<(BTreeMap<Month, MonthListing>, Vec<String>)> {
        let folder = [self.keys.month_blocks(tenant)];
        let AllListed { months: files, .. } = self.listed(tenant, &folder, Hour::EVER).await?;
        let (mut months, faults) = self.month_blocks(tenant, files).await;
        for listing in months.values_mut() {
            let is_gone = |(day, id): (&Day, &BlockId)| {
                let of_day = days.get(day).map(|of| &of.blocks);
                !of_day.is_some_and(|blocks| blocks.iter().any(|of| of.id == *id))
            };
            let outdated = listing
                .blocks
                .iter()
                .filter(|of| of.days.iter().any(is_gone));
            listing.outdated = outdated.map(|of| of.id.clone()).collect();
        }
        for (day, listing) in days {
            if let Some(source) = listing.source(*day) {
                let month = months.entry(Month::of(*day)).or_default();
                month.days.insert(*day, source);
            }
        }
        Ok((months, faults))
    }

    /// What a query reads of the hours from `first` to `last`: the month blocks of the months in `whole` that the rule
    /// chooses, and the other days. The meta objects of most days that month blocks replace are not read.
    pub async fn covered(
        &self,
        tenant: &Tenant,
        folders: &[Path],
        (first, last): (Hour, Hour),
        whole: &Range<Month>,
    ) -> Result<Covered> {
        let listed = self.listed(tenant, folders, (first, last)).await?;
        let AllListed { mut days, months } = listed;
        let months = months.into_iter().filter(|(of, _)| whole.contains(of));
        let (mut months, faults) = self.month_blocks(tenant, months.collect()).await;
        for fault in faults {
            tracing::warn!(fault, "unreadable month block, its days are read instead");
        }
        months.retain(|_, listing| !listing.blocks.is_empty());
        let mut known: BTreeMap<Day, Listed> = BTreeMap::new();
        for (month, listing) in &mut months {
            for day in month.days() {
                if let Some(source) = days.get(&day).and_then(Listed::source) {
                    listing.days.insert(day, source);
                    known.extend(days.remove_entry(&day));
                }
            }
        }
        let mut covered = Covered::default();
        (covered.days, covered.faults) = self.read_days(tenant, days).await;
        for (month, mut listing) in months {
            for (day, of) in covered
                .days
                .range(month.first()..Month(month.0 + 1).first())
            {
                listing.days.extend(Some(*day).zip(of.source(*day)));
            }
            if let Some(at) = listing.choose() {
                known.retain(|day, _| Month::of(*day) != month);
                covered.months.insert(month, listing.blocks.swap_remove(at));
            }
        }
        let (rest, faults) = self.read_days(tenant, known).await;
        covered.days.extend(rest);
        covered.faults.extend(faults);
        Ok(covered)
    }

    /// The month blocks of files.
    async fn month_blocks(
        &self,
        tenant: &Tenant,
        files: BTreeMap<Month, BTreeMap<BlockId, Files>>,
    ) -> (BTreeMap<Month, MonthListing>, Vec<String>) {
        let of_months = files.into_iter();
        let files = of_months.flat_map(|(month, of)| of.into_iter().map(move |of| (month, of)));
        let (mut months, mut finished) = (BTreeMap::<Month, MonthListing>::new(), Vec::new());
        for (month, (id, files)) in files {
            let listing = months.entry(month).or_default();
            match files.since {
                Some(_) => finished.push(self.month_entry(tenant, month, id, files)),
                None => listing.unfinished.push(Unfinished {
                    period: month.into(),
                    id,
                    bytes: files.bytes,
                    since: files.last,
                }),
            }
        }
        let read = stream::iter(finished).buffered(TOGETHER);
        let read: Vec<Result<(Month, MonthBlock), Option<String>>> = read.collect().await;
        let mut faults = Vec::new();
        for of in read {
            match of {
                Ok((month, block)) => months.entry(month).or_default().blocks.push(block),
                Err(fault) => faults.extend(fault),
            }
        }
        (months, faults)
    }

    /// A month block of a listing. The error is without a sentence if it was deleted.
    async fn month_entry(
        &self,
        tenant: &Tenant,
        month: Month,
        id: BlockId,
        files: Files,
    ) -> Result<(Month, MonthBlock), Option<String>> {
        let meta = self.meta(tenant, month, &id).await;
        let meta = meta.map_err(|error| fault(month.into(), &id, error))?;
        let parsed = meta.days.iter().map(|(day, block)| {
            let block = BlockId::parse(block)?;
            Some((Day::parse(day)?, block))
        });
        let Some(days) = parsed.collect() else {
            let error = Error::corrupt("invalid day of a month block");
            return Err(fault(month.into(), &id, error.into()));
        };
        let block = MonthBlock {
            id,
            days,
            bytes: files.bytes,
            since: files.since.unwrap_or_default(),
        };
        Ok((month, block))
    }
}
