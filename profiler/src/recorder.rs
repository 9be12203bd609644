//! The flight recorder: when memory is nearly exhausted, the heap profile is sent immediately.
//!
//! A process that is killed for its memory use loses the profile that would explain it. So at 80, 90 and
//! 95 % of the nearest limit the largest stacks of the heap are sent, and written to the spool if there is
//! one, without waiting for the end of a window.
//!
//! Memory may not be available by then: the recorder's thread has an allocator arena whose address space is
//! reserved at the start, it sends a bounded number of stacks, and names come from the cache, or from the
//! symbol table if there is enough memory to read it.

mod limit;

use crate::aggregate::{Aggregate, Filter};
use crate::push::{Outbox, Settings};
use crate::sample_kind::{ProfileMeta, SampleKind};
use crate::{allocation_alarm, heap};
use davy_base::Clock;
use davy_tag::Tag;
use limit::{Limits, Usage};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Percentages of the limit at which the heap is sent, once each while memory grows.
const SEND_PERCENT: [u64; 3] = [80, 90, 95];
/// Below this percentage, all of `SEND_PERCENT` are armed again.
const REARM_PERCENT: u64 = 75;
/// From this percentage on names are looked up in advance, if there is enough memory for that.
const PREFETCH_PERCENT: u64 = 60;
/// Memory that a symbolizing child needs.
const CHILD_BYTES: u64 = 64 << 20;
/// How often the limits are checked if nothing is allocated.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// Maximum number of allocated bytes between two checks, because a limit may be set at any time.
const CHECK_BYTES_MAX: u64 = 64 << 20;
/// Minimum number of allocated bytes between two checks, which bounds their cost.
const CHECK_BYTES_MIN: u64 = 1 << 20;
/// Number of stacks that are sent, those with the most live bytes.
const STACKS_MAX: usize = 1_000;
/// Address space that is reserved for the recorder's thread.
const RESERVED_BYTES: usize = 8 << 20;

/// Stops the recorder's thread.
#[derive(Debug, Default)]
pub(crate) struct StopFlag(AtomicBool);

impl StopFlag {
    pub(crate) fn stop(&self) {
        self.0.store(true, Ordering::Release);
        allocation_alarm::remove_thread();
    }
}

/// The main function of the recorder's thread.
pub(crate) fn run(outbox: &Outbox, settings: &Settings, clock: &Clock, stop: &StopFlag) {
    let _guard = Tag::new("profiler", "recorder").enter();
    heap::reserve(RESERVED_BYTES);
    allocation_alarm::set_thread(std::thread::current());
    let (limits, mut sender) = (Limits::find(), outbox.urgent_sender(settings));
    let (mut sent, mut is_prefetched) = (0, false);
    while !stop.0.load(Ordering::Acquire) {
        let nearest = limits.nearest();
        let percent = nearest.map_or(0, Usage::percent);
        // A hundredth of what is left, so that no percentage is skipped.
        let threshold = nearest.map_or(CHECK_BYTES_MAX, |usage| {
            (usage.available() / 100).clamp(CHECK_BYTES_MIN, CHECK_BYTES_MAX)
        });
        allocation_alarm::set_threshold(threshold);
        let reached = SEND_PERCENT.iter().filter(|at| percent >= **at).count();
        if percent < REARM_PERCENT {
            sent = 0;
        }
        let is_low = reached > 0 || sent > 0;
        outbox.is_memory_low.store(is_low, Ordering::Relaxed);
        if reached > sent {
            sent = reached;
            if let Some((aggregate, meta)) = largest(clock) {
                sender.send(&aggregate, meta);
                tracing::warn!(percent, "memory nearly exhausted, pushing heap profile");
            }
            continue;
        }
        is_prefetched &= percent >= PREFETCH_PERCENT;
        let available = nearest.map_or(0, Usage::available);
        if percent >= PREFETCH_PERCENT && !is_prefetched && available > CHILD_BYTES {
            is_prefetched = true;
            if let Some((aggregate, _)) = largest(clock) {
                outbox
                    .symbols
                    .request(&crate::loader::list(), &aggregate.addresses);
            }
        }
        std::thread::park_timeout(CHECK_EVERY);
    }
}

/// The stacks with the most live bytes. Allocations are left to the open window.
fn largest(clock: &Clock) -> Option<(Aggregate, ProfileMeta)> {
    let period = heap::rate_bytes().ok()?;
    let now = heap::Totals::now().largest(STACKS_MAX);
    let mut aggregate = Aggregate::default();
    heap::add(&mut aggregate, &Filter::default(), &now, Some(&now), None);
    let meta = ProfileMeta {
        kind: SampleKind::Heap,
        start: clock.now(),
        span: Duration::ZERO,
        period,
    };
    (!aggregate.samples.is_empty()).then_some((aggregate, meta))
}
