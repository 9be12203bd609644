//! Totals over time.

use super::aggregate::{FRACTIONS, Plan, rounded};
use super::params::Ask;
use super::scan::{Query, Report};
use super::visit::{Depth, View, Visitor};
use crate::error::{Error, Result};
use crate::format::batch::Source;
use crate::rule::day::Detail;
use crate::types::Aggregation;
use rustc_hash::FxHashMap;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Values of the labels to group by.
type Key = Vec<String>;

struct Steps {
    by: Vec<String>,
    from_ms: i64,
    step_ms: i64,
    /// Sums by group and step; for averages also by source.
    sums: FxHashMap<(Key, Option<Source>), BTreeMap<u32, i128>>,
    /// Number of windows of each source by step.
    windows: FxHashMap<Source, BTreeMap<u32, u64>>,
    is_average: bool,
    limit: usize,
    /// Whether groups were left out because there were too many.
    refused: bool,
}

impl Visitor for Steps {
    const DEPTH: Depth = Depth::Totals;

    fn detail(&self) -> Detail {
        const HOUR_MS: i64 = 3_600_000;
        const DAY_MS: i64 = 24 * HOUR_MS;
        let is_in_steps_of = |ms: i64| self.step_ms % ms == 0 && self.from_ms % ms == 0;
        if is_in_steps_of(DAY_MS) {
            Detail::Days
        } else if is_in_steps_of(HOUR_MS) {
            Detail::Sums
        } else {
            Detail::Windows
        }
    }

    fn visit(&mut self, view: &View<'_>) -> Result<()> {
        let (Some(values), Some(windows)) = (view.values, view.windows) else {
            return Ok(());
        };
        // A sum over an hour can begin before the range.
        let step_of = |start_ms: i64| ((start_ms - self.from_ms).max(0) / self.step_ms) as u32;
        let mut steps: Vec<u32> = windows
            .rows
            .iter()
            .map(|window| step_of(window.start_ms))
            .collect();
        // Sums over a day count for its first hour.
        let is_whole = values.windows.is_empty();
        if is_whole {
            let first = steps.iter().copied().min().unwrap_or(0);
            steps.fill(first);
        }
        let mut first_window = vec![0; view.series.sources.len()];
        for (at, window) in windows.rows.iter().enumerate().rev() {
            first_window[window.source as usize] = at;
        }
        if self.is_average {
            for (at, window) in windows
                .rows
                .iter()
                .enumerate()
                .filter(|(at, _)| view.included[*at])
            {
                let source = &view.series.sources[window.source as usize];
                *self
                    .windows
                    .entry(source.clone())
                    .or_default()
                    .entry(steps[at])
                    .or_default() += u64::from(window.count);
            }
        }
        let mut by_window = vec![0i128; windows.rows.len()];
        for (series, range) in values.runs() {
            if !view.wanted[series] {
                continue;
            }
            by_window.fill(0);
            let source = view.series.rows[series].source;
            for row in range {
                let window = values.windows.get(row).map(|window| *window as usize);
                let sum = &mut by_window[window.unwrap_or(first_window[source as usize])];
                *sum += i128::from(values.values[row]);
            }
            let series = &view.series.rows[series];
            let source = &view.series.sources[series.source as usize];
            let value_of = |by: &String| series.label(by, source).to_owned();
            let key = (
                self.by.iter().map(value_of).collect(),
                self.is_average.then(|| source.clone()),
            );
            if self.sums.len() >= self.limit && !self.sums.contains_key(&key) {
                self.refused = true;
                continue;
            }
            let points = self.sums.entry(key).or_default();
            for (window, sum) in by_window
                .iter()
                .enumerate()
                .filter(|(at, sum)| view.included[*at] && **sum != 0)
            {
                let point = points.entry(steps[window]).or_default();
                *point = point.saturating_add(*sum);
            }
        }
        Ok(())
    }
}

/// Totals over time.
pub(super) struct Totals {
    /// The series with the largest totals.
    pub(super) series: Vec<Value>,
    /// How many were left out.
    pub(super) left_out: usize,
    pub(super) aggregation: Aggregation,
    pub(super) aggregation_source: &'static str,
}

/// The totals of a range, and the report of the scan.
pub(super) async fn series(query: &Query, ask: &Ask, step_ms: i64) -> Result<(Totals, Report)> {
    let from_ms = ask.from.millis();
    let points = (ask.until.millis() - from_ms).div_euclid(step_ms);
    if points > query.options.query_points as i64 {
        return Err(Error::invalid(format!(
            "step: {points} points per series exceed the limit of {}; use a longer step or a shorter range",
            query.options.query_points
        )));
    }
    let plan = Plan::of(query, ask).await?;
    let steps = Steps {
        by: ask.by.clone(),
        from_ms,
        step_ms,
        sums: FxHashMap::default(),
        windows: FxHashMap::default(),
        is_average: plan.aggregation == Aggregation::Average,
        limit: query.options.query_series * 20,
        refused: false,
    };
    let (steps, mut report) = query.scan(ask, steps).await?;
    // In units of 1/1024, so that averages of several sources add up.
    let mut groups: BTreeMap<Key, BTreeMap<u32, i128>> = BTreeMap::new();
    for ((key, source), points) in &steps.sums {
        let group = groups.entry(key.clone()).or_default();
        for (step, sum) in points {
            let windows = source
                .as_ref()
                .and_then(|source| steps.windows.get(source)?.get(step));
            let windows = i128::from(windows.copied().unwrap_or(1).max(1));
            let point = group.entry(*step).or_default();
            *point = point.saturating_add(sum.saturating_mul(FRACTIONS) / windows);
        }
    }
    groups.retain(|_, points| !points.is_empty());
    let mut ranked: Vec<(Key, BTreeMap<u32, i128>)> = groups.into_iter().collect();
    let weight = |points: &BTreeMap<u32, i128>| points.values().sum::<i128>();
    ranked.sort_by_key(|(_, points)| std::cmp::Reverse(weight(points)));
    let cut = ranked.len().saturating_sub(query.options.query_series);
    ranked.truncate(query.options.query_series);
    if cut > 0 {
        report.partial.push(format!(
            "the smallest series were left out ({cut}); narrow the selector or group by fewer labels"
        ));
    }
    if steps.refused {
        report.partial.push(
            "some groups were left out because there are too many; narrow the selector or group by fewer labels"
                .to_owned(),
        );
    }
    let series = ranked.into_iter().map(|(key, points)| {
        let labels: Map<String, Value> = ask
            .by
            .iter()
            .cloned()
            .zip(key)
            .filter(|(_, value)| !value.is_empty())
            .map(|(n, v)| (n, v.into()))
            .collect();
        let points: Vec<Value> = points
            .into_iter()
            .map(|(step, value)| json!([from_ms + i64::from(step) * step_ms, rounded(value)]))
            .collect();
        json!({ "labels": labels, "points": points })
    });
    let totals = Totals {
        series: series.collect(),
        left_out: cut,
        aggregation: plan.aggregation,
        aggregation_source: plan.source,
    };
    Ok((totals, report))
}
