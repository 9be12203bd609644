//! Totals by hour, service and type, and sums by service and type, by which levels are compared.

use crate::format::batch::WindowId;
use crate::format::tables::{SeriesTable, Values, WindowTable};
use crate::key::{Day, Hour};
use davy_base::Timestamp;
use rustc_hash::FxHashSet;
use std::collections::BTreeMap;

/// Totals of values, and numbers of windows (with an empty type).
type ByKey = BTreeMap<(Hour, String, String), i128>;

/// Sums of a block by service and type, and numbers of windows (with an empty type).
pub(super) type BlockSums = BTreeMap<(String, String), i128>;

/// Totals of pieces that are added in the order of reading. A window counts once.
#[derive(Default)]
pub(super) struct Totals {
    seen: FxHashSet<WindowId>,
    by_key: ByKey,
    /// The sums that blocks state.
    pub(super) sums: BlockSums,
    /// Values and windows by the day of a month block, as its totals state.
    pub(super) days: BTreeMap<Day, BlockSums>,
}

impl Totals {
    /// Adds the values of a row group.
    pub(super) fn add(&mut self, series: &SeriesTable, windows: &WindowTable, samples: &Values) {
        let hour = |at: usize| Hour::of(Timestamp::from_millis(windows.rows[at].start_ms));
        let mut is_new = Vec::with_capacity(windows.rows.len());
        for (at, window) in windows.rows.iter().enumerate() {
            let new = self.seen.insert(window.id);
            is_new.push(new);
            if new {
                let service = series.sources[window.source as usize].service();
                let key = (hour(at), service.to_owned(), String::new());
                *self.by_key.entry(key).or_default() += i128::from(window.count);
            }
        }
        let mut by_hour = BTreeMap::<Hour, i128>::new();
        for (at, range) in samples.runs() {
            for row in range {
                let window = samples.windows[row] as usize;
                if is_new[window] {
                    *by_hour.entry(hour(window)).or_default() += i128::from(samples.values[row]);
                }
            }
            let of = &series.rows[at];
            let service = series.sources[of.source as usize].service();
            while let Some((hour, sum)) = by_hour.pop_first() {
                let key = (hour, service.to_owned(), of.kind.to_string());
                *self.by_key.entry(key).or_default() += sum;
            }
        }
    }

    /// Adds the sums of a row group of a block, and its windows.
    pub(super) fn add_sums(&mut self, series: &SeriesTable, windows: &WindowTable, sums: &Values) {
        for window in &windows.rows {
            let service = series.sources[window.source as usize].service();
            let count = self.sums.entry((service.to_owned(), String::new()));
            *count.or_default() += i128::from(window.count);
        }
        for (at, range) in sums.runs() {
            let sum: i128 = sums.values[range].iter().map(|of| i128::from(*of)).sum();
            *self.sums.entry(key(series, at)).or_default() += sum;
        }
    }

    /// Adds the totals and windows of a row group of a month block, by day.
    pub(super) fn add_days(&mut self, series: &SeriesTable, windows: &WindowTable, of: &Values) {
        let day = |at: usize| {
            let start = Timestamp::from_millis(windows.rows[at].start_ms);
            Day::of(Hour::of(start))
        };
        for (at, window) in windows.rows.iter().enumerate() {
            let service = series.sources[window.source as usize].service();
            let of_day = self.days.entry(day(at)).or_default();
            let count = of_day.entry((service.to_owned(), String::new()));
            *count.or_default() += i128::from(window.count);
        }
        for (at, range) in of.runs() {
            for row in range {
                let of_day = self.days.entry(day(of.windows[row] as usize)).or_default();
                *of_day.entry(key(series, at)).or_default() += i128::from(of.values[row]);
            }
        }
    }

    /// The first difference of an hour: what differs, and the value here and in `other`.
    pub(super) fn difference(&self, other: &Self, hour: Hour) -> Option<String> {
        let of = |totals: &Self| -> ByKey {
            let of_hour = totals
                .by_key
                .iter()
                .filter(|((of, ..), sum)| *of == hour && **sum != 0);
            of_hour.map(|(key, sum)| (key.clone(), *sum)).collect()
        };
        let (here, there) = (of(self), of(other));
        let keys = here.keys().chain(there.keys());
        let differs = |key: &&(Hour, String, String)| here.get(*key) != there.get(*key);
        let key = keys
            .min()
            .into_iter()
            .chain(here.keys())
            .chain(there.keys())
            .find(differs)?;
        let (_, service, kind) = key;
        let what = if kind.is_empty() { "windows" } else { kind };
        let value = |of: &ByKey| of.get(key).copied().unwrap_or(0);
        Some(format!(
            "{what} of {service}: {} here, {} in the pieces with windows",
            value(&here),
            value(&there)
        ))
    }
}

/// Service and type of a series.
fn key(series: &SeriesTable, at: usize) -> (String, String) {
    let of = &series.rows[at];
    let service = series.sources[of.source as usize].service();
    (service.to_owned(), of.kind.to_string())
}

/// The first difference between the sums of a day in a month block and in its day block.
pub(super) fn sums_differ(month: &BlockSums, day: &BlockSums) -> Option<String> {
    let value = |of: &BlockSums, key| of.get(key).copied().unwrap_or(0);
    let mut keys = month.keys().chain(day.keys());
    let key = keys.find(|key| value(month, *key) != value(day, *key))?;
    let (service, kind) = key;
    let what = if kind.is_empty() { "windows" } else { kind };
    Some(format!(
        "{what} of {service}: {} here, {} in the day block",
        value(month, key),
        value(day, key)
    ))
}
