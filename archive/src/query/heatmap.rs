//! How the values of single windows, or of single spans, are distributed over time, and which are the largest ones.

use super::params::Ask;
use super::scan::{Query, Report};
use super::visit::{Depth, View, Visitor};
use crate::error::{Error, Result};
use crate::format::batch::{Source, WindowId};
use crate::rule::day::Detail;
use crate::spans::SpanLink;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Number of buckets of values.
const BUCKETS: i128 = 20;
/// Maximum number of values; further ones are left out.
const VALUES: usize = 1_000_000;

/// A window, or a span in it, that stands for the values of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exemplar {
    /// The first sample of the span if its time is known, or the start of the window; in milliseconds since the epoch.
    pub at_ms: i64,
    /// The window.
    pub profile: WindowId,
    /// The span; 0 for a whole window.
    pub span: SpanLink,
    /// Its value.
    pub value: i64,
    /// The labels of its source, without those to group by.
    pub labels: Vec<(String, String)>,
}

/// The values of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeatmapCell {
    /// Start of the step, in milliseconds since the epoch.
    pub start_ms: i64,
    /// The smallest value of each bucket, ascending. All steps of all series have the same buckets.
    pub y_min: Vec<i64>,
    /// Number of values in each bucket.
    pub counts: Vec<i32>,
    /// The largest value.
    pub exemplar: Option<Exemplar>,
}

/// The distribution of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeatmapSeries {
    /// The labels to group by that it has.
    pub labels: Vec<(String, String)>,
    /// Its steps that have values.
    pub cells: Vec<HeatmapCell>,
}

/// The window of a value, the index of its group, and its span.
type Key = (WindowId, u32, SpanLink);

/// A sum over a window.
struct Value {
    sum: i128,
    /// Start of the window.
    start_ms: i64,
    /// The first sample whose time is known and within the window.
    sampled_ms: Option<i64>,
    /// Number of windows of a cell.
    count: u32,
    source: Source,
}

struct Gather<const SPANS: bool> {
    by: Vec<String>,
    from_ms: i64,
    step_ms: i64,
    groups: BTreeMap<Vec<String>, u32>,
    values: FxHashMap<Key, Value>,
    is_cut: bool,
}

impl<const OF_SPANS: bool> Visitor for Gather<OF_SPANS> {
    const DEPTH: Depth = Depth::Totals;
    const SPANS: bool = OF_SPANS;

    fn detail(&self) -> Detail {
        Detail::Windows
    }

    fn visit(&mut self, view: &View<'_>) -> Result<()> {
        let (Some(values), Some(windows)) = (view.values, view.windows) else {
            return Ok(());
        };
        // Values of spans are those of the rows of the table of spans.
        let spans = view.spans.filter(|_| OF_SPANS);
        for (at, range) in values.runs().filter(|(at, _)| view.wanted[*at]) {
            let series = &view.series.rows[at];
            let source = &view.series.sources[series.source as usize];
            let value_of = |by: &String| series.label(by, source).to_owned();
            let group = self.by.iter().map(value_of).collect();
            let next = self.groups.len() as u32;
            let group = *self.groups.entry(group).or_insert(next);
            for row in range {
                // Sums without windows are of hours whose windows have expired.
                let Some(window) = values.windows.get(row) else {
                    continue;
                };
                if !view.included[*window as usize] {
                    continue;
                }
                let window = &windows.rows[*window as usize];
                let link = spans.map_or(SpanLink::default(), |spans| spans.rows[row].link);
                let key = (window.id, group, link);
                if self.values.len() >= VALUES && !self.values.contains_key(&key) {
                    self.is_cut = true;
                    continue;
                }
                let value = self.values.entry(key).or_insert_with(|| Value {
                    sum: 0,
                    start_ms: window.start_ms,
                    sampled_ms: None,
                    count: window.count.max(1),
                    source: Arc::clone(source),
                });
                value.sum += i128::from(values.values[row]);
                let nanos = spans.map_or(0, |spans| spans.rows[row].time_nanos);
                let at_ms = nanos.div_euclid(1_000_000);
                // Clocks of agents are not always those of their windows.
                let end_ms = window.start_ms.saturating_add(window.duration_ms);
                if (window.start_ms..=end_ms).contains(&at_ms) {
                    value.sampled_ms = Some(value.sampled_ms.map_or(at_ms, |ms| ms.min(at_ms)));
                }
            }
        }
        Ok(())
    }
}

