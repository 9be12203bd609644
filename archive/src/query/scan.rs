//! Reads the segments and blocks of a range and counts each window once. Whole hours are read from day blocks, which
//! have no windows but sums by hour, and whole months from month blocks; the rules that decide are [`crate::rule::day`]
//! and [`crate::rule::month`].
//!
//! Each segment or row group of a block is read in two steps: its series and windows, which decide
//! whether the rest is needed, then the rest. Several are read at once, as far as the memory of a scan allows, and
//! shown in the order of the reader's rule. What is decoded of blocks is cached. Decoding runs
//! on blocking threads; when the client disconnects, the scan ends before the next group.
//!
//! Objects that cannot be read are reported in [`Report::partial`]. A panic in a blocking task fails
//! the whole query: the visitor may be inconsistent after it.

mod ahead;
mod day;
mod load;
mod month;
mod opened;
mod part;
pub(super) mod report;
mod unread;

use ahead::ReadAhead;
use load::{Loaded, Loader};
pub(super) use opened::Opened;
use part::{BlockRef, Part};
pub use report::Report;
use report::SERVICES;
use unread::Unread;

use super::admission::Admission;
use super::merges::Merges;
use super::params::Ask;
use super::visit::{Depth, View, Visitor};
use crate::blocking::blocking;
use crate::bucket::months::Covered;
use crate::bucket::{Bucket, ReadError};
use crate::error::{Error, ErrorKind, Result};
use crate::format::batch::WindowId;
use crate::format::tables::Names;
use crate::key::{Day, Hour, Month, Tenant};
use crate::labels::SERVICE;
use crate::limits::LiveLimits;
use crate::metrics::Metrics;
use crate::options::ArchiveOptions;
use crate::rule::day::{DayListing, Detail, Hours, Tiling};
use crate::rule::{Listing, Selection};
use crate::symbols::{Session, Symbols};
use davy_base::Timestamp;
use object_store::path::Path;
use rustc_hash::FxHashSet;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use ulid::Ulid;

/// Answers queries. Cheap to clone.
#[derive(Clone)]
pub struct Query {
    pub(super) bucket: Arc<Bucket>,
    pub(super) options: ArchiveOptions,
    pub(super) metrics: Metrics,
    pub(super) admission: Admission,
    pub(super) limits: LiveLimits,
    pub(super) symbols: Symbols,
    pub(super) merges: Merges,
}

/// Length of a range, in days, from which on whole levels are listed, instead of every day of the range.
const DAYS_LISTED: i64 = 3;

/// How often an hour is listed again when its objects disappear during the scan.
const RETRIES: usize = 2;

/// A scan in progress.
struct Scan<'a> {
    query: &'a Query,
    ask: &'a Ask,
    /// Windows of the hour before. A window without a time of its own that was pushed twice around
    /// the end of an hour is in both hours.
    before: Arc<FxHashSet<WindowId>>,
    /// Windows of this hour that were counted.
    seen: Arc<FxHashSet<WindowId>>,
    /// Number of groups that were read.
    visited: usize,
    report: Report,
    /// Names of frames that have an address only.
    session: Session,
    /// Whether some names were left out because the stacks became too large.
    is_unnamed: bool,
}

impl Query {
    pub(crate) fn new(
        options: ArchiveOptions,
        (bucket, symbols, limits): (Arc<Bucket>, Symbols, LiveLimits),
        metrics: Metrics,
    ) -> Self {
        Self {
            admission: Admission::new(&options, &metrics),
            bucket,
            options,
            metrics,
            limits,
            symbols,
            merges: Merges::default(),
        }
    }

    /// The time.
    pub fn clock(&self) -> &davy_base::Clock {
        &self.options.clock
    }

    /// The same with another maximum number of nodes of a merged tree.
    #[must_use]
    pub fn with_nodes(mut self, nodes: usize) -> Self {
        self.options.query_nodes = nodes;
        self
    }

