//! The series of each tenant and hour, as far as they are counted, and whether more fit.

use crate::key::{Hour, Tenant};
use rustc_hash::FxHashSet;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use xxhash_rust::xxh3::Xxh3;

/// Maximum number of series that are counted of all tenants and hours together; 18 bytes each.
const COUNTED: usize = 2_500_000;
/// Overflow series that an hour may have in addition to its limit, so that a small limit never refuses the samples of a
/// service.
const OVERFLOW: usize = 1_000;

/// The series of an hour.
#[derive(Debug, Default)]
struct HourSeries {
    whole: FxHashSet<u64>,
    overflow: FxHashSet<u64>,
}

impl HourSeries {
    fn len(&self) -> usize {
        self.whole.len() + self.overflow.len()
    }
}

/// Adds keys to a set unless it would have more than `limit`.
fn fits(set: &mut FxHashSet<u64>, keys: &[u64], limit: usize) -> bool {
    let new = keys.iter().filter(|key| !set.contains(key)).count();
    // Known series do not count as new, even if the limit has been lowered since.
    if new > 0 && set.len() + new > limit {
        return false;
    }
    set.extend(keys);
    true
}

/// The series of all tenants and hours.
#[derive(Debug, Default)]
pub(super) struct SeriesCounts(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    hours: BTreeMap<(Tenant, Hour), HourSeries>,
    counted: usize,
}

/// Counts series of one tenant and hour by their keys. Returns false, and counts none of them, if the new ones exceed
/// the limit.
pub(crate) type CountSeries<'a> = dyn FnMut(SeriesLabels, &[u64]) -> bool + 'a;

/// Whether labels of series are stored as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SeriesLabels {
    /// As they are.
    Whole,
    /// Some are replaced by `(overflow)` or left out.
    Overflow,
}

impl SeriesCounts {
    /// Calls `each` with a function that counts series.
    pub(super) fn count<T>(
        &self,
        tenant: &Tenant,
        hour: Hour,
        limit: usize,
        each: impl FnOnce(&mut CountSeries<'_>) -> T,
    ) -> T {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = &mut *counts;
        let key = (tenant.clone(), hour);
        let series = counts.hours.entry(key).or_default();
        let before = series.len();
        let overflow = limit.saturating_add(OVERFLOW);
        let result = each(&mut |labels, keys| match labels {
            SeriesLabels::Whole => fits(&mut series.whole, keys, limit),
            SeriesLabels::Overflow => fits(&mut series.overflow, keys, overflow),
        });
        counts.counted += series.len() - before;
        if counts.counted > COUNTED || counts.hours.len() > HOURS {
            counts.forget(tenant, hour);
        }
        result
    }
}

/// Maximum number of hours of tenants whose series are counted.
const HOURS: usize = 10_000;

impl Counts {
    /// Forgets the oldest hours until half of what may be counted is left. Their series count as new from then on.
    fn forget(&mut self, tenant: &Tenant, hour: Hour) {
        let mut hours: Vec<(Hour, Tenant)> = self
            .hours
            .keys()
            .map(|(tenant, hour)| (*hour, tenant.clone()))
            .collect();
        hours.sort();
        for (of, owner) in hours {
            if self.counted <= COUNTED / 2 && self.hours.len() <= HOURS / 2 {
                return;
            }
            if (&owner, of) != (tenant, hour)
                && let Some(series) = self.hours.remove(&(owner, of))
            {
                self.counted -= series.len();
            }
        }
    }
}

/// A hash of several texts that depends on where each of them ends.
pub(crate) fn hash<'a>(texts: impl IntoIterator<Item = &'a str>) -> u64 {
    let mut hash = Xxh3::new();
    for text in texts {
        hash.update(&(text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    }
    hash.digest()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Hour = Hour(7);

    fn tenant(name: &str) -> Tenant {
        Tenant::new(name).expect("a name")
    }

    #[test]
    fn new_series_do_not_fit_above_the_limit_and_known_ones_do() {
        use SeriesLabels::{Overflow, Whole};
        let counts = SeriesCounts::default();
        let check = |name: &str, limit, labels, keys: &[u64], expected| {
            let fits = counts.count(&tenant(name), HOUR, limit, |count| count(labels, keys));
            assert_eq!(fits, expected, "{name} {limit} {labels:?} {keys:?}");
        };
        check("a", 3, Whole, &[1, 2], true);
        check("a", 3, Whole, &[3, 4], false);
        check("a", 3, Whole, &[3], true);
        check("a", 3, Whole, &[4], false);
        check("a", 1, Whole, &[1, 3], true);
        check("b", 3, Whole, &[9], true);
        for key in 0..OVERFLOW as u64 {
            check("a", 0, Overflow, &[key], true);
        }
        check("a", 0, Overflow, &[5_000], false);
    }

    #[test]
    fn counted_hours_are_bounded_and_the_oldest_are_forgotten() {
        let counts = SeriesCounts::default();
        for hour in 0..2 * HOURS as i64 {
            counts.count(&tenant("a"), Hour(hour), 9, |count| {
                count(SeriesLabels::Whole, &[hour as u64])
            });
        }
        let known = counts.0.lock().expect("no panic");
        assert!(known.hours.len() <= HOURS, "{}", known.hours.len());
        assert_eq!(known.counted, known.hours.len());
        assert!(
            known
                .hours
                .contains_key(&(tenant("a"), Hour(2 * HOURS as i64 - 1)))
        );
    }
}
