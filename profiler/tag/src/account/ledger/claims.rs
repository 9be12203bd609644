//! Claims: untagged segments that get a tag at their end.

use super::{Account, LEDGER, Ledger, add, open};
use crate::account::ticks;
use crate::current;
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

/// A claim charges a whole segment at its end. One with more CPU time than this stays untagged, so that the
/// window of the end is not charged for many windows.
const CLAIMED_NANOS_MAX: u64 = 10_000_000_000;

/// Charges the untagged segment of the calling thread to `tag`, and starts another one.
pub(crate) fn claimed(tag: u32) {
    if let Some(ledger) = LEDGER.with(Cell::get) {
        if ledger.is_claimable() {
            ledger.relabel(tag);
        }
        ledger.charge(current::base());
        return;
    }
    // All of its work so far was untagged.
    open(current::base());
    let Some(ledger) = LEDGER.with(Cell::get) else {
        return;
    };
    if ticks::has_begun_before_this_thread() {
        let account = ledger.account(tag);
        let nanos = ledger.reading_nanos.load(Ordering::Relaxed);
        add(&account.cpu_nanos, nanos);
        add(&account.other_ticks, ticks::scale().to_ticks(nanos));
        add(&account.allocated_bytes, ledger.allocated_now());
    }
}

impl Account {
    /// What the end of a park moves to a tag.
    pub(super) fn amounts(&self) -> [&AtomicU64; 4] {
        [
            &self.cpu_ticks,
            &self.cpu_nanos,
            &self.other_ticks,
            &self.allocated_bytes,
        ]
    }
}

impl Ledger {
    /// Whether the segment in progress is short enough to be claimed as a whole; see [`CLAIMED_NANOS_MAX`].
    fn is_claimable(&self) -> bool {
        let passed = self.passed(ticks::now());
        passed < ticks::scale().to_ticks(CLAIMED_NANOS_MAX)
            || self.cpu_of(passed, ticks::thread_cpu_nanos()) < CLAIMED_NANOS_MAX
    }
}