    /// The folders to list for the hours from `first` to `last`: those of hours for a short range, of days for a
    /// longer one, and whole levels for a long one. Only the last days have segments and hour blocks, so the number of
    /// requests does not grow with the length of the range.
    fn folders(&self, tenant: &Tenant, first: Hour, last: Hour) -> Vec<Path> {
        let keys = &self.bucket.keys;
        if last.0 - first.0 >= DAYS_LISTED * 24 {
            return self.bucket.levels(tenant);
        }
        let days = (Day::of(first).0..=Day::of(last).0).map(Day);
        let mut folders: Vec<Path> = days
            .clone()
            .map(|day| keys.day_blocks(tenant, Some(day)))
            .collect();
        if last.0 - first.0 < 6 {
            for hour in (first.0..=last.0).map(Hour) {
                folders.push(keys.segments(tenant, Some(hour)));
                folders.push(keys.blocks(tenant, Some(hour)));
            }
        } else {
            for day in days.map(Day::first) {
                folders.push(keys.segments_of_day(tenant, day));
                folders.push(keys.blocks_of_day(tenant, day));
            }
        }
        folders
    }

    /// Lists what a query reads, for a visitor that needs this detail.
    pub(super) async fn open(&self, ask: &Ask, detail: Detail) -> Result<Opened> {
        let last = Hour::of(Timestamp::from_millis(ask.until.millis() - 1));
        let first = Hour::of(ask.from);
        if last < first {
            return Ok(Opened::default());
        }
        let months = match ask.detail(detail) {
            Detail::Days => whole_months(ask),
            Detail::Sums | Detail::Windows => Month(0)..Month(0),
        };
        let mut folders = self.folders(&ask.tenant, first, last);
        if !months.is_empty() {
            folders.push(self.bucket.keys.month_blocks(&ask.tenant));
        }
        let listed = self
            .bucket
            .covered(&ask.tenant, &folders, (first, last), &months);
        listed.await.map(Opened)
    }

    /// Shows a visitor every group of the range that can hold what the query selects.
    pub(super) async fn scan<V: Visitor>(&self, ask: &Ask, visitor: V) -> Result<(V, Report)> {
        let opened = self.open(ask, visitor.detail()).await?;
        self.scan_opened(ask, visitor, opened).await
    }

    /// The same of what was listed.
    pub(super) async fn scan_opened<V: Visitor>(
        &self,
        ask: &Ask,
        mut visitor: V,
        opened: Opened,
    ) -> Result<(V, Report)> {
        let mut scan = Scan::new(self, ask);
        let Covered {
            mut days,
            mut months,
            faults,
        } = opened.0;
        scan.report.partial.extend(faults);
        let unread;
        (visitor, unread) = scan.months(&months, visitor).await?;
        for month in unread {
            let end = Hour(Month(month.0 + 1).first().first().0 - 1);
            let folders = self.bucket.levels(&ask.tenant);
            let of_month = (month.first().first(), end);
            let (of_month, faults) = self.bucket.days(&ask.tenant, &folders, of_month).await?;
            scan.report.partial.extend(faults);
            days.extend(of_month);
            months.remove(&month);
        }
        let range = ask.from.millis()..ask.until.millis();
        let mut previous = None;
        let mut yesterday: Option<(Day, Tiling, DayListing)> = None;
        for (day, mut listing) in days {
            let tiling = listing.tile(day, &range, ask.detail(visitor.detail()));
            if months.contains_key(&Month::of(day)) {
                yesterday = Some((day, tiling, listing));
                continue;
            }
            scan.widen(&tiling);
            for (at, hours) in &tiling.blocks {
                let block = &listing.blocks[*at];
                visitor = scan.day(day, block, *hours, visitor).await?;
            }
            for (hour, selection) in &tiling.hours {
                let before = Hour(hour.0 - 1);
                scan.begin(previous == Some(before));
                previous = Some(*hour);
                let of_before = match &yesterday {
                    Some((of, tiling, listing)) if *of == Day::of(before) => (tiling, listing),
                    _ => (&tiling, &listing),
                };
                if V::DEPTH > Depth::Series {
                    scan.leave_out(before, of_before).await?;
                }
                let pieces = listing.hours.remove(hour).unwrap_or_default();
                visitor = scan.hour(*hour, pieces, selection.clone(), visitor).await?;
            }
            yesterday = Some((day, tiling, listing));
        }
        let mut report = scan.report;
        if scan.visited == 0 && !report.partial.is_empty() {
            return Err(Error::new(
                ErrorKind::Unavailable,
                format!("cannot read any data of the range: {}", report.partial[0]),
            ));
        }
        report.names = scan.session.found();
        report.add_spans();
        report.partial.extend(scan.session.warnings());
        if scan.is_unnamed {
            report.partial.push(
                "some inlined functions were left out because the stacks are too large; narrow the selector or the range"
                    .to_owned(),
            );
        }
        Ok((visitor, report))
    }
}