/// The value of a window, or the mean of those of a cell.
fn mean(value: &Value) -> i128 {
    value.sum / i128::from(value.count)
}

/// The values of a group in a step.
struct Cell<'a> {
    counts: Vec<i32>,
    largest: (&'a Key, &'a Value),
}

impl<const OF_SPANS: bool> Gather<OF_SPANS> {
    fn series(&self) -> Vec<HeatmapSeries> {
        let all = || self.values.values().map(mean);
        let (Some(low), Some(high)) = (all().min(), all().max()) else {
            return Vec::new();
        };
        // Lower ends of equal buckets; one if all values are the same.
        let width = ((high - low + BUCKETS) / BUCKETS).max(1);
        let buckets = ((high - low) / width + 1) as usize;
        let lower = |at| i64::try_from(low + at * width).unwrap_or(i64::MAX);
        let y_min: Vec<i64> = (0..buckets as i128).map(lower).collect();
        let mut cells: BTreeMap<(u32, u32), Cell<'_>> = BTreeMap::new();
        for (key, value) in &self.values {
            let step = ((value.start_ms - self.from_ms).max(0) / self.step_ms) as u32;
            let cell = cells.entry((key.1, step)).or_insert_with(|| Cell {
                counts: vec![0; buckets],
                largest: (key, value),
            });
            let count = &mut cell.counts[((mean(value) - low) / width) as usize];
            *count = count.saturating_add(i32::try_from(value.count).unwrap_or(i32::MAX));
            // Of equal values, the same one whatever their order is.
            let order = |key: &Key, value: &Value| (mean(value), key.2, key.0);
            if order(key, value) > order(cell.largest.0, cell.largest.1) {
                cell.largest = (key, value);
            }
        }
        let cell = |((_, step), cell): (&(u32, u32), &Cell<'_>)| HeatmapCell {
            start_ms: self.from_ms + i64::from(*step) * self.step_ms,
            y_min: y_min.clone(),
            counts: cell.counts.clone(),
            exemplar: Some(self.exemplar(cell.largest)),
        };
        let series = self.groups.iter().map(|(values, group)| {
            let labels = self.by.iter().cloned().zip(values.iter().cloned());
            HeatmapSeries {
                labels: labels.filter(|(_, value)| !value.is_empty()).collect(),
                cells: cells
                    .range((*group, 0)..=(*group, u32::MAX))
                    .map(cell)
                    .collect(),
            }
        });
        series.filter(|of| !of.cells.is_empty()).collect()
    }

    fn exemplar(&self, (key, value): (&Key, &Value)) -> Exemplar {
        let is_grouped = |name: &str| self.by.iter().any(|by| by == name);
        let labels = value.source.iter();
        let labels = labels.filter(|(name, _)| !is_grouped(name));
        Exemplar {
            at_ms: value.sampled_ms.unwrap_or(value.start_ms),
            profile: key.0,
            span: key.2,
            value: i64::try_from(mean(value)).unwrap_or(i64::MAX),
            labels: labels
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        }
    }
}

/// How often which values of single windows occur in each step; with `is_by_span`, of the spans in them. Windows that
/// have expired are not counted.
pub async fn heatmap(
    query: &Query,
    ask: &Ask,
    step_ms: i64,
    is_by_span: bool,
) -> Result<(Vec<HeatmapSeries>, Report)> {
    if is_by_span {
        heatmap_of::<true>(query, ask, step_ms).await
    } else {
        heatmap_of::<false>(query, ask, step_ms).await
    }
}

async fn heatmap_of<const OF_SPANS: bool>(
    query: &Query,
    ask: &Ask,
    step_ms: i64,
) -> Result<(Vec<HeatmapSeries>, Report)> {
    let from_ms = ask.from.millis();
    let steps = (ask.until.millis() - from_ms).div_euclid(step_ms);
    if steps > query.options.query_points as i64 {
        return Err(Error::invalid(format!(
            "step: {steps} steps exceed the limit of {}; use a longer step or a shorter range",
            query.options.query_points
        )));
    }
    let gather = Gather::<OF_SPANS> {
        by: ask.by.clone(),
        from_ms,
        step_ms,
        groups: BTreeMap::new(),
        values: FxHashMap::default(),
        is_cut: false,
    };
    let (gather, mut report) = query.scan(ask, gather).await?;
    if gather.is_cut {
        report.partial.push(format!(
            "only {VALUES} values are counted; narrow the selector or the range"
        ));
    }
    Ok((gather.series(), report))
}
