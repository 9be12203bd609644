//! The rate at which each sample was taken.
//!
//! jemalloc draws the distance to a thread's next sample when the one before is taken, and to its
//! first when the thread begins. A change of the rate leaves what was drawn as it is, so the first
//! sample of each thread after it stands for the rate before. Weighed by the new one, a thread that
//! allocated kilobytes could show as a gigabyte.

use std::cell::Cell;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Changes that are remembered; threads that are older than all of them and were never sampled are
/// taken to be as old as the first.
const CHANGES: usize = 16;
const RATE_BITS: u32 = 8;

/// The mean distance between sampled bytes is two to the power of this; 0 while nobody samples.
static RATE: AtomicU8 = AtomicU8::new(0);
/// The first number of a thread that began after a change, and the rate before it; the last one
/// first, 0 where there were not as many.
static BEFORE: [AtomicU64; CHANGES] = [const { AtomicU64::new(0) }; CHANGES];
static TURN: Mutex<()> = Mutex::new(());

thread_local! {
    /// At which rate the distance to this thread's next sample was drawn; 0 before its first.
    static DRAWN: Cell<u8> = const { Cell::new(0) };
}

/// The rate now.
pub(super) fn now() -> u8 {
    RATE.load(Ordering::Acquire)
}

/// Notes the rate that the allocator has begun with.
pub(super) fn begin(log2: u8) {
    if now() == 0 {
        RATE.store(log2, Ordering::Release);
    }
}

/// Notes a change, where the allocator makes it.
pub(super) fn change(log2: u8, make: impl FnOnce() -> bool) -> bool {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    if !make() {
        return false;
    }
    // Numbers of threads grow, so those from here on begin after the change.
    let newest = std::thread::Builder::new().spawn(own_number);
    if let Some(newest) = newest.ok().and_then(|thread| thread.join().ok()) {
        for at in (1..CHANGES).rev() {
            let later = BEFORE[at - 1].load(Ordering::Relaxed);
            BEFORE[at].store(later, Ordering::Relaxed);
        }
        BEFORE[0].store(newest << RATE_BITS | u64::from(now()), Ordering::Relaxed);
    }
    RATE.store(log2, Ordering::Release);
    true
}

/// The rate of the sample that this thread takes.
pub(super) fn of_sample() -> u8 {
    let now = now();
    match DRAWN.with(|drawn| drawn.replace(now)) {
        0 => at_birth(now),
        drawn => drawn,
    }
}

/// The rate when this thread began.
fn at_birth(now: u8) -> u8 {
    let changes = BEFORE.iter().map(|change| change.load(Ordering::Relaxed));
    let mut changes = changes.take_while(|change| *change != 0).peekable();
    if changes.peek().is_none() {
        return now;
    }
    let own = own_number();
    // The earliest change that it has seen.
    let seen = changes.take_while(|change| own < change >> RATE_BITS);
    seen.last().map_or(now, |change| change as u8)
}

fn own_number() -> u64 {
    // SAFETY: asks for a number.
    unsafe { libc::gettid() }.unsigned_abs().into()
}
