//! Accounting of the memory of request bodies and open segments.

use crate::error::{Error, ErrorKind, Result};
use prometheus::IntGauge;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bodies up to this size may use the last quarter of the budget.
const SMALL_BYTES: usize = 1 << 20;

/// A number of bytes that all requests share. Cheap to clone.
#[derive(Clone)]
pub(super) struct MemoryBudget(Arc<Shared>);

struct Shared {
    used: AtomicUsize,
    limit: usize,
    gauge: IntGauge,
}

impl MemoryBudget {
    pub(super) fn new(limit: usize, gauge: IntGauge) -> Self {
        Self(Arc::new(Shared {
            used: AtomicUsize::new(0),
            limit,
            gauge,
        }))
    }

    /// A reservation of 0 bytes.
    pub(super) fn reserve(&self) -> Reservation {
        Reservation {
            budget: self.clone(),
            bytes: 0,
        }
    }

    /// Adds bytes, even above the limit, and returns how many are in use.
    pub(super) fn add(&self, bytes: usize) -> usize {
        let used = self.0.used.fetch_add(bytes, Ordering::AcqRel) + bytes;
        self.0.gauge.set(used as i64);
        used
    }

    /// Returns bytes that were added.
    pub(super) fn release(&self, bytes: usize) {
        let before = self.0.used.fetch_sub(bytes, Ordering::AcqRel);
        self.0.gauge.set(before.saturating_sub(bytes) as i64);
    }

    fn used(&self) -> usize {
        self.0.used.load(Ordering::Acquire)
    }
}

/// Bytes that count as used until this is dropped.
pub struct Reservation {
    budget: MemoryBudget,
    bytes: usize,
}

impl Reservation {
    /// Reserves memory for more of a body that is still arriving. Large bodies leave a quarter of
    /// the budget to small ones, so that slow large uploads do not block everything else.
    pub(super) fn grow_body(&mut self, bytes: usize) -> Result<()> {
        let limit = self.budget.0.limit;
        if self.bytes + bytes > SMALL_BYTES && self.budget.used() + bytes > limit / 4 * 3 {
            return Err(full());
        }
        self.grow(bytes)
    }

    /// Reserves more; fails if the budget is used up.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<()> {
        self.bytes += bytes;
        if self.budget.add(bytes) > self.budget.0.limit {
            return Err(full());
        }
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.release(self.bytes);
    }
}

fn full() -> Error {
    Error::new(
        ErrorKind::Busy,
        "the buffers of this archiver are full; retry in a second",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reservation_is_released_when_dropped_and_the_limit_is_inclusive() {
        let gauge = IntGauge::new("bytes", "Bytes.").expect("valid");
        let budget = MemoryBudget::new(100, gauge.clone());
        let mut first = budget.reserve();
        first.grow(60).expect("within the limit");
        let mut second = budget.reserve();
        second.grow(40).expect("exactly the limit");
        assert_eq!(gauge.get(), 100);
        assert_eq!(second.grow(1).map_err(|e| e.kind), Err(ErrorKind::Busy));
        drop((first, second));
        assert_eq!((budget.used(), gauge.get()), (0, 0));
    }

    #[test]
    fn large_bodies_leave_a_quarter_to_small_ones() {
        let gauge = IntGauge::new("bytes", "Bytes.").expect("valid");
        let budget = MemoryBudget::new(8 << 20, gauge);
        let mut large = budget.reserve();
        large.grow_body(6 << 20).expect("three quarters");
        assert!(large.grow_body(1).is_err());
        let mut small = budget.reserve();
        small.grow_body(1 << 20).expect("small");
        assert!(small.grow_body(1).is_err(), "no longer small");
    }
}
