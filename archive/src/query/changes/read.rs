//! The usage of each group in a range.

use super::measure::Measure;
use crate::error::Result;
use crate::format::batch::Source;
use crate::query::flame::{Functions, Merge};
use crate::query::params::Ask;
use crate::query::scan::{Query, Report};
use crate::query::visit::{Depth, View, Visitor};
use crate::types::TypeFilter;
use davy_profile::FlameTree;
use davy_profile::durations::{self, BUCKETS};
use davy_profile::flame::Grain;
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Values of the labels to group by.
pub(super) type Key = Vec<String>;

const HOUR_MS: i64 = 3_600_000;

/// The usage of each group in a range.
#[derive(Clone, Debug, Default)]
pub(in crate::query) struct Usage {
    /// By group and measure, in the unit of the measure.
    pub(in crate::query) values: BTreeMap<(Key, Measure), f64>,
    /// Measures of which the range has a profile, whatever its value.
    pub(in crate::query) measured: BTreeSet<Measure>,
    /// The part of the range that is covered by windows, in milliseconds since the epoch; empty without windows.
    pub(in crate::query) covered: Range<i64>,
    /// What the scan reports.
    pub(in crate::query) report: Report,
}

/// Adds up the totals of all types.
struct Totals {
    by: Vec<String>,
    filters: Vec<(Measure, TypeFilter)>,
    /// Sums by group and measure; for the heap also by source.
    sums: FxHashMap<(Key, Measure, Option<Source>), i128>,
    /// Number of windows of each source.
    windows: FxHashMap<Source, u64>,
    measured: BTreeSet<Measure>,
    covered: Option<Range<i64>>,
    limit: usize,
    is_cut: bool,
}

impl Totals {
    fn measure(&self, kind: &str) -> Option<Measure> {
        let found = self.filters.iter().find(|(_, filter)| filter.matches(kind));
        found.map(|(measure, _)| *measure)
    }
}

impl Visitor for Totals {
    const DEPTH: Depth = Depth::Totals;

    fn visit(&mut self, view: &View<'_>) -> Result<()> {
        let (Some(values), Some(windows)) = (view.values, view.windows) else {
            return Ok(());
        };
        for (window, _) in windows
            .rows
            .iter()
            .zip(view.included)
            .filter(|(_, of)| **of)
        {
            let source = &view.series.sources[window.source as usize];
            *self.windows.entry(Source::clone(source)).or_default() += u64::from(window.count);
            // A cell sums up windows of an hour.
            let length = if window.count > 1 {
                HOUR_MS
            } else {
                window.duration_ms
            };
            let (start, end) = (window.start_ms, window.start_ms + length);
            let covered = self.covered.get_or_insert(start..end);
            *covered = covered.start.min(start)..covered.end.max(end);
        }
        // Series of a type follow each other.
        let (mut last, mut measure) = (None, None);
        for (at, range) in values.runs().filter(|(at, _)| view.wanted[*at]) {
            let series = &view.series.rows[at];
            if last != Some(&series.kind) {
                (last, measure) = (Some(&series.kind), self.measure(&series.kind));
            }
            let Some(measure) = measure else { continue };
            let sum: i128 = range
                .filter(|row| {
                    let window = values.windows.get(*row);
                    window.is_none_or(|window| view.included[*window as usize])
                })
                .map(|row| i128::from(values.values[row]))
                .sum();
            self.measured.insert(measure);
            if sum == 0 {
                continue;
            }
            let source = &view.series.sources[series.source as usize];
            let key = self.by.iter().map(|by| series.label(by, source).to_owned());
            let of_source = (measure == Measure::Heap).then(|| Source::clone(source));
            let key = (key.collect(), measure, of_source);
            if self.sums.len() >= self.limit && !self.sums.contains_key(&key) {
                self.is_cut = true;
                continue;
            }
            let total = self.sums.entry(key).or_default();
            *total = total.saturating_add(sum);
        }
        Ok(())
    }
}

/// Counts requests by the bucket of their duration.
struct Histograms {
    by: Vec<String>,
    counts: BTreeMap<Key, [u64; BUCKETS]>,
    limit: usize,
    is_cut: bool,
}

impl Visitor for Histograms {
    const DEPTH: Depth = Depth::Stacks;

