//! Values over time.

use super::params::Ask;
use super::scan::{Depth, Query, Report, View, Visitor};
use crate::error::{Error, Result};
use crate::format::batch::Source;
use rustc_hash::FxHashMap;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Values of the labels that are grouped by.
type Key = Vec<String>;

struct Buckets {
    by: Vec<String>,
    from_ms: i64,
    step_ms: i64,
    /// Sums by group and bucket, and, of states, by source.
    sums: FxHashMap<(Key, Option<Source>), BTreeMap<u32, i128>>,
    /// Windows of each source by bucket.
    windows: FxHashMap<Source, BTreeMap<u32, u64>>,
    gauge: bool,
    limit: usize,
    /// Groups that were not begun since there were too many.
    refused: bool,
}

impl Visitor for Buckets {
    const DEPTH: Depth = Depth::Totals;

    fn visit(&mut self, view: &View<'_>) -> Result<()> {
        let (Some(values), Some(windows)) = (view.values, view.windows) else {
            return Ok(());
        };
        let bucket = |start_ms: i64| ((start_ms - self.from_ms) / self.step_ms) as u32;
        let buckets: Vec<u32> = windows
            .rows
            .iter()
            .map(|window| bucket(window.start_ms))
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
                    .entry(buckets[at])
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
                let point = points.entry(buckets[window]).or_default();
                *point = point.saturating_add(*sum);
            }
        }
        Ok(())
    }
}

/// Series and how many were left out.
pub(super) async fn series(
    query: &Query,
    ask: &Ask,
    step_ms: i64,
) -> Result<(Vec<Value>, usize, Report)> {
    let from_ms = ask.from.millis();
    let points = (ask.until.millis() - from_ms).div_euclid(step_ms);
    if points > query.options.query_points as i64 {
        return Err(Error::invalid(format!(
            "step: {points} points a series, the limit is {}; take a longer step or a shorter range",
            query.options.query_points
        )));
    }
    let buckets = Buckets {
        by: ask.by.clone(),
        from_ms,
        step_ms,
        sums: FxHashMap::default(),
        windows: FxHashMap::default(),
        gauge: ask.gauge(),
        limit: query.options.query_series * 20,
        refused: false,
    };
    let (buckets, mut report) = query.scan(ask, buckets).await?;
    let mut groups: BTreeMap<Key, BTreeMap<u32, f64>> = BTreeMap::new();
    for ((key, source), points) in &buckets.sums {
        let group = groups.entry(key.clone()).or_default();
        for (bucket, sum) in points {
            let windows = source
                .as_ref()
                .and_then(|source| buckets.windows.get(source)?.get(bucket));
            *group.entry(*bucket).or_default() +=
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
            "{cut} of the smallest series are left out; narrow the selector or group by less"
        ));
    }
    if buckets.refused {
        report.partial.push(
            "there are too many groups to count them all; narrow the selector or group by less"
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
            .map(|(bucket, value)| {
                json!([from_ms + i64::from(bucket) * step_ms, value.round() as i64])
            })
            .collect();
        json!({ "labels": labels, "points": points })
    });
    Ok((series.collect(), cut, report))
}
