//! Merges pieces into one block: each window once, with one dictionary of stacks per service.
//!
//! Pieces are added in a fixed order and the first one that has a window provides its rows, so the
//! same inputs give the same bytes. They are merged service by service, so that one service is in memory, besides the
//! encoded segments, whose size a plan limits. When the services in memory are too large, the largest one is written as a row
//! group and starts over, so a service may have several row groups.

mod absorb;
mod stacks;

use absorb::absorb;
use stacks::Stacks;

use crate::error::Result;
use crate::format::batch::{Batch, Row, Series, Source, Window, WindowId};
use crate::format::block::{BlockWriter, Written};
use crate::format::columns::Group;
use crate::format::spans::{SpanBound, SpanRow};
use crate::format::tables::{Dictionary, SeriesTable, SpanTable, StackTables, Values, WindowTable};
use crate::key::{Day, Hour};
use crate::options::ArchiveOptions;
use crate::rule::day::Hours;
use crate::spans::Only;
use davy_base::Timestamp;
use rustc_hash::FxHashSet;
use std::collections::BTreeMap;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_128;

/// The resolution of time in a merged block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resolution {
    /// Windows, for hour blocks.
    Windows,
    /// Cells: sums of a source over an hour, for day blocks.
    Hours,
    /// Cells: sums of a source over a day, for month blocks. Values of stacks are summed up over all days.
    Days,
}

/// Whether a series of a source has expired.
pub(super) type HasExpired = Arc<dyn Fn(&Series, &Source) -> bool + Send + Sync>;

/// Services with fewer rows share a row group.
const SMALL_ROWS: usize = 8_192;

/// Number of rows of a service from which on equal stacks of several days are added up.
const FOLD_ROWS: usize = 65_536;

/// One row group of each table of a piece.
pub(super) struct Tables {
    pub(super) series: Group,
    pub(super) windows: Group,
    pub(super) stacks: StackTables,
    /// Values by window, or the sums of these over the hour.
    pub(super) values: TableValues,
    /// Values that belong to spans, of a merge of windows, and the number of those that were left out before.
    pub(super) spans: Option<(Group, usize)>,
}

/// The values of a row group.
pub(super) enum TableValues {
    /// By window.
    Samples(Group),
    /// Sums over all windows, which must be of one hour and new to the merge, or of one day in a merge of days.
    Sums(Group),
}

/// A merge in progress.
pub(super) struct Merge {
    resolution: Resolution,
    batches: BTreeMap<String, Batch>,
    /// Services with few rows, which share a row group.
    small: Batch,
    seen: FxHashSet<WindowId>,
    /// Windows of blocks, which come before those of the segments.
    of_blocks: FxHashSet<WindowId>,
    /// The series that are left out.
    has_expired: Option<HasExpired>,
    writer: BlockWriter,
    rows: usize,
    /// Rows of services after equal stacks were added up.
    folded: BTreeMap<String, usize>,
    rows_max: usize,
    bytes_max: usize,
    /// Which spans of each service in memory are kept.
    bounds: BTreeMap<String, SpanBound>,
    spans_max: usize,
    /// Number of values of spans that the inputs left out.
    spans_lost: usize,
}

impl Merge {
    /// A merge of inputs with these names.
    pub(super) fn new(
        resolution: Resolution,
        inputs: Vec<String>,
        options: &ArchiveOptions,
    ) -> Result<Self> {
        let writer = BlockWriter::new(&options.writer, inputs)?;
        Ok(Self {
            resolution,
            batches: BTreeMap::new(),
            small: Batch::new(),
            seen: FxHashSet::default(),
            of_blocks: FxHashSet::default(),
            has_expired: None,
            writer: match resolution {
                Resolution::Days => writer.without_samples(),
                _ => writer,
            },
            rows: 0,
            folded: BTreeMap::new(),
            rows_max: options.merge_rows,
            bytes_max: options.merge_bytes,
            bounds: BTreeMap::new(),
            spans_max: options.span_rows,
            spans_lost: 0,
        })
    }

    /// Leaves out series, and the windows of sources of which no series is left.
    pub(super) fn leave_out_series(&mut self, has_expired: HasExpired) {
        self.has_expired = Some(has_expired);
    }

    /// The series and the sources of a table that are left out.
    fn expired(&self, series: &SeriesTable) -> (Vec<bool>, Vec<bool>) {
        let mut sources = vec![false; series.sources.len()];
        let Some(has_expired) = &self.has_expired else {
            return (vec![false; series.rows.len()], sources);
        };
        let source = |of: &Series| of.source as usize;
        let of_series = |of: &Series| has_expired(of, &series.sources[source(of)]);
        let of_series: Vec<bool> = series.rows.iter().map(of_series).collect();
        for (row, expired) in series.rows.iter().zip(&of_series) {
            sources[source(row)] |= expired;
        }
        for (row, _) in series.rows.iter().zip(&of_series).filter(|(_, of)| !**of) {
            sources[source(row)] = false;
        }
        (of_series, sources)
    }

