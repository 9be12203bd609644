//! The sampling rate of each sample.
//!
//! jemalloc draws the distance to a thread's next sample when it takes the one before, and to its first
//! sample when the thread starts. A change of the rate does not affect distances already drawn, so each
//! thread's next sample after it belongs to the old rate. With the weight of the new rate, a thread that
//! allocated kilobytes could show up with a gigabyte.

use std::cell::Cell;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Number of changes that are remembered. A thread that is older than all of them and was never sampled is
/// treated as if it had started just before the first.
const CHANGES_MAX: usize = 16;
const RATE_BITS: u32 = 8;

/// Logarithm to base 2 of the mean distance between sampled bytes; 0 before sampling starts.
static RATE: AtomicU8 = AtomicU8::new(0);
/// The rate at which jemalloc draws distances now. During a change, when both rates are possible, the shorter distance: a
/// sample may stand for too little then, but never for gigabytes that were not allocated.
static DRAWING: AtomicU8 = AtomicU8::new(0);
/// For each change, the lowest id of a thread that started after it, and the rate before it. The latest
/// change comes first; unused entries are 0.
static CHANGES: [AtomicU64; CHANGES_MAX] = [const { AtomicU64::new(0) }; CHANGES_MAX];
static LOCK: Mutex<()> = Mutex::new(());

thread_local! {
    /// The rate at which the distance to this thread's next sample was drawn; 0 before its first sample.
    static DRAWN: Cell<u8> = const { Cell::new(0) };
}

/// The current rate, as a logarithm to base 2.
pub(super) fn now() -> u8 {
    RATE.load(Ordering::Acquire)
}

/// Notes the rate that the allocator started with.
pub(super) fn begin(log2: u8) {
    if now() == 0 {
        DRAWING.store(log2, Ordering::Release);
        RATE.store(log2, Ordering::Release);
    }
}

/// Changes the rate by `apply`, and notes the change if that succeeds.
pub(super) fn change(log2: u8, apply: impl FnOnce() -> bool) -> bool {
    let _guard = LOCK.lock().unwrap_or_else(PoisonError::into_inner);
    let before = now();
    DRAWING.store(before.min(log2), Ordering::Release);
    if !apply() {
        DRAWING.store(before, Ordering::Release);
        return false;
    }
    DRAWING.store(log2, Ordering::Release);
    // Thread ids increase, so a thread with this id or a higher one starts after the change.
    let newest = std::thread::Builder::new().spawn(own_id);
    if let Some(newest) = newest.ok().and_then(|thread| thread.join().ok()) {
        for at in (1..CHANGES_MAX).rev() {
            let later = CHANGES[at - 1].load(Ordering::Relaxed);
            CHANGES[at].store(later, Ordering::Relaxed);
        }
        CHANGES[0].store(newest << RATE_BITS | u64::from(before), Ordering::Relaxed);
    }
    RATE.store(log2, Ordering::Release);
    true
}

/// The rate of the sample that the calling thread is taking.
pub(super) fn of_sample() -> u8 {
    let next = DRAWING.load(Ordering::Acquire);
    match DRAWN.with(|drawn| drawn.replace(next)) {
        0 => rate_at_start(now()),
        drawn => drawn,
    }
}

/// The rate when the calling thread started.
fn rate_at_start(now: u8) -> u8 {
    let changes = CHANGES.iter().map(|change| change.load(Ordering::Relaxed));
    let mut changes = changes.take_while(|change| *change != 0).peekable();
    if changes.peek().is_none() {
        return now;
    }
    let own = own_id();
    // The earliest change since the thread started.
    let seen = changes.take_while(|change| own < change >> RATE_BITS);
    seen.last().map_or(now, |change| change as u8)
}

fn own_id() -> u64 {
    // SAFETY: returns a number.
    unsafe { libc::gettid() }.unsigned_abs().into()
}
