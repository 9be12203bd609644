//! Totals over time.

use super::aggregate::{FRACTIONS, Plan, rounded};
use super::flame::Merge;
use super::params::Ask;
use super::scan::{Query, Report};
use super::visit::{Depth, View, Visitor};
use crate::error::{Error, Result};
use crate::format::batch::Source;
use crate::format::tables::Dictionary;
use crate::rule::day::Detail;
use crate::types::Aggregation;
use regex::Regex;
use rustc_hash::FxHashMap;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Values of the labels to group by.
type Key = Vec<String>;

/// With `STACKS`, only the values of some stacks are added up.
struct Steps<const STACKS: bool> {
    stacks: Stacks,
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

impl<const STACKS: bool> Visitor for Steps<STACKS> {
    const DEPTH: Depth = if STACKS {
        Depth::StacksOfWindows
    } else {
        Depth::Totals
    };

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
        let counted = match view.dictionary.filter(|_| STACKS) {
            Some(dictionary) => Some((dictionary, self.stacks.of(dictionary)?)),
            None => None,
        };
        let mut by_window = vec![0i128; windows.rows.len()];
        for (series, range) in values.runs() {
            if !view.wanted[series] {
                continue;
            }
            by_window.fill(0);
            let source = view.series.rows[series].source;
            for row in range {
                if let Some((dictionary, counted)) = &counted
                    && !counted[dictionary.place(values.nodes[row]) as usize]
                {
                    continue;
                }
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

impl<const STACKS: bool> Steps<STACKS> {
    /// The values of each group by step, in [`FRACTIONS`], so that averages of several sources add up.
    fn groups(&self, is_mean: bool) -> BTreeMap<Key, BTreeMap<u32, i128>> {
        let windows_of = |source: &Option<Source>, step: &u32| {
            let windows = source
                .as_ref()
                .and_then(|source| self.windows.get(source)?.get(step));
            windows.copied().unwrap_or(1).max(1)
        };
        let mut groups: BTreeMap<Key, BTreeMap<u32, i128>> = BTreeMap::new();
        let mut counts: BTreeMap<(&Key, u32), u64> = BTreeMap::new();
        for ((key, source), points) in &self.sums {
            let group = groups.entry(key.clone()).or_default();
            for (step, sum) in points {
                let windows = windows_of(source, step);
                let divisor = if is_mean {
                    *counts.entry((key, *step)).or_default() += windows;
                    1
                } else {
                    i128::from(windows)
                };
                let point = group.entry(*step).or_default();
                *point = point.saturating_add(sum.saturating_mul(FRACTIONS) / divisor);
            }
        }
        for ((key, step), count) in counts {
            if let Some(point) = groups.get_mut(key).and_then(|of| of.get_mut(&step)) {
                *point /= i128::from(count);
            }
        }
        groups
    }
}

/// The totals of a group over time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupTotals {
    /// The labels to group by that it has, sorted as in the query.
    pub labels: Vec<(String, String)>,
    /// Start of each step with a value, in milliseconds since the epoch, and its value.
    pub points: Vec<(i64, i64)>,
}

impl GroupTotals {
    /// As `/api/v1/profiles/series` returns it.
    pub(super) fn to_json(&self) -> Value {
        let labels = self.labels.iter().cloned();
        let labels: Map<String, Value> = labels.map(|(n, v)| (n, v.into())).collect();
        json!({ "labels": labels, "points": self.points })
    }
}

/// The stacks whose values are added up.
#[derive(Clone, Debug)]
pub enum Stacks {
    /// All of them.
    All,
    /// Those that begin with these frames, from the root.
    Below(Vec<String>),
    /// Those of which a frame matches.
    Through(Regex),
}

impl Stacks {
    /// Whether the stack of each node is one of them.
    fn of(&self, dictionary: &Dictionary) -> Result<Vec<bool>> {
        match self {
            Self::All => Ok(vec![true; dictionary.parents.len()]),
            Self::Below(path) => Merge::on_path(dictionary, path),
            Self::Through(focus) => Merge::through(dictionary, focus),
        }
    }
}

/// The steps of totals.
#[derive(Clone, Debug)]
pub struct Step {
    /// Length in milliseconds.
    pub ms: i64,
    /// Whether values are divided by the number of windows of their group and step, whatever their type.
    pub is_mean: bool,
    /// The stacks whose values are added up.
    pub stacks: Stacks,
}

/// Totals over time.
#[derive(Clone, Debug)]
pub struct Totals {
    /// The groups with the largest totals, the largest first.
    pub series: Vec<GroupTotals>,
    /// How many were left out.
    pub left_out: usize,
    /// How values were added up over time.
    pub aggregation: Aggregation,
    /// What decided how: `type`, `profile` or `default`.
    pub aggregation_source: &'static str,
}

/// The totals of a range, and the report of the scan.
pub async fn series(query: &Query, ask: &Ask, step: Step) -> Result<(Totals, Report)> {
    if matches!(step.stacks, Stacks::All) {
        series_of::<false>(query, ask, step).await
    } else {
        series_of::<true>(query, ask, step).await
    }
}

async fn series_of<const STACKS: bool>(
    query: &Query,
    ask: &Ask,
    step: Step,
) -> Result<(Totals, Report)> {
    let (from_ms, step_ms) = (ask.from.millis(), step.ms);
    let points = (ask.until.millis() - from_ms).div_euclid(step_ms);
    if points > query.options.query_points as i64 {
        return Err(Error::invalid(format!(
            "step: {points} points per series exceed the limit of {}; use a longer step or a shorter range",
            query.options.query_points
        )));
    }
    let plan = Plan::of(query, ask).await?;
    let steps = Steps::<STACKS> {
        stacks: step.stacks,
        by: ask.by.clone(),
        from_ms,
        step_ms,
        sums: FxHashMap::default(),
        windows: FxHashMap::default(),
        is_average: step.is_mean || plan.aggregation == Aggregation::Average,
        limit: query.options.query_series * 20,
        refused: false,
    };
    let (steps, mut report) = query.scan(ask, steps).await?;
    let mut groups = steps.groups(step.is_mean);
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
        let labels = ask.by.iter().cloned().zip(key);
        let points = points.into_iter();
        GroupTotals {
            labels: labels.filter(|(_, value)| !value.is_empty()).collect(),
            points: points
                .map(|(step, value)| (from_ms + i64::from(step) * step_ms, rounded(value)))
                .collect(),
        }
    });
    let totals = Totals {
        series: series.collect(),
        left_out: cut,
        aggregation: plan.aggregation,
        aggregation_source: plan.source,
    };
    Ok((totals, report))
}