    fn visit(&mut self, view: &View<'_>) -> Result<()> {
        let (Some(values), Some(dictionary)) = (view.values, view.dictionary) else {
            return Ok(());
        };
        let mut tree = FlameTree::new();
        let mut merge = Merge::new(dictionary, Grain::Function);
        let mut functions = Functions::new();
        // The bucket of each node of the dictionary.
        let mut buckets: FxHashMap<u32, Option<usize>> = FxHashMap::default();
        for (at, range) in values.runs().filter(|(at, _)| view.wanted[*at]) {
            let series = &view.series.rows[at];
            let source = &view.series.sources[series.source as usize];
            let key = self.by.iter().map(|by| series.label(by, source).to_owned());
            let key: Key = key.collect();
            if self.counts.len() >= self.limit && !self.counts.contains_key(&key) {
                self.is_cut = true;
                continue;
            }
            let mut counts = [0; BUCKETS];
            for row in range {
                let window = values.windows.get(row);
                if window.is_some_and(|window| !view.included[*window as usize]) {
                    continue;
                }
                let node = dictionary.place(values.nodes[row]);
                let bucket = match buckets.get(&node) {
                    Some(bucket) => *bucket,
                    // Only the root has no frame.
                    None if node == 0 => None,
                    None => {
                        let frame = merge.frame_of(&mut tree, &mut functions, node)?;
                        let bucket = durations::from_name(&tree.frame_name(frame));
                        buckets.insert(node, bucket);
                        bucket
                    }
                };
                if let Some(bucket) = bucket {
                    counts[bucket] += u64::try_from(values.values[row]).unwrap_or(0);
                }
            }
            if counts.iter().any(|count| *count > 0) {
                let all = self.counts.entry(key).or_insert([0; BUCKETS]);
                for (sum, count) in all.iter_mut().zip(counts) {
                    *sum += count;
                }
            }
        }
        Ok(())
    }
}

/// Reads the usage of each group of a query, whose type is ignored.
pub(in crate::query) async fn usage(query: &Query, ask: &Ask) -> Result<Usage> {
    let limit = query.options.query_series * 20;
    let measures = Measure::ALL.iter().filter(|measure| measure.is_sum());
    let filters = measures.filter_map(|measure| Some((*measure, measure.filter()?)));
    let totals = Totals {
        by: ask.by.clone(),
        filters: filters.collect(),
        sums: FxHashMap::default(),
        windows: FxHashMap::default(),
        measured: BTreeSet::new(),
        covered: None,
        limit,
        is_cut: false,
    };
    let histograms = Histograms {
        by: ask.by.clone(),
        counts: BTreeMap::new(),
        limit,
        is_cut: false,
    };
    let all = Ask {
        kind: None,
        ..ask.clone()
    };
    let requests = Ask {
        kind: Measure::P99.filter(),
        ..ask.clone()
    };
    let (totals, histograms) =
        tokio::try_join!(query.scan(&all, totals), query.scan(&requests, histograms))?;
    let ((totals, mut report), (histograms, of_requests)) = (totals, histograms);
    report.partial.extend(of_requests.partial);
    report.partial.sort();
    report.partial.dedup();
    if totals.is_cut || histograms.is_cut {
        report.partial.push(
            "some groups were left out because there are too many; narrow the selector or group by fewer labels"
                .to_owned(),
        );
    }
    let effective = &report.effective;
    let covered = totals.covered.map_or(0..0, |of| {
        of.start.max(effective.start)..of.end.min(effective.end).max(of.start + 1)
    });
    let seconds = (covered.end - covered.start).max(1) as f64 / 1e3;
    let mut usage = Usage {
        measured: totals.measured,
        covered,
        report,
        ..Usage::default()
    };
    for ((key, measure, source), sum) in totals.sums {
        let windows = source.and_then(|source| totals.windows.get(&source).copied());
        let value = sum as f64 / windows.unwrap_or(1).max(1) as f64;
        *usage.values.entry((key, measure)).or_default() += measure.scaled(value, seconds);
    }
    // Values of 0 are not stored, and requests are pushed with their errors.
    if usage.measured.contains(&Measure::Requests) {
        usage.measured.insert(Measure::Errors);
    }
    for (key, counts) in histograms.counts {
        if let Some(bucket) = durations::quantile(&counts, 0.99) {
            usage.measured.insert(Measure::P99);
            let bound = durations::upper_bound(bucket).as_secs_f64();
            usage.values.insert((key, Measure::P99), bound);
        }
    }
    Ok(usage)
}