impl<'a> Scan<'a> {
    fn new(query: &'a Query, ask: &'a Ask) -> Self {
        Self {
            query,
            ask,
            before: Arc::default(),
            seen: Arc::default(),
            visited: 0,
            report: Report {
                effective: ask.from.millis()..ask.until.millis(),
                ..Report::default()
            },
            session: Session::new(&query.symbols, &ask.tenant),
            is_unnamed: false,
        }
    }

    /// Begins an hour, which may follow the last one.
    fn begin(&mut self, follows: bool) {
        let seen = std::mem::take(&mut self.seen);
        self.before = if follows { seen } else { Arc::default() };
    }

    /// Shows the groups of an hour and returns the visitor.
    async fn hour<V: Visitor>(
        &mut self,
        hour: Hour,
        mut listing: Listing,
        mut selection: Selection,
        mut visitor: V,
    ) -> Result<V> {
        let visited = self.visited;
        for attempt in 0.. {
            let mut gone = 0;
            let parts = self.parts(hour, &listing, &selection, &mut gone).await;
            let loader = Loader::new(&self.query.bucket, self.ask);
            let mut all = ReadAhead::of(loader.load_all::<V>(hour, parts));
            while let Some(loaded) = all.next().await {
                let shown;
                (visitor, shown) = all.during(self.group(loaded, visitor)).await?;
                match shown {
                    Ok(()) => self.visited += 1,
                    Err(ReadError::Gone) => gone += 1,
                    Err(ReadError::Failed(error)) => {
                        self.report.partial.push(format!("{hour}: {error}"));
                    }
                }
            }
            if gone == 0 {
                break;
            }
            // A compactor replaced them by a block. Counted windows are not counted again.
            let (query, tenant) = (self.query, &self.ask.tenant);
            let folders = query.folders(tenant, hour, hour);
            let (again, _) = query.bucket.days(tenant, &folders, (hour, hour)).await?;
            let mut again = again.into_values().next().unwrap_or_default();
            let choice = again.choose(hour, Detail::Windows);
            if let ([block], true) = (choice.blocks.as_slice(), self.visited == visited)
                && again.blocks[*block].has_hours
            {
                // Its windows have expired, and none was counted. Without sums by hour, the block would count for hours
                // that were read already.
                let mut mask = Hours::default();
                mask.insert(hour);
                let tiling = Tiling {
                    widened: vec![hour],
                    ..Tiling::default()
                };
                self.widen(&tiling);
                return self
                    .day(Day::of(hour), &again.blocks[*block], mask, visitor)
                    .await;
            }
            let before = leaves(&listing);
            listing = again.hours.remove(&hour).unwrap_or_default();
            selection = choice.pieces;
            let is_missing = again.blocks.is_empty() && !before.is_subset(&leaves(&listing));
            if attempt == RETRIES || !choice.blocks.is_empty() || is_missing {
                self.report.partial.push(format!(
                    "{hour}: {} while being read; retry",
                    davy_profile::units::count(gone, "object was deleted", "objects were deleted")
                ));
                break;
            }
        }
        Ok(visitor)
    }

    /// The parts of an hour that can hold what the query selects, in the order of the reader's rule.
    async fn parts(
        &mut self,
        hour: Hour,
        listing: &Listing,
        selection: &Selection,
        gone: &mut usize,
    ) -> Vec<Part> {
        let ask = self.ask;
        let mut parts = Vec::new();
        for at in &selection.blocks {
            let id = &listing.blocks[*at].id;
            match self.query.bucket.meta(&ask.tenant, hour, id).await {
                Ok(meta) => {
                    self.damaged(&hour, &meta);
                    let of_block = BlockRef(hour.into(), id, &meta);
                    parts.extend(of_block.parts((None, true), |of| {
                        ask.may_be_in(&of.services, of.from_ms, of.last_ms)
                    }));
                }
                Err(ReadError::Gone) => *gone += 1,
                Err(ReadError::Failed(error)) => {
                    self.report.partial.push(format!("{hour}: {error}"));
                }
            }
        }
        for at in &selection.segments {
            let segment = &listing.segments[*at];
            parts.push(Part::Listed(segment.name, segment.bytes));
        }
        parts
    }

