//! What is stored: the time that windows of a tenant cover, and what a query would read.

use super::params::Ask;
use super::scan::{Query, Report};
use super::visit::{Depth, View, Visitor};
use crate::error::Result;
use crate::format::batch::Source;
use crate::key::{Day, Hour, Tenant};
use crate::labels::Labels;
use crate::rule::day::{DayListing, Detail};
use rustc_hash::FxHashSet;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The time that the windows of a tenant cover, in whole hours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Start of the first hour with windows, in milliseconds since the epoch.
    pub oldest_ms: i64,
    /// End of the last one, or now.
    pub newest_ms: i64,
}

/// What a range holds of the series that a query selects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Number of segments in the range.
    pub segments: u64,
    /// Number of blocks that overlap the range.
    pub blocks: u64,
    /// Size of both, with the series that the query does not select.
    pub bytes: u64,
    /// Number of series that the query selects.
    pub series: u64,
    /// Number of their windows.
    pub windows: u64,
}

const HOUR_MS: i64 = 3_600_000;

async fn days(query: &Query, tenant: &Tenant) -> Result<(BTreeMap<Day, DayListing>, Vec<String>)> {
    let folders = query.bucket.levels(tenant);
    query.bucket.days(tenant, &folders, Hour::EVER).await
}

/// The time that the windows of a tenant cover; `None` if there are none.
pub async fn extent(query: &Query, tenant: &Tenant) -> Result<Option<Extent>> {
    let (days, _) = days(query, tenant).await?;
    let hours = || days.values().flat_map(DayListing::known_hours);
    let now = query.options.clock.now().millis();
    Ok(hours().min().zip(hours().max()).map(|(first, last)| {
        let end = last.0.saturating_add(1).saturating_mul(HOUR_MS);
        Extent {
            oldest_ms: first.0.saturating_mul(HOUR_MS),
            newest_ms: end.min(now),
        }
    }))
}

/// Maximum number of series that are counted.
const SERIES: usize = 1_000_000;

#[derive(Default)]
struct Count {
    series: FxHashSet<(Source, Arc<Labels>, Arc<str>)>,
    windows: u64,
    is_cut: bool,
}

impl Visitor for Count {
    const DEPTH: Depth = Depth::Windows;

    fn detail(&self) -> Detail {
        Detail::Windows
    }

    fn visit(&mut self, view: &View<'_>) -> Result<()> {
        let rows = view.series.rows.iter().zip(view.wanted);
        for (series, _) in rows.filter(|(_, wanted)| **wanted) {
            let source = Arc::clone(&view.series.sources[series.source as usize]);
            let key = (source, Arc::clone(&series.labels), Arc::clone(&series.kind));
            if self.series.len() >= SERIES && !self.series.contains(&key) {
                self.is_cut = true;
                continue;
            }
            self.series.insert(key);
        }
        let windows = view.windows.iter().flat_map(|windows| &windows.rows);
        let included = windows.zip(view.included).filter(|(_, is)| **is);
        self.windows += included
            .map(|(window, _)| u64::from(window.count))
            .sum::<u64>();
        Ok(())
    }
}

/// What a range holds of the series that a query selects.
pub async fn stored(query: &Query, ask: &Ask) -> Result<(Stored, Report)> {
    let (count, mut report) = query.scan(ask, Count::default()).await?;
    if count.is_cut {
        report
            .partial
            .push(format!("only {SERIES} series are counted"));
    }
    let mut stored = Stored {
        series: count.series.len() as u64,
        windows: count.windows,
        ..Stored::default()
    };
    let (days, faults) = days(query, &ask.tenant).await?;
    report.partial.extend(faults);
    let range = ask.from.millis()..ask.until.millis();
    let is_in_range = |hour: Hour| {
        let start = hour.0.saturating_mul(HOUR_MS);
        start < range.end && start.saturating_add(HOUR_MS) > range.start
    };
    for listing in days.values() {
        for (_, of) in listing.hours.iter().filter(|(hour, _)| is_in_range(**hour)) {
            stored.segments += of.segments.len() as u64;
            stored.blocks += of.blocks.len() as u64;
            stored.bytes += of.segments.iter().map(|of| of.bytes).sum::<u64>();
            stored.bytes += of.blocks.iter().map(|of| of.bytes).sum::<u64>();
        }
        let overlapping = listing.blocks.iter();
        for block in overlapping.filter(|block| block.leaves.keys().any(|hour| is_in_range(*hour)))
        {
            stored.blocks += 1;
            stored.bytes += block.bytes;
        }
    }
    Ok((stored, report))
}
