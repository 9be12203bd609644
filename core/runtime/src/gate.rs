//! Limits on concurrent requests within a process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Counts requests in progress, and rejects those above a limit. Cheap to clone; clones share the count.
///
/// The limit holds within this process. A limit across processes needs the database.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<AtomicU32>);

/// A slot under a gate's limit, released when it is dropped.
#[derive(Debug)]
#[must_use = "dropping the slot releases it"]
pub struct Slot(Arc<AtomicU32>);

impl Gate {
    /// A gate without requests.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a slot, unless `limit` slots are taken. Without a limit it only counts.
    ///
    /// The limit may change between calls. If it drops below the number of taken slots, those requests
    /// go on, and no slot is free until enough of them have ended.
    pub fn enter(&self, limit: Option<u32>) -> Option<Slot> {
        let limit = limit.unwrap_or(u32::MAX);
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |taken| {
                (taken < limit).then(|| taken + 1)
            })
            .ok()?;
        Some(Slot(self.0.clone()))
    }

    /// The number of taken slots.
    pub fn in_use(&self) -> u32 {
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
    fn slots_never_exceed_the_limit_and_are_released_when_dropped() {
        let gate = Gate::new();
        let slots: Vec<_> = (0..3).filter_map(|_| gate.enter(Some(2))).collect();
        assert_eq!((slots.len(), gate.in_use()), (2, 2));
        drop(slots);
        assert!(gate.enter(Some(1)).is_some());
        assert_eq!(gate.in_use(), 0);
    }

    #[test]
    fn lowered_limit_rejects_until_enough_slots_are_released() {
        let gate = Gate::new();
        let mut slots: Vec<_> = (0..5).filter_map(|_| gate.enter(None)).collect();
        assert!(gate.enter(Some(3)).is_none());
        slots.truncate(3);
        assert!(gate.enter(Some(3)).is_none());
        slots.truncate(2);
        assert!(gate.enter(Some(3)).is_some());
    }

    #[test]
    fn concurrent_threads_never_exceed_the_limit() {
        let gate = Gate::new();
        let highest = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        if let Some(_slot) = gate.enter(Some(2)) {
                            highest.fetch_max(gate.in_use(), Ordering::AcqRel);
                        }
                    }
                });
            }
        });
        assert!(highest.load(Ordering::Acquire) <= 2);
        assert_eq!(gate.in_use(), 0);
    }
}
