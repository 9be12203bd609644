//! The number that a timer's signal carries: which timer it is, so that the handler needs no table of threads.
//!
//! ```text
//! | magic: 24 bits | period in nanoseconds: 30 bits | preferred buffer: 10 bits |
//! ```

use super::buffer::BUFFERS_MAX;
use std::time::Duration;

/// Distinguishes our timers from those of other code that uses SIGPROF.
const MAGIC: u64 = 0x44_4156;
/// The same for timers that start a perf event: the other bits are the number of the event.
const EVENT_MAGIC: u64 = 0x44_4157;
const MAGIC_SHIFT: u32 = 40;
const PERIOD_BITS: u32 = 30;
const BUFFER_BITS: u32 = BUFFERS_MAX.trailing_zeros();

/// The CPU time that one tick of a timer stands for, and the buffer to try first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimerValue {
    pub(super) period_nanos: u64,
    pub(super) buffer: usize,
}

impl TimerValue {
    /// The value of a timer; periods are limited to a second.
    pub(super) fn new(period: Duration, buffer: usize) -> Self {
        Self {
            period_nanos: period.min(Duration::from_secs(1)).as_nanos() as u64,
            buffer: buffer % BUFFERS_MAX,
        }
    }

    pub(super) fn to_signal(self) -> usize {
        let low = self.period_nanos << BUFFER_BITS | self.buffer as u64;
        (MAGIC << MAGIC_SHIFT | low) as usize
    }

    /// The value that a signal carries; none if it is not from one of our timers.
    #[inline]
    pub(super) fn of_signal(value: usize) -> Option<Self> {
        let value = value as u64;
        (value >> MAGIC_SHIFT == MAGIC).then_some(Self {
            period_nanos: value >> BUFFER_BITS & ((1 << PERIOD_BITS) - 1),
            buffer: value as usize % BUFFERS_MAX,
        })
    }
}

/// The value of the timer that starts the perf event with this number.
pub(super) fn event_to_signal(number: usize) -> usize {
    (EVENT_MAGIC << MAGIC_SHIFT | number as u64) as usize
}

/// The number of the perf event that a timer starts; none if the timer is another one.
#[inline]
pub(super) fn event_of_signal(value: usize) -> Option<usize> {
    let value = value as u64;
    let number = value & ((1 << MAGIC_SHIFT) - 1);
    (value >> MAGIC_SHIFT == EVENT_MAGIC).then_some(number as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signal_returns_period_and_buffer_of_its_timer_and_rejects_other_values() {
        for (nanos, buffer) in [(1_000_000_000, 1_023), (1_000_000, 0), (1, 7)] {
            let value = TimerValue::new(Duration::from_nanos(nanos), buffer);
            assert_eq!((value.period_nanos, value.buffer), (nanos, buffer));
            assert_eq!(TimerValue::of_signal(value.to_signal()), Some(value));
        }
        for other in [0, 1_023, usize::MAX, 0x7fff_1234_5678] {
            assert_eq!(TimerValue::of_signal(other), None);
        }
    }
}
