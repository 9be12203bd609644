//! The flight recorder: when memory is nearly used up, the heap goes out at once.
//!
//! A process that is killed for its memory takes the answer along. So at 80, 90 and 95 % of the
//! nearest limit the heap's largest stacks are sent (and written to the spool, if there is one)
//! without waiting for a window to end.
//!
//! It can't count on memory by then: its thread has an allocator arena of its own whose address
//! space was taken at the start, it sends no more than a bounded number of stacks, and names come
//! from what is known, or from the symbol table where there is room for a look at it.

mod limit;

use crate::aggregate::{Aggregate, Filter};
use crate::assemble::{Kind, Taken};
use crate::heap;
use crate::push::Outbox;
use davy_base::Clock;
use davy_tag::Tag;
use limit::{Limits, Use};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::Thread;
use std::time::Duration;
#[cfg(feature = "jemalloc")]
pub(crate) use told::on_allocated;

/// Percents of the limit at which the heap goes out, once each while memory only grows.
const MARKS: [u64; 3] = [80, 90, 95];
/// Below this the marks count again.
const CALM: u64 = 75;
/// From here on names are looked up in advance, while there is room for it.
const ALERT: u64 = 60;
/// Room that a symbolizing child needs beside this process.
const CHILD_BYTES: u64 = 64 << 20;
/// How often the limits are looked at when nothing is allocated.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// And after how many allocated bytes at the latest: a limit may be set at any time.
const LOOK_BYTES: u64 = 64 << 20;
/// Stacks that are sent, those with the most living bytes.
const STACKS_MAX: usize = 1_000;
/// Address space that only the recorder's thread allocates from.
const RESERVE: usize = 8 << 20;

#[cfg_attr(
    not(feature = "jemalloc"),
    expect(dead_code, reason = "nobody tells of allocations")
)]
mod told {
    use super::{LOOK_AT, THREAD};
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Bytes allocated, by samples, since the limits were looked at.
    static ALLOCATED: AtomicU64 = AtomicU64::new(0);

    /// Told by the allocator's hook of every sample; allocates nothing and waits for nobody.
    pub(crate) fn on_allocated(bytes: u64) {
        if ALLOCATED.fetch_add(bytes, Ordering::Relaxed) < LOOK_AT.load(Ordering::Relaxed) {
            return;
        }
        ALLOCATED.store(0, Ordering::Relaxed);
        if let Ok(thread) = THREAD.try_lock()
            && let Some(thread) = &*thread
        {
            thread.unpark();
        }
    }
}

/// After how many allocated bytes the limits are looked at again.
static LOOK_AT: AtomicU64 = AtomicU64::new(u64::MAX);
static THREAD: Mutex<Option<Thread>> = Mutex::new(None);

/// Stops the recorder's thread.
#[derive(Debug, Default)]
pub(crate) struct Switch(AtomicBool);

impl Switch {
    pub(crate) fn stop(&self) {
        self.0.store(true, Ordering::Release);
        if let Some(thread) = THREAD.lock().unwrap_or_else(PoisonError::into_inner).take() {
            thread.unpark();
        }
    }
}

/// The recorder's thread.
pub(crate) fn run(
    outbox: &Outbox,
    settings: &crate::push::Settings,
    clock: &Clock,
    switch: &Switch,
) {
    let _guard = Tag::new("profiler", "recorder").enter();
    heap::reserve(RESERVE);
    *THREAD.lock().unwrap_or_else(PoisonError::into_inner) = Some(std::thread::current());
    let (limits, mut sender) = (Limits::find(), outbox.urgent(settings));
    let (mut marked, mut is_alert) = (0, false);
    while !switch.0.load(Ordering::Acquire) {
        let near = limits.nearest();
        let percent = near.map_or(0, Use::percent);
        // A hundredth of what is left, so that no mark is passed by unseen.
        let next = near.map_or(LOOK_BYTES, |near| {
            (near.left() / 100).clamp(1 << 20, LOOK_BYTES)
        });
        LOOK_AT.store(next, Ordering::Relaxed);
        let mark = MARKS.iter().filter(|mark| percent >= **mark).count();
        if percent < CALM && marked > 0 {
            marked = 0;
            sender.calm();
        }
        if mark > marked
            && let Some(near) = near
        {
            marked = mark;
            if let Some((aggregate, taken)) = largest(clock) {
                sender.send(&aggregate, taken, near.left());
                tracing::warn!(percent, "memory is nearly used up; the heap was sent");
            }
            continue;
        }
        is_alert &= percent >= ALERT;
        let room = near.map_or(0, Use::left);
        if percent >= ALERT && !is_alert && room > CHILD_BYTES {
            is_alert = true;
            if let Some((aggregate, _)) = largest(clock) {
                outbox.name_soon(aggregate);
            }
        }
        std::thread::park_timeout(LOOK_EVERY);
    }
}

/// The stacks with the most living bytes. What was allocated is left to the window that is open.
fn largest(clock: &Clock) -> Option<(Aggregate, Taken)> {
    let state = heap::state().ok()?;
    let now = heap::Totals::now().largest(STACKS_MAX);
    let mut aggregate = Aggregate::default();
    heap::add(&mut aggregate, &Filter::default(), &now, Some(&now), None);
    let taken = Taken {
        kind: Kind::Heap,
        start: clock.now(),
        span: Duration::ZERO,
        period: state.rate_bytes,
    };
    (!aggregate.samples.is_empty()).then_some((aggregate, taken))
}
