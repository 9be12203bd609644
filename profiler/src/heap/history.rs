//! What the heap was earlier, the sparser the longer ago.

use super::Totals;
use std::time::Duration;

/// Together these go back for hours: an old one stays for as long again as it is old.
const KEPT_MAX: usize = 24;
/// Sums of stacks in all of them: some 5 MB.
const SUMS_MAX: usize = 100_000;

/// Totals of earlier instants, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct History(Vec<(Duration, Totals)>);

impl History {
    /// Keeps the totals of now.
    pub(crate) fn keep(&mut self, now: Duration, totals: Totals) {
        self.0.push((now, totals));
        while self.0.len() > KEPT_MAX || self.sums() > SUMS_MAX && self.0.len() > 1 {
            self.0.remove(self.least_missed(now));
        }
    }

    fn sums(&self) -> usize {
        self.0.iter().map(|(_, totals)| totals.len()).sum()
    }

    /// The one whose neighbours lie nearest to each other, measured by how long ago it is.
    fn least_missed(&self, now: Duration) -> usize {
        let gap = |at: usize| {
            let between = self.0[at + 1].0.saturating_sub(self.0[at - 1].0);
            let age = now.saturating_sub(self.0[at].0);
            between.as_secs_f64() / age.as_secs_f64().max(1e-3)
        };
        let inner = 1..self.0.len().saturating_sub(1);
        let least = inner.min_by(|a, b| gap(*a).total_cmp(&gap(*b)));
        least.unwrap_or(0)
    }

    /// The totals of an instant, or of the kept one that lies nearest before it; else of the first
    /// that there are, which may be much later: the answer says how long ago it was.
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
    fn history_reaches_back_for_hours_and_is_dense_where_it_is_young() {
        let mut history = History::default();
        let window = Duration::from_secs(10);
        for at in 1..=2_000u32 {
            history.keep(window * at, Totals::default());
        }
        let now = window * 2_000;
        assert!(history.0.len() <= KEPT_MAX);
        for ago in [10, 30, 60, 300, 3_600, 10_000] {
            let ago = Duration::from_secs(ago);
            let (at, _) = history.find(now.saturating_sub(ago)).expect("kept");
            let ratio = now.saturating_sub(at).as_secs_f64() / ago.as_secs_f64();
            assert!((1.0..2.1).contains(&ratio), "{ago:?}: {ratio}");
        }
    }
}
