//! How many may be inside at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Counts who is inside, and lets nobody in past a limit. Cheap to clone; clones are the same gate.
///
/// It holds within a process; a limit across several needs somebody who sees them all.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<AtomicU32>);

/// A place inside; it is free again when this is dropped.
#[derive(Debug)]
#[must_use = "the place is free again as soon as this is dropped"]
pub struct Slot(Arc<AtomicU32>);

impl Gate {
    /// Nobody is inside.
    pub fn new() -> Self {
        Self::default()
    }

    /// A place inside, unless `limit` are taken already. Without a limit it only counts.
    ///
    /// The limit is that of this moment: where it became lower than the number inside, nobody is
    /// thrown out, and nobody gets in until enough have left.
    pub fn enter(&self, limit: Option<u32>) -> Option<Slot> {
        let limit = limit.unwrap_or(u32::MAX);
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |inside| {
                (inside < limit).then(|| inside + 1)
            })
            .ok()?;
        Some(Slot(self.0.clone()))
    }

    /// How many are inside.
    pub fn inside(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_gets_past_the_limit_and_a_dropped_place_is_free() {
        let gate = Gate::new();
        let places: Vec<_> = (0..3).filter_map(|_| gate.enter(Some(2))).collect();
        assert_eq!((places.len(), gate.inside()), (2, 2));
        drop(places);
        assert!(gate.enter(Some(1)).is_some());
        assert_eq!(gate.inside(), 0);
    }

    #[test]
    fn a_lowered_limit_waits_for_enough_to_leave() {
        let gate = Gate::new();
        let mut places: Vec<_> = (0..5).filter_map(|_| gate.enter(None)).collect();
        assert!(gate.enter(Some(3)).is_none());
        places.truncate(3);
        assert!(gate.enter(Some(3)).is_none());
        places.truncate(2);
        assert!(gate.enter(Some(3)).is_some());
    }

    #[test]
    fn threads_together_never_exceed_the_limit() {
        let gate = Gate::new();
        let highest = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        if let Some(_place) = gate.enter(Some(2)) {
                            highest.fetch_max(gate.inside(), Ordering::AcqRel);
                        }
                    }
                });
            }
        });
        assert!(highest.load(Ordering::Acquire) <= 2);
        assert_eq!(gate.inside(), 0);
    }
}
