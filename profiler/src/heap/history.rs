//! The heap at earlier times, with a resolution that decreases with age.

#[cfg(not(feature = "jemalloc"))]
use super::off::Totals;
#[cfg(feature = "jemalloc")]
use super::totals::Totals;
use std::time::Duration;

/// Maximum number of readings. They reach back for hours: the gap before a reading is at most its age.
const READINGS_MAX: usize = 24;
/// Maximum number of stack totals in all readings, about 5 MB.
const TOTALS_MAX: usize = 100_000;

/// Totals at earlier times, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct History(Vec<(Duration, Totals)>);

impl History {
    /// Adds a reading at the monotonic time `now`.
    pub(crate) fn add(&mut self, now: Duration, totals: Totals) {
        self.0.push((now, totals));
        while self.0.len() > READINGS_MAX || self.totals() > TOTALS_MAX && self.0.len() > 1 {
            self.0.remove(self.most_redundant(now));
        }
    }

    fn totals(&self) -> usize {
        self.0.iter().map(|(_, totals)| totals.len()).sum()
    }

    /// Index of the reading whose neighbours are nearest to each other, relative to its age.
    fn most_redundant(&self, now: Duration) -> usize {
        let gap = |at: usize| {
            let between = self.0[at + 1].0.saturating_sub(self.0[at - 1].0);
            let age = now.saturating_sub(self.0[at].0);
            between.as_secs_f64() / age.as_secs_f64().max(1e-3)
        };
        let inner = 1..self.0.len().saturating_sub(1);
        let least = inner.min_by(|a, b| gap(*a).total_cmp(&gap(*b)));
        least.unwrap_or(0)
    }

    /// The last reading at or before a time, or the oldest one if there is none, with its own time.
    pub(crate) fn find(&self, at: Duration) -> Option<(Duration, &Totals)> {
        let before = self.0.iter().rev().find(|(then, _)| *then <= at);
        let found = before.or_else(|| self.0.first())?;
        Some((found.0, &found.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_reaches_back_for_hours_and_is_densest_for_recent_times() {
        let mut history = History::default();
        let window = Duration::from_secs(10);
        for at in 1..=2_000u32 {
            history.add(window * at, Totals::default());
        }
        let now = window * 2_000;
        assert!(history.0.len() <= READINGS_MAX);
        for ago in [10, 30, 60, 300, 3_600, 10_000] {
            let ago = Duration::from_secs(ago);
            let (at, _) = history.find(now.saturating_sub(ago)).expect("a reading");
            let ratio = now.saturating_sub(at).as_secs_f64() / ago.as_secs_f64();
            assert!((1.0..2.1).contains(&ratio), "{ago:?}: {ratio}");
        }
    }
}