    /// Leaves out the windows of a row group, which another block holds.
    pub(super) fn leave_out(&mut self, series: &Group, windows: &Group) -> Result<()> {
        let windows = WindowTable::read(windows, &SeriesTable::read(series)?)?;
        self.seen
            .extend(windows.rows.iter().map(|window| window.id));
        Ok(())
    }

    /// Lets the windows of a row group of a block come before those of the segments, as for readers.
    pub(super) fn prefer(&mut self, series: &Group, windows: &Group) -> Result<()> {
        let windows = WindowTable::read(windows, &SeriesTable::read(series)?)?;
        let ids = windows.rows.iter().map(|window| window.id);
        self.of_blocks.extend(ids);
        Ok(())
    }

    /// Whether the merge already has a window of a row group.
    pub(super) fn has_any(&self, series: &Group, windows: &Group) -> Result<bool> {
        let windows = WindowTable::read(windows, &SeriesTable::read(series)?)?;
        Ok(windows
            .rows
            .iter()
            .any(|window| self.seen.contains(&window.id)))
    }

    /// Adds a row group of a piece, without the cells of hours that are not in `hours`, and if it is not preferred
    /// without the windows that a preferred one has.
    pub(super) fn add(&mut self, tables: &Tables, hours: Hours, is_preferred: bool) -> Result<()> {
        let series = SeriesTable::read(&tables.series)?;
        let windows = WindowTable::read(&tables.windows, &series)?;
        let dictionary = Dictionary::read(&tables.stacks)?;
        let values = match &tables.values {
            TableValues::Samples(samples) => {
                Values::samples(samples, &series, &windows, Some(&dictionary))?
            }
            TableValues::Sums(sums) => Values::sums(sums, &series, Some(&dictionary))?,
        };

        let (expired, expired_sources) = self.expired(&series);

        let mut by_service: BTreeMap<&str, Stacks<'_>> = BTreeMap::new();
        let mut new_windows = Vec::with_capacity(windows.rows.len());
        let mut keys: Vec<Option<u128>> = vec![None; series.sources.len()];
        for window in &windows.rows {
            let source: &Source = &series.sources[window.source as usize];
            let hour = Hour::of(Timestamp::from_millis(window.start_ms));
            let is_in_block = !is_preferred && self.of_blocks.contains(&window.id);
            let is_left_out =
                !hours.contains(hour) || is_in_block || expired_sources[window.source as usize];
            // Cells of different days are different, even if their ids are equal.
            let is_new =
                is_left_out || self.resolution == Resolution::Days || self.seen.insert(window.id);
            if is_left_out || !is_new {
                new_windows.push(u32::MAX);
                continue;
            }
            let batch = self.batches.entry(source.service().to_owned()).or_default();
            let key = &mut keys[window.source as usize];
            let key = *key.get_or_insert_with(|| xxh3_128(source.to_json().as_bytes()));
            let window = Window {
                source: batch.source(source),
                ..*window
            };
            let index = match self.resolution {
                Resolution::Windows => batch.window(window).unwrap_or(u32::MAX),
                Resolution::Hours => {
                    // Distinct for each hour of a source.
                    let key = key.wrapping_add(u128::from(hour.0.unsigned_abs()));
                    batch.cell(key, hour.start().millis(), window)
                }
                Resolution::Days => {
                    let day = Day::of(hour);
                    batch.totals.get_or_insert_default();
                    let key = key.wrapping_add(u128::from(day.0.unsigned_abs()));
                    batch.cell(key, day.first().start().millis(), window)
                }
            };
            new_windows.push(index);
        }
        // The cell of each source, for sums.
        let mut cells = vec![u32::MAX; series.sources.len()];
        for (window, index) in windows.rows.iter().zip(&new_windows) {
            cells[window.source as usize] = *index;
        }
        let mut new_series: Vec<u32> = vec![u32::MAX; series.rows.len()];
        for (at, of) in series.rows.iter().enumerate() {
            if expired[at] {
                continue;
            }
            let source = &series.sources[of.source as usize];
            // A service whose windows are all duplicates has no batch.
            if let Some(batch) = self.batches.get_mut(source.service()) {
                let source = batch.source(source);
                new_series[at] = batch.one_series(Series {
                    source,
                    ..of.clone()
                });
            }
        }
        for (at, range) in values.runs().filter(|(at, _)| !expired[*at]) {
            let source = series.rows[at].source;
            let service = series.sources[source as usize].service();
            let Some(batch) = self.batches.get_mut(service) else {
                continue;
            };
            let map = by_service
                .entry(service)
                .or_insert_with(|| Stacks::of(&dictionary));
            let build_id = &series.rows[at].header.build_id;
            map.program(build_id, batch)?;
            let before = batch.rows.len();
            let window = |row: usize| match values.windows.get(row) {
                Some(window) => new_windows[*window as usize],
                None => cells[source as usize],
            };
            let rows = range.filter(|row| window(*row) != u32::MAX);
            map.add(rows.clone().map(|row| values.nodes[row]), batch)?;
            for row in rows {
                let mut window = window(row);
                let (series, value) = (new_series[at], values.values[row]);
                if self.resolution == Resolution::Days {
                    let totals = batch.totals.get_or_insert_default();
                    let total = totals.entry((series, window)).or_default();
                    *total = total.saturating_add(value);
                    window = 0;
                }
                let node = map.node(values.nodes[row]);
                batch.rows.push(Row {
                    series,
                    node,
                    window,
                    value,
                });
            }
            self.rows += batch.rows.len() - before;
        }
        if let Some((spans, left_out)) = &tables.spans {
            let mut left_out = *left_out;
            self.spans_lost += left_out;
            let table = SpanTable::read(
                spans,
                &series,
                &windows,
                Some(&dictionary),
                &Only::default(),
            )?;
            for row in table
                .rows
                .iter()
                .filter(|row| !expired[row.series as usize])
            {
                let source = series.rows[row.series as usize].source;
                let service = series.sources[source as usize].service();
                let window = new_windows[row.window as usize];
                let batch = self.batches.get_mut(service);
                let (Some(batch), Some(map)) = (batch, by_service.get_mut(service)) else {
                    continue;
                };
                let bound = self.bounds.entry(service.to_owned());
                let bound = bound.or_insert(SpanBound::new(self.spans_max));
                if window != u32::MAX && bound.admits(row.link) {
                    map.add([row.node].into_iter(), batch)?;
                    let node = map.node(row.node);
                    batch.spans.push(SpanRow {
                        series: new_series[row.series as usize],
                        node,
                        window,
                        ..*row
                    });
                }
            }
            for service in by_service.keys() {
                if let (Some(batch), Some(bound)) = (
                    self.batches.get_mut(*service),
                    self.bounds.get_mut(*service),
                ) {
                    bound.was_left_out(std::mem::take(&mut left_out));
                    bound.trim(&mut batch.spans);
                }
            }
        }
        for service in by_service.keys() {
            self.fold(service);
        }
        while self.rows > self.rows_max || self.bytes() > self.bytes_max {
            let bytes = |(_, batch): &(&String, &Batch)| batch.bytes();
            let largest = self.batches.iter().max_by_key(bytes);
            let Some(service) = largest.map(|(service, _)| service.clone()) else {
                break;
            };
            if let Some(batch) = self.batches.remove(&service) {
                self.rows -= batch.rows.len();
                self.folded.remove(&service);
                let batch = self.bounded(&service, batch);
                self.writer.group(batch)?;
            }
        }
        Ok(())
    }

