//! A higher sampling rate while the process is idle.
//!
//! The kernel delivers a CPU timer's signal at its tick, to the thread that is running at that moment. An idle process
//! runs in short bursts, of which few meet a tick. At the configured rate, most of those that do are not sampled
//! either, because less CPU time than the period has passed. At a higher rate they all are, each with its right
//! weight. While little CPU time is used, this costs little.

use crate::clock;
use crate::sampler::HZ_MAX;
use std::time::Duration;

const FACTOR: u32 = 10;
/// Share of one CPU below which the process is idle.
const BEGIN_BELOW: f64 = 0.05;
/// Share of one CPU above which it is not.
const END_ABOVE: f64 = 0.1;
/// How long the process must be idle before the rate is raised.
const BEGIN_AFTER: Duration = Duration::from_secs(10);
/// How often the CPU time is read while the rate is raised.
const END_AFTER: Duration = Duration::from_secs(1);

/// Whether the rate is raised.
#[derive(Debug)]
pub(super) struct IdleBoost {
    is_on: bool,
    /// Instant and CPU time of the last reading.
    at: Duration,
    cpu_nanos: u64,
}

impl IdleBoost {
    /// The rate is not raised before the CPU time has been read again.
    pub(super) fn new(now: Duration) -> Self {
        Self {
            is_on: false,
            at: now,
            cpu_nanos: clock::process_cpu_nanos(),
        }
    }

    /// The rate to sample at instead of `hz`.
    pub(super) fn rate(&self, hz: u32) -> u32 {
        if self.is_on {
            hz.saturating_mul(FACTOR).min(HZ_MAX).max(hz)
        } else {
            hz
        }
    }

    /// Reads the CPU time if that is due, and returns whether the rate has changed.
    pub(super) fn update(&mut self, now: Duration) -> bool {
        let elapsed = now.saturating_sub(self.at);
        if elapsed < if self.is_on { END_AFTER } else { BEGIN_AFTER } {
            return false;
        }
        self.read(now, clock::process_cpu_nanos())
    }

    fn read(&mut self, now: Duration, cpu_nanos: u64) -> bool {
        let elapsed = now.saturating_sub(self.at).as_nanos().max(1) as f64;
        let share = cpu_nanos.saturating_sub(self.cpu_nanos) as f64 / elapsed;
        (self.at, self.cpu_nanos) = (now, cpu_nanos);
        let is_on = share < if self.is_on { END_ABOVE } else { BEGIN_BELOW };
        std::mem::replace(&mut self.is_on, is_on) != is_on
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_is_raised_for_an_idle_process_and_lowered_for_a_busy_one() {
        let mut idle = IdleBoost {
            is_on: false,
            at: Duration::ZERO,
            cpu_nanos: 0,
        };
        let mut cpu = 0;
        let mut check = |seconds: u64, share: f64, changes: bool, rate: u32| {
            cpu += (share * 1e9) as u64;
            assert_eq!(idle.read(Duration::from_secs(seconds), cpu), changes);
            assert_eq!(idle.rate(100), rate);
        };
        check(1, 0.06, false, 100);
        check(2, 0.04, true, 1_000);
        check(3, 0.09, false, 1_000);
        check(4, 0.11, true, 100);
        assert_eq!(idle.rate(0), 0);
    }
}
