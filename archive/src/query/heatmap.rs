//! How the values of single windows, or of single spans, are distributed over time.

use super::params::Ask;
use super::scan::{Query, Report};
use super::visit::{Depth, View, Visitor};
use crate::error::{Error, Result};
use crate::format::batch::WindowId;
use crate::labels::SPANS;
use crate::rule::day::Detail;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Number of buckets of values.
const BUCKETS: i128 = 20;
/// Maximum number of values; further ones are left out.
const VALUES: usize = 1_000_000;

/// The values of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeatmapCell {
    /// Start of the step, in milliseconds since the epoch.
    pub start_ms: i64,
    /// The smallest value of each bucket, ascending. All steps of all series have the same buckets.
    pub y_min: Vec<i64>,
    /// Number of values in each bucket.
    pub counts: Vec<i32>,
}

/// The distribution of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeatmapSeries {
    /// The labels to group by that it has.
    pub labels: Vec<(String, String)>,
    /// Its steps that have values.
    pub cells: Vec<HeatmapCell>,
}

/// The window of a value, the index of its group, and its span, or "".
type Key = (WindowId, u32, Arc<str>);

/// A sum over a window.
#[derive(Default)]
struct Value {
    sum: i128,
    step: u32,
    /// Number of windows of a cell.
    count: u32,
}

struct Gather {
    by: Vec<String>,
    is_by_span: bool,
    from_ms: i64,
    step_ms: i64,
    groups: BTreeMap<Vec<String>, u32>,
    values: FxHashMap<Key, Value>,
    is_cut: bool,
}

impl Visitor for Gather {
    const DEPTH: Depth = Depth::Totals;

    fn detail(&self) -> Detail {
        Detail::Windows
    }

    fn visit(&mut self, view: &View<'_>) -> Result<()> {
        let (Some(values), Some(windows)) = (view.values, view.windows) else {
            return Ok(());
        };
        for (at, range) in values.runs().filter(|(at, _)| view.wanted[*at]) {
            let series = &view.series.rows[at];
            let source = &view.series.sources[series.source as usize];
            let mut span = SPANS.iter().map(|name| series.label(name, source));
            let span = span.find(|span| !span.is_empty()).unwrap_or("");
            if self.is_by_span && span.is_empty() {
                continue;
            }
            let span: Arc<str> = if self.is_by_span { span } else { "" }.into();
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
                let key = (window.id, group, Arc::clone(&span));
                if self.values.len() >= VALUES && !self.values.contains_key(&key) {
                    self.is_cut = true;
                    continue;
                }
                let value = self.values.entry(key).or_default();
                value.sum += i128::from(values.values[row]);
                value.step = ((window.start_ms - self.from_ms).max(0) / self.step_ms) as u32;
                value.count = window.count.max(1);
            }
        }
        Ok(())
    }
}

impl Gather {
    fn series(self) -> Vec<HeatmapSeries> {
        let mean = |value: &Value| value.sum / i128::from(value.count);
        let all = || self.values.values().map(mean);
        let (Some(low), Some(high)) = (all().min(), all().max()) else {
            return Vec::new();
        };
        // Lower ends of equal buckets; one if all values are the same.
        let width = ((high - low + BUCKETS) / BUCKETS).max(1);
        let buckets = ((high - low) / width + 1) as usize;
        let lower = |at| i64::try_from(low + at * width).unwrap_or(i64::MAX);
        let y_min: Vec<i64> = (0..buckets as i128).map(lower).collect();
        let mut counts: BTreeMap<(u32, u32), Vec<i32>> = BTreeMap::new();
        for ((_, group, _), value) in &self.values {
            let of_step = counts.entry((*group, value.step));
            let at = ((mean(value) - low) / width) as usize;
            let count = &mut of_step.or_insert_with(|| vec![0; buckets])[at];
            *count = count.saturating_add(i32::try_from(value.count).unwrap_or(i32::MAX));
        }
        let cell = |((_, step), counts): (&(u32, u32), &Vec<i32>)| HeatmapCell {
            start_ms: self.from_ms + i64::from(*step) * self.step_ms,
            y_min: y_min.clone(),
            counts: counts.clone(),
        };
        let series = self.groups.iter().map(|(values, group)| {
            let labels = self.by.iter().cloned().zip(values.iter().cloned());
            HeatmapSeries {
                labels: labels.filter(|(_, value)| !value.is_empty()).collect(),
                cells: counts
                    .range((*group, 0)..=(*group, u32::MAX))
                    .map(cell)
                    .collect(),
            }
        });
        series.filter(|of| !of.cells.is_empty()).collect()
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
    let from_ms = ask.from.millis();
    let steps = (ask.until.millis() - from_ms).div_euclid(step_ms);
    if steps > query.options.query_points as i64 {
        return Err(Error::invalid(format!(
            "step: {steps} steps exceed the limit of {}; use a longer step or a shorter range",
            query.options.query_points
        )));
    }
    let gather = Gather {
        by: ask.by.clone(),
        is_by_span,
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
