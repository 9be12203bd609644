//! When a read is sent a second time because its answer is late.

use crate::retry::Budget;
use std::collections::VecDeque;
use std::time::Duration;

/// Recent reads that are remembered.
const RECENT: usize = 256;
/// Reads that must be known before one is hedged.
const KNOWN: usize = 32;
/// No read is hedged earlier: the second request would cost more than it gains.
const DELAY_MIN: Duration = Duration::from_millis(20);
/// Hedges as a share of all reads. The 95th percentile alone would hedge as many.
const SHARE: f64 = 0.05;
/// Hedges that can follow each other at once.
const BURST: f64 = 10.0;

/// Durations of recent reads, and the budget of hedges.
#[derive(Debug)]
pub(crate) struct Hedges {
    recent: VecDeque<Duration>,
    /// Reads until the percentile is computed again.
    stale: usize,
    p95: Option<Duration>,
    budget: Budget,
}

impl Hedges {
    pub(crate) fn new() -> Self {
        Self {
            recent: VecDeque::with_capacity(RECENT),
            stale: 0,
            p95: None,
            budget: Budget::new(BURST, SHARE),
        }
    }

    /// Remembers a successful read.
    pub(crate) fn record(&mut self, duration: Duration) {
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(duration);
        self.budget.earn();
        if self.stale == 0 && self.recent.len() >= KNOWN {
            let mut sorted: Vec<Duration> = self.recent.iter().copied().collect();
            sorted.sort_unstable();
            self.p95 = sorted.get(sorted.len() * 95 / 100).copied();
            self.stale = KNOWN;
        }
        self.stale = self.stale.saturating_sub(1);
    }

    /// After which time a read is sent again; `None` while too few reads are known.
    pub(crate) fn delay(&self) -> Option<Duration> {
        Some(self.p95?.max(DELAY_MIN))
    }

    /// Takes a hedge from the budget.
    pub(crate) fn spend(&mut self) -> bool {
        self.budget.spend()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delay_is_the_95th_percentile_of_recent_reads() {
        let mut hedges = Hedges::new();
        for millis in 0..31 {
            hedges.record(Duration::from_millis(millis));
        }
        assert_eq!(hedges.delay(), None);
        for _ in 0..1_000 {
            hedges.record(Duration::from_millis(1));
        }
        assert_eq!(hedges.delay(), Some(DELAY_MIN));
        for at in 0..1_000 {
            hedges.record(Duration::from_millis(if at % 10 == 0 { 500 } else { 30 }));
        }
        assert_eq!(hedges.delay(), Some(Duration::from_millis(500)));
    }

    #[test]
    fn hedges_are_a_bounded_share_of_reads() {
        let mut hedges = Hedges::new();
        let mut sent = 0;
        for _ in 0..10_000 {
            hedges.record(Duration::from_millis(1));
            sent += usize::from(hedges.spend());
        }
        assert!((490..=510).contains(&sent), "{sent}");
    }
}