    /// Shows one group. The outer error fails the query; the inner one is of this group alone.
    async fn group<V: Visitor>(
        &mut self,
        loaded: Result<Option<Loaded>, Unread>,
        visitor: V,
    ) -> Result<(V, Result<(), ReadError>)> {
        let shown = match loaded {
            Ok(None) => return Ok((visitor, Ok(()))),
            Ok(Some(loaded)) => self.deduplicated::<V>(loaded).await,
            Err(error) => Err(error),
        };
        let mut loaded = match shown {
            Ok(Some(loaded)) => loaded,
            Ok(None) => return Ok((visitor, Ok(()))),
            Err(Unread::Skipped(error)) => return Ok((visitor, Err(error))),
            Err(Unread::Fatal(error)) => return Err(error),
        };
        let names = match &loaded.stacks {
            None => Names::new(),
            Some(stacks) => self.session.names(stacks.unnamed()).await,
        };
        let show = move || {
            let mut visitor = visitor;
            let mut show = || {
                let is_whole = match &mut loaded.stacks {
                    Some(stacks) if !names.is_empty() => Arc::make_mut(stacks).name(&names)?,
                    _ => true,
                };
                visitor.visit(&View {
                    series: &loaded.selected.series,
                    wanted: &loaded.selected.wanted,
                    windows: loaded.windows.as_deref(),
                    included: &loaded.included.windows,
                    dictionary: loaded.stacks.as_deref(),
                    values: loaded.values.as_deref(),
                    spans: loaded.spans.as_deref(),
                })?;
                Ok::<_, Error>(is_whole)
            };
            let shown = show();
            (visitor, shown, loaded)
        };
        let (visitor, shown, loaded) = blocking("merge a part of the range", show).await?;
        match shown {
            Ok(is_whole) => {
                self.is_unnamed |= !is_whole;
                self.count(&loaded);
                Ok((visitor, Ok(())))
            }
            Err(error) => Ok((visitor, Err(error.into()))),
        }
    }

    /// Leaves out the windows that were counted before. If there are any, sums are replaced by values.
    async fn deduplicated<V: Visitor>(&self, mut loaded: Loaded) -> Result<Option<Loaded>, Unread> {
        let Some(windows) = loaded.windows.clone().filter(|_| !loaded.is_cells) else {
            return Ok(Some(loaded));
        };
        // The task shares the sets, so that they survive its panic.
        let (before, seen) = (Arc::clone(&self.before), Arc::clone(&self.seen));
        let compare = move || {
            loaded.included.leave_out(&windows, [&before, &seen]);
            loaded
        };
        let loaded = blocking("compare windows", compare).await;
        let loaded = loaded.map_err(Unread::Fatal)?;
        if !loaded.included.is_any() {
            return Ok(None);
        }
        let loader = Loader::new(&self.query.bucket, self.ask);
        loader.with_values::<V>(loaded).await
    }

    /// Marks the included windows of a group as counted.
    fn count(&mut self, loaded: &Loaded) {
        let grouped = loaded.selected.grouped.iter().cloned();
        self.report.grouped.extend(grouped);
        self.report.spans_left_out += loaded.spans_left_out();
        let Some(windows) = &loaded.windows else {
            return;
        };
        let seen = Arc::make_mut(&mut self.seen);
        let mut last = None;
        for (window, included) in windows.rows.iter().zip(&loaded.included.windows) {
            if !included {
                continue;
            }
            // The id of a cell is not that of a window.
            if !loaded.is_cells {
                seen.insert(window.id);
            }
            self.report.windows += u64::from(window.count);
            if last == Some(window.source) {
                continue;
            }
            last = Some(window.source);
            let service = loaded.selected.series.sources[window.source as usize].get(SERVICE);
            let services = &mut self.report.services;
            if !services.contains(service) && services.len() < SERVICES {
                services.insert(service.to_owned());
            }
        }
    }
}

/// The months that are in the range of a query as a whole.
fn whole_months(ask: &Ask) -> Range<Month> {
    let of = |time: Timestamp| Month::of(Day::of(Hour::of(time)));
    let (first, end) = (of(ask.from), of(ask.until));
    let is_cut = first.start() < ask.from;
    Month(first.0 + i64::from(is_cut))..end
}

/// The leaves of a listing.
fn leaves(listing: &Listing) -> BTreeSet<Ulid> {
    let blocks = listing.blocks.iter().flat_map(|block| &block.leaves);
    let segments = listing.segments.iter().map(|segment| segment.name);
    blocks.copied().chain(segments).collect()
}

#[cfg(test)]
mod tests;
