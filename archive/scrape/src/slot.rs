//! Slots of time, which are the same for all replicas.

use davy_base::Timestamp;
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64;

/// The slots of a target: of one interval each, shifted by an offset of its own, so that targets are scraped one after the
/// other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slots {
    interval_ms: i64,
    offset_ms: i64,
}

impl Slots {
    /// Those of the target with this key.
    pub(crate) fn new(key: &str, interval: Duration) -> Self {
        let interval_ms = i64::try_from(interval.as_millis())
            .unwrap_or(i64::MAX)
            .max(1);
        Self {
            interval_ms,
            offset_ms: (xxh3_64(key.as_bytes()) % interval_ms as u64) as i64,
        }
    }

    /// The number of the slot that a time is in.
    pub(crate) fn at(self, now: Timestamp) -> i64 {
        (now.millis() - self.offset_ms).div_euclid(self.interval_ms)
    }

    /// When a slot begins.
    pub(crate) fn start(self, slot: i64) -> Timestamp {
        Timestamp::from_millis(slot * self.interval_ms + self.offset_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_cover_time_without_gaps_and_differ_between_targets() {
        let interval = Duration::from_secs(15);
        let slots = Slots::new("a", interval);
        let slot = slots.at(Timestamp::from_seconds(1_000_000));
        assert_eq!(slots.at(slots.start(slot)), slot);
        assert_eq!(slots.start(slot + 1).since(slots.start(slot)), interval);
        assert_eq!(
            slots.at(slots.start(slot + 1).minus(Duration::from_millis(1))),
            slot
        );
        assert_ne!(Slots::new("b", interval), slots);
    }
}
