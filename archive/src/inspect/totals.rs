//! Totals by hour, service and type, by which levels are compared.

use crate::format::batch::WindowId;
use crate::format::tables::{SeriesTable, Values, WindowTable};
use crate::key::Hour;
use davy_base::Timestamp;
use rustc_hash::FxHashSet;
use std::collections::BTreeMap;

/// Totals of values, and numbers of windows (with an empty type).
type ByKey = BTreeMap<(Hour, String, String), i128>;

/// Totals of pieces that are added in the order of reading. A window counts once.
#[derive(Default)]
pub(super) struct Totals {
    seen: FxHashSet<WindowId>,
    by_key: ByKey,
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
