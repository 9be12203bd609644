//! What signal handlers write to: a few buffers that all threads share.
//!
//! A handler holds a buffer for as long as it runs, about a microsecond. So as many buffers are needed as
//! handlers may run at the same time, not one per thread, and an idle thread costs no memory.

use super::ring::{Ring, Writer};
use crate::unwind::{self, Cache};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Maximum number of buffers.
pub(super) const BUFFERS_MAX: usize = 1 << 10;
/// Number of buffers on a small machine. Up to this number of threads, each has a cache of its own.
const BUFFERS_MIN: usize = 16;
/// A handler may lose its processor while it holds a buffer.
const BUFFERS_PER_CPU: usize = 2;

/// The first [`COUNT`] entries are set.
static BUFFERS: [AtomicPtr<Buffer>; BUFFERS_MAX] =
    [const { AtomicPtr::new(std::ptr::null_mut()) }; BUFFERS_MAX];
static COUNT: AtomicUsize = AtomicUsize::new(0);
static GROWING: Mutex<()> = Mutex::new(());

/// Samples dropped because every buffer was full or held by another handler.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// A ring for samples, and a cache of unwind rules. Never freed, because a late signal may use it; the next
/// sampler takes it over.
pub(super) struct Buffer {
    is_busy: AtomicBool,
    pub(super) ring: Ring,
    pub(super) counts: Counts,
    cache: UnsafeCell<Cache>,
}

/// Counters of one buffer since the process began. Written by the handler that holds it.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) samples: AtomicU64,
    pub(super) truncated: AtomicU64,
    pub(super) overruns: AtomicU64,
    pub(super) handler_nanos: AtomicU64,
}

// SAFETY: everything but the cache is atomic; the cache is only touched by the handler that holds
// `is_busy`.
unsafe impl Sync for Buffer {}

impl Buffer {
    fn new() -> Self {
        Self {
            is_busy: AtomicBool::new(false),
            ring: Ring::new(),
            counts: Counts::default(),
            cache: UnsafeCell::new(unwind::new_cache()),
        }
    }

    /// Discards what an earlier sampler left. In a forked child the handler that held `is_busy` in the
    /// parent does not run, so the flag is cleared.
    pub(super) fn reset(&self, is_forked: bool) {
        if is_forked {
            self.is_busy.store(false, Ordering::Release);
        }
        self.ring.drain(|_| ());
    }

    /// Empties the cache of unwind rules, unless a handler holds the buffer.
    pub(super) fn clear_cache(&'static self) {
        if let Some(held) = self.take() {
            *held.cache() = unwind::new_cache();
        }
    }

    /// Takes the buffer, unless another handler holds it.
    #[inline]
    fn take(&'static self) -> Option<HeldBuffer> {
        let is_free = !self.is_busy.swap(true, Ordering::Acquire);
        // Not `then_some`: the value that it would drop releases the buffer.
        is_free.then(|| HeldBuffer(self))
    }
}

/// A buffer that the calling handler holds until this value is dropped.
pub(super) struct HeldBuffer(&'static Buffer);

impl HeldBuffer {
    pub(super) fn counts(&self) -> &'static Counts {
        &self.0.counts
    }

    #[inline]
    #[expect(clippy::mut_from_ref, reason = "called once per handler")]
    pub(super) fn cache(&self) -> &mut Cache {
        // SAFETY: `is_busy` is held, and no handler asks for the cache twice.
        unsafe { &mut *self.0.cache.get() }
    }
}

impl Drop for HeldBuffer {
    #[inline]
    fn drop(&mut self) {
        self.0.is_busy.store(false, Ordering::Release);
    }
}

/// Every buffer made so far.
pub(super) fn all() -> impl Iterator<Item = &'static Buffer> {
    let made = &BUFFERS[..COUNT.load(Ordering::Acquire)];
    // SAFETY: the entries below the count are leaked buffers.
    made.iter()
        .map(|buffer| unsafe { &*buffer.load(Ordering::Acquire) })
}

/// Number of samples dropped since the process began.
pub(super) fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// Makes buffers for this many threads, up to the number that can be in use at the same time. Returns how many
/// there are.
pub(super) fn make_for(threads: usize) -> usize {
    static CPUS: OnceLock<usize> = OnceLock::new();
    let cpus = *CPUS.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from));
    make(threads.min((cpus * BUFFERS_PER_CPU).clamp(BUFFERS_MIN, BUFFERS_MAX)))
}

fn make(wanted: usize) -> usize {
    let _growing = GROWING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut count = COUNT.load(Ordering::Acquire);
    while count < wanted {
        let buffer = Box::into_raw(Box::new(Buffer::new()));
        BUFFERS[count].store(buffer, Ordering::Release);
        count += 1;
        COUNT.store(count, Ordering::Release);
    }
    count
}

/// Takes a buffer that no other handler holds and that has space for a sample: the one with the index `preferred`
/// if possible. Counts the sample as dropped if there is none. Neither waits nor allocates.
#[inline]
pub(super) fn take(preferred: usize) -> Option<(HeldBuffer, Writer<'static>)> {
    take_at(preferred).or_else(|| take_any(preferred))
}

#[inline]
fn take_at(index: usize) -> Option<(HeldBuffer, Writer<'static>)> {
    // SAFETY: null, or a buffer that was leaked.
    let buffer = unsafe {
        BUFFERS[index % BUFFERS_MAX]
            .load(Ordering::Acquire)
            .as_ref()
    }?;
    let held = buffer.take()?;
    let writer = buffer.ring.writer()?;
    Some((held, writer))
}

/// Apart from the loop of [`take_any`], which would keep the addresses of functions of other crates in registers: the audit
/// of the signal handler does not know what is called then.
#[inline(never)]
fn take_apart(index: usize) -> Option<(HeldBuffer, Writer<'static>)> {
    take_at(index)
}

#[cold]
#[inline(never)]
fn take_any(preferred: usize) -> Option<(HeldBuffer, Writer<'static>)> {
    let count = COUNT.load(Ordering::Acquire);
    // A loop without iterators: their functions may be shared with other crates, and then calls go through a pointer.
    let mut step = 1;
    while step < count {
        if let Some(taken) = take_apart((preferred + step) % count) {
            return Some(taken);
        }
        step += 1;
    }
    DROPPED.fetch_add(1, Ordering::Relaxed);
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use davy_tag::SpanIds;

    /// One test, because buffers are shared by the process.
    #[test]
    fn handler_skips_buffers_that_are_held_or_full() {
        assert!(make(3) >= 3);
        let buffers: Vec<_> = all().collect();
        let taken = || {
            let (held, _) = take(1)?;
            buffers
                .iter()
                .position(|buffer| std::ptr::eq(*buffer, held.0))
        };
        assert_eq!(taken(), Some(1));
        let first = buffers[1].take().expect("it is free");
        assert_eq!(taken(), Some(2));
        while let Some(mut writer) = buffers[2].ring.writer() {
            while writer.push(1) {}
            writer.publish(1, 0, SpanIds::default());
        }
        let others: Vec<_> = buffers[3..].iter().map(|buffer| buffer.take()).collect();
        assert_eq!(taken(), Some(0));
        let before = dropped();
        let last = buffers[0].take().expect("it is free");
        assert_eq!(taken(), None);
        assert_eq!(dropped(), before + 1);
        drop((first, others, last));
        assert_eq!(taken(), Some(1));
    }
}
