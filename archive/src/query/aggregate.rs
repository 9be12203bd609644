//! How the values of a query are added up over time, and what that takes.

use super::params::Ask;
use super::scan::Query;
use super::visit::{Depth, View, Visitor};
use crate::error::Result;
use crate::format::batch::{Series, Source};
use crate::types::{Aggregation, TypeFilter, TypeId, aggregation};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Number of windows of each source.
pub(super) type Counts = FxHashMap<Source, u64>;

/// How values are added up.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// How, for a query of one sample type.
    pub(super) aggregation: Aggregation,
    /// What decided it: `type`, the profile's own form (`profile`), or nothing (`default`).
    pub(super) source: &'static str,
    /// Number of windows of each source, if averages are needed.
    pub(super) counts: Option<Counts>,
}

#[derive(Default)]
struct Count {
    windows: Counts,
    has_state: bool,
}

impl Visitor for Count {
    const DEPTH: Depth = Depth::Windows;

    fn visit(&mut self, view: &View<'_>) -> Result<()> {
        let Some(windows) = view.windows else {
            return Ok(());
        };
        let included = windows.rows.iter().zip(view.included);
        for (window, _) in included.filter(|(_, included)| **included) {
            let source = &view.series.sources[window.source as usize];
            *self.windows.entry(Arc::clone(source)).or_default() += u64::from(window.count);
        }
        let wanted = view.series.rows.iter().zip(view.wanted);
        self.has_state |= wanted
            .filter(|(_, wanted)| **wanted)
            .any(|(series, _)| series.header.is_state);
        Ok(())
    }
}

/// How the values of a series are added up.
pub(super) fn of_series(series: &Series) -> Aggregation {
    let by_name = aggregation(&TypeId::parse(&series.kind).sample);
    by_name.unwrap_or(if series.header.is_state {
        Aggregation::Average
    } else {
        Aggregation::Sum
    })
}

impl Plan {
    /// Decides how the values of a query are added up, and counts windows if necessary.
    pub(super) async fn of(query: &Query, ask: &Ask) -> Result<Self> {
        let sum = Self {
            aggregation: Aggregation::Sum,
            source: "type",
            counts: None,
        };
        let Some(filter) = &ask.kind else {
            return Ok(sum);
        };
        let by_name = match filter {
            TypeFilter::Family(_) => None,
            filter => aggregation(&filter.sample_and_unit().0),
        };
        if by_name == Some(Aggregation::Sum) {
            return Ok(sum);
        }
        let (count, _) = query.scan(ask, Count::default()).await?;
        let (aggregation, source) = match by_name {
            Some(by_name) => (by_name, "type"),
            None if count.has_state => (Aggregation::Average, "profile"),
            None => (Aggregation::Sum, "default"),
        };
        let is_needed =
            aggregation == Aggregation::Average || matches!(filter, TypeFilter::Family(_));
        Ok(Self {
            aggregation,
            source,
            counts: is_needed.then_some(count.windows),
        })
    }

    /// The number by which sums of a source are divided; 1 if they are not averaged.
    pub(super) fn divisor(&self, source: &Source, aggregation: Aggregation) -> i128 {
        match (&self.counts, aggregation) {
            (Some(counts), Aggregation::Average) => {
                i128::from(counts.get(source).copied().unwrap_or(1).max(1))
            }
            _ => 1,
        }
    }
}

/// Averages are kept in units of this fraction until the end. Each part of a sum is cut to it.
pub(super) const FRACTIONS: i128 = 1 << 40;

/// More than what the parts of a sum can lose together.
const LOST: i128 = 1 << 20;

/// The closest number to a number of [`FRACTIONS`]. Halves become the next number, also if parts of the sum were cut: the
/// same windows have the same average, whichever pieces hold them.
pub(super) fn nearest(fractions: i128) -> i128 {
    let half = FRACTIONS / 2 + LOST;
    fractions.saturating_add(half).div_euclid(FRACTIONS)
}

/// The closest number to a number of [`FRACTIONS`] that 64 bits hold.
pub(super) fn rounded(fractions: i128) -> i64 {
    nearest(fractions).clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn average_does_not_depend_on_how_windows_are_divided_into_parts() {
        for windows in 1..60 {
            for total in 0..200 {
                let whole = total * FRACTIONS / windows;
                let parts = (0..total).map(|_| FRACTIONS / windows);
                assert_eq!(nearest(whole), nearest(parts.sum()), "{total} / {windows}");
                let expected = (2 * total + windows).div_euclid(2 * windows);
                assert_eq!(nearest(whole), expected, "{total} / {windows}");
            }
        }
    }
}
