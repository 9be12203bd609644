//! Accounting of CPU time, polls and allocated bytes by tag: exact, not sampled.
//!
//! Whenever a thread's tag changes, the thread reads the processor's cycle counter and charges the cycles
//! since the last change, a segment, to the previous tag. Cycles also pass while a thread is not running.
//! So for a segment in which the thread left its processor, or of more than 100 us, the CPU time is taken
//! from the thread's CPU clock, which is about twenty times slower to read.
//!
//! Each thread writes its own ledger, without locks; [`usage`](crate::usage()) adds the ledgers up.

pub(crate) mod allocated;
pub(crate) mod buckets;
pub(crate) mod ledger;
mod rseq;
pub(crate) mod ticks;

use std::sync::atomic::{AtomicBool, Ordering};

static IS_ON: AtomicBool = AtomicBool::new(false);

/// Whether segments and polls are charged. Costs one relaxed load.
#[inline]
pub(crate) fn is_on() -> bool {
    IS_ON.load(Ordering::Relaxed)
}

/// Enables accounting for the rest of the process's life. Before that, a change of tags costs one
/// additional load.
pub fn start_accounting() {
    ticks::begin();
    crate::current::start();
    IS_ON.store(true, Ordering::Release);
}
