//! What the signal handler of one thread writes to.

use super::ring::Ring;
use crate::unwind::{self, Cache};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Threads that can be sampled at a time.
pub(super) const SLOTS: usize = 4_096;

/// Marks the values of our timers, to recognize a SIGPROF of another timer.
const MAGIC: usize = 0x4441_5659 << 32;

static BY_INDEX: [AtomicPtr<Slot>; SLOTS] = [const { AtomicPtr::new(std::ptr::null_mut()) }; SLOTS];

/// Every slot made so far. Slots outlive a sampler, because late signals refer to them; the next sampler
/// takes them over.
static POOL: Mutex<Vec<&'static Slot>> = Mutex::new(Vec::new());

/// A ring and counters for the handler of one thread. Never freed: when the thread has ended, another
/// one takes over its slot.
pub(super) struct Slot {
    pub(super) index: usize,
    pub(super) ring: Ring,
    /// The timer's period: the CPU time that one sample stands for.
    pub(super) period_nanos: AtomicU64,
    pub(super) counts: Counts,
    is_busy: AtomicBool,
    cache: UnsafeCell<Cache>,
}

/// Counters of one slot since the process began.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) samples: AtomicU64,
    pub(super) ring_full: AtomicU64,
    pub(super) truncated: AtomicU64,
    pub(super) overruns: AtomicU64,
    pub(super) handler_nanos: AtomicU64,
}

// SAFETY: everything but the cache is atomic; the cache is only touched by the handler that holds
// `is_busy`.
unsafe impl Sync for Slot {}

impl Slot {
    /// A new slot; none if there are [`SLOTS`] already.
    pub(super) fn create() -> Option<&'static Self> {
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        let index = pool.len();
        if index >= SLOTS {
            return None;
        }
        let slot: &'static Self = Box::leak(Box::new(Self {
            index,
            ring: Ring::new(),
            period_nanos: AtomicU64::new(0),
            counts: Counts::default(),
            is_busy: AtomicBool::new(false),
            cache: UnsafeCell::new(unwind::new_cache()),
        }));
        BY_INDEX[index].store(std::ptr::from_ref(slot).cast_mut(), Ordering::Release);
        pool.push(slot);
        Some(slot)
    }

    /// Every slot made so far.
    pub(super) fn all() -> Vec<&'static Self> {
        POOL.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The slot of a timer, by the value that its signal carries; none if it is not one of ours.
    pub(super) fn by_signal_value(value: usize) -> Option<&'static Self> {
        let slot = BY_INDEX.get(value ^ MAGIC)?;
        // SAFETY: null, or a slot that was leaked.
        unsafe { slot.load(Ordering::Acquire).as_ref() }
    }

    /// The value for the timer of this slot to carry.
    pub(super) fn signal_value(&self) -> usize {
        MAGIC | self.index
    }

    /// Discards what an earlier sampler left. In a forked child the handler that held `is_busy` in the
    /// parent does not run, so the flag is cleared.
    pub(super) fn reset(&self, is_forked: bool) {
        if is_forked {
            self.is_busy.store(false, Ordering::Release);
        }
        self.ring.drain(|_| ());
    }

    /// Empties the cache of unwind rules, unless the slot's handler is running.
    pub(super) fn clear_cache(&self) {
        self.with_cache(|cache| *cache = unwind::new_cache());
    }

    /// Runs `work` with the cache, which no other handler can take meanwhile; `false` if it was taken.
    #[inline]
    pub(super) fn with_cache(&self, work: impl FnOnce(&mut Cache)) -> bool {
        if self.is_busy.swap(true, Ordering::Acquire) {
            return false;
        }
        // SAFETY: `is_busy` is held.
        work(unsafe { &mut *self.cache.get() });
        self.is_busy.store(false, Ordering::Release);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_found_by_the_value_of_their_timers_only() {
        let slot = Slot::create().expect("a slot is free");
        let found = Slot::by_signal_value(slot.signal_value()).expect("the slot is registered");
        assert_eq!(found.index, slot.index);
        assert!(Slot::by_signal_value(slot.index).is_none(), "no magic");
        assert!(
            Slot::by_signal_value(MAGIC | (SLOTS - 1)).is_none(),
            "never made"
        );
    }
}