    /// Adds up equal stacks of several days, if a service has many rows more than after the last time.
    fn fold(&mut self, service: &str) {
        let Some(batch) = self.batches.get_mut(service) else {
            return;
        };
        let rows = batch.rows.len();
        let folded = self.folded.get(service).copied().unwrap_or(0);
        if self.resolution == Resolution::Days && rows > 2 * folded.max(FOLD_ROWS) {
            batch.fold();
            self.folded.insert(service.to_owned(), batch.rows.len());
            self.rows -= rows - batch.rows.len();
        }
    }

    /// Estimated memory of what is not written yet.
    fn bytes(&self) -> usize {
        self.batches.values().map(Batch::bytes).sum()
    }

    /// Writes the services whose names sort before `service`: the caller has no more of them.
    pub(super) fn finish_before(&mut self, service: &str) -> Result<()> {
        while let Some(first) = self.batches.first_entry() {
            if first.key().as_str() >= service {
                break;
            }
            let (service, batch) = first.remove_entry();
            self.folded.remove(&service);
            self.rows -= batch.rows.len();
            let batch = self.bounded(&service, batch);
            self.bounds.remove(&service);
            self.finish_service(batch)?;
        }
        Ok(())
    }

    /// A batch that is written, with the number of its spans that were left out.
    fn bounded(&mut self, service: &str, mut batch: Batch) -> Batch {
        if let Some(bound) = self.bounds.get_mut(service) {
            batch.spans_left_out += bound.written(batch.spans.len());
        }
        batch
    }

    fn finish_service(&mut self, batch: Batch) -> Result<()> {
        if batch.rows.len() >= SMALL_ROWS {
            return self.writer.group(batch);
        }
        absorb(&mut self.small, batch);
        if self.small.rows.len() >= SMALL_ROWS {
            let small = std::mem::replace(&mut self.small, Batch::new());
            self.writer.group(small)?;
        }
        Ok(())
    }

    /// Number of values of spans that the inputs left out.
    pub(super) fn spans_lost(&self) -> usize {
        self.spans_lost
    }

    /// Finishes the block, which holds the windows of these segments.
    pub(super) fn finish(mut self, segments: Vec<String>) -> Result<Written> {
        for (service, batch) in std::mem::take(&mut self.batches) {
            let batch = self.bounded(&service, batch);
            self.finish_service(batch)?;
        }
        if !self.small.windows.is_empty() {
            self.writer.group(self.small)?;
        }
        self.writer.finish(segments)
    }
}
