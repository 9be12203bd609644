//! When segments are written: soon as long as few are, and once per interval when many are.

use std::time::Duration;

/// How long segments stay open while there is credit. Pushes that arrive together share a segment.
const SOON: Duration = Duration::from_millis(200);

/// Number of flushes that can be saved up.
const SAVED: u32 = 12;

/// Flushes that may happen before their time. Each interval earns one, so on average there is at most one per interval.
/// A client that pushes less often is answered soon; under load, segments stay open for the interval.
#[derive(Debug)]
pub(super) struct Credit {
    /// Time between two flushes under load.
    interval: Duration,
    /// Time for which no flush has happened, at most that of [`SAVED`] intervals.
    earned: Duration,
    /// When `earned` was counted.
    counted_at: Duration,
}

impl Credit {
    /// Full credit.
    pub(super) fn new(interval: Duration, now: Duration) -> Self {
        Self {
            interval,
            earned: interval.saturating_mul(SAVED),
            counted_at: now,
        }
    }

    /// How long segments that were opened now stay open.
    pub(super) fn wait(&mut self, now: Duration) -> Duration {
        let passed = now.saturating_sub(self.counted_at);
        let full = self.interval.saturating_mul(SAVED);
        self.earned = self.earned.saturating_add(passed).min(full);
        self.counted_at = now;
        let missing = self.interval.saturating_sub(self.earned);
        missing.max(SOON.min(self.interval))
    }

    /// A flush happened.
    pub(super) fn spend(&mut self) {
        self.earned = self.earned.saturating_sub(self.interval);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(5);

    /// Times of flushes in ten minutes, if a push arrives every `gap` and waits for its flush.
    fn flushes(gap: Duration) -> (Vec<Duration>, Duration) {
        let mut credit = Credit::new(INTERVAL, Duration::ZERO);
        let (mut now, mut times, mut longest) = (Duration::ZERO, Vec::new(), Duration::ZERO);
        while now < Duration::from_mins(10) {
            let opened = now;
            now += credit.wait(now);
            // The answer to the push that opened the segment.
            longest = longest.max(now.saturating_sub(opened));
            times.push(now);
            credit.wait(now);
            credit.spend();
            let next = opened + gap;
            now = now.max(next);
        }
        (times, longest)
    }

    #[test]
    fn rare_pushes_are_written_soon() {
        for gap in [5, 6, 15, 60] {
            let (_, longest) = flushes(Duration::from_secs(gap));
            assert_eq!(longest, SOON, "a push every {gap} s");
        }
    }

    #[test]
    fn frequent_pushes_are_written_once_per_interval() {
        for gap in [
            Duration::ZERO,
            Duration::from_millis(300),
            Duration::from_secs(2),
        ] {
            let (times, longest) = flushes(gap);
            let saved = SAVED as usize;
            let in_time = 10 * 60 / 5;
            assert!(
                (in_time..=in_time + saved + 1).contains(&times.len()),
                "{} flushes with a push every {gap:?}",
                times.len()
            );
            assert!(longest <= INTERVAL, "{longest:?}");
            // Later ones are an interval apart.
            let late = &times[times.len() - 20..];
            let apart = late.windows(2).map(|pair| pair[1].saturating_sub(pair[0]));
            assert!(
                apart
                    .min()
                    .is_some_and(|apart| apart >= Duration::from_secs(4))
            );
        }
    }

    #[test]
    fn short_intervals_are_kept_and_credit_is_bounded() {
        let mut credit = Credit::new(Duration::from_millis(50), Duration::ZERO);
        assert_eq!(credit.wait(Duration::ZERO), Duration::from_millis(50));
        let mut credit = Credit::new(Duration::ZERO, Duration::ZERO);
        assert_eq!(credit.wait(Duration::from_secs(9)), Duration::ZERO);
        let mut credit = Credit::new(INTERVAL, Duration::ZERO);
        credit.wait(Duration::from_hours(9));
        for _ in 0..SAVED {
            assert_eq!(credit.wait(Duration::from_hours(9)), SOON);
            credit.spend();
        }
        assert_eq!(credit.wait(Duration::from_hours(9)), INTERVAL);
    }
}
