//! Totals over time.

use super::params::Ask;
use super::scan::{Query, Report};
use super::visit::{Depth, View, Visitor};
use crate::error::{Error, Result};
use crate::format::batch::Source;
use rustc_hash::FxHashMap;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Values of the labels to group by.
type Key = Vec<String>;

struct Steps {
    by: Vec<String>,
    from_ms: i64,
    step_ms: i64,
    /// Sums by group and step; of gauges also by source.
    sums: FxHashMap<(Key, Option<Source>), BTreeMap<u32, i128>>,
    /// Number of windows of each source by step.
    windows: FxHashMap<Source, BTreeMap<u32, u64>>,
    gauge: bool,
    limit: usize,
    /// Whether groups were left out because there were too many.
    refused: bool,
}

impl Visitor for Steps {
    const DEPTH: Depth = Depth::Totals;

    fn visit(&mut self, view: &View<'_>) -> Result<()> {
        let (Some(values), Some(windows)) = (view.values, view.windows) else {
            return Ok(());
        };
        let step_of = |start_ms: i64| ((start_ms - self.from_ms) / self.step_ms) as u32;
        let steps: Vec<u32> = windows
            .rows
            .iter()
            .map(|window| step_of(window.start_ms))
            .collect();
        if self.gauge {
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
                    .or_default() += 1;
            }
        }
        let mut start = 0;
        let mut by_window = vec![0i128; windows.rows.len()];
        for run in values.series.chunk_by(|a, b| a == b) {
            let (series, range) = (run[0] as usize, start..start + run.len());
            start = range.end;
            if !view.wanted[series] {
                continue;
            }
            by_window.fill(0);
            for row in range {
                let sum = &mut by_window[values.windows[row] as usize];
                *sum += i128::from(values.values[row]);
            }
            let (source, _, labels) = &view.series.rows[series];
            let source = &view.series.sources[*source as usize];
            let value_of = |by: &String| match labels.get(by) {
                "" => source.get(by).to_owned(),
                value => value.to_owned(),
            };
            let key = (
                self.by.iter().map(value_of).collect(),
                self.gauge.then(|| source.clone()),
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

/// The series with the largest totals, how many were left out, and the report of the scan.
pub(super) async fn series(
    query: &Query,
    ask: &Ask,
    step_ms: i64,
) -> Result<(Vec<Value>, usize, Report)> {
    let from_ms = ask.from.millis();
    let points = (ask.until.millis() - from_ms).div_euclid(step_ms);
    if points > query.options.query_points as i64 {
        return Err(Error::invalid(format!(
            "step: {points} points per series exceed the limit of {}; use a longer step or a shorter range",
            query.options.query_points
        )));
    }
    let steps = Steps {
        by: ask.by.clone(),
        from_ms,
        step_ms,
        sums: FxHashMap::default(),
        windows: FxHashMap::default(),
        gauge: ask.gauge(),
        limit: query.options.query_series * 20,
        refused: false,
    };
    let (steps, mut report) = query.scan(ask, steps).await?;
    let mut groups: BTreeMap<Key, BTreeMap<u32, f64>> = BTreeMap::new();
    for ((key, source), points) in &steps.sums {
        let group = groups.entry(key.clone()).or_default();
        for (step, sum) in points {
            let windows = source
                .as_ref()
                .and_then(|source| steps.windows.get(source)?.get(step));
            *group.entry(*step).or_default() +=
                *sum as f64 / windows.copied().unwrap_or(1).max(1) as f64;
        }
    }
    groups.retain(|_, points| !points.is_empty());
    let mut ranked: Vec<(Key, BTreeMap<u32, f64>)> = groups.into_iter().collect();
    let weight = |points: &BTreeMap<u32, f64>| points.values().sum::<f64>();
    ranked.sort_by(|a, b| weight(&b.1).total_cmp(&weight(&a.1)));
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
            .map(|(step, value)| json!([from_ms + i64::from(step) * step_ms, value.round() as i64]))
            .collect();
        json!({ "labels": labels, "points": points })
    });
    Ok((series.collect(), cut, report))
}
