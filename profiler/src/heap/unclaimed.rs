//! Live samples of untagged work, until it is known whom the work was for.
//!
//! A library allocates on a blocking thread, and the future that waits for it claims the work a moment later
//! ([`davy_tag::Tag::claim`]). The sample then moves from the untagged stack to the same stack under the tag.

use super::live::{self, Sample};
use super::stacks;
use davy_tag::Origin;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Samples that are kept; a later one takes the place of the oldest, which stays untagged. At one sample per 512 KiB,
/// these are 512 MiB of allocations between two calls of [`settle`].
const SLOTS: usize = 1_024;

/// No origin: the slot is free, or being written.
const FREE: u32 = 0;

struct Slot {
    /// Number of the origin.
    origin: AtomicU32,
    address: AtomicU64,
    /// The sample, packed.
    sample: AtomicU64,
    /// Number of the reading of the totals that came before the allocation.
    reading: AtomicU64,
}

static RING: [Slot; SLOTS] = [const {
    Slot {
        origin: AtomicU32::new(FREE),
        address: AtomicU64::new(0),
        sample: AtomicU64::new(0),
        reading: AtomicU64::new(0),
    }
}; SLOTS];
static NEXT: AtomicUsize = AtomicUsize::new(0);
/// How often the totals were read.
static READINGS: AtomicU64 = AtomicU64::new(0);

/// Notes a live sample of untagged work. Called by the allocator's hook.
pub(super) fn note(origin: Origin, address: u64, sample: Sample) {
    let slot = &RING[NEXT.fetch_add(1, Ordering::Relaxed) % SLOTS];
    slot.origin.store(FREE, Ordering::Relaxed);
    slot.address.store(address, Ordering::Relaxed);
    slot.sample.store(sample.pack(), Ordering::Relaxed);
    let reading = READINGS.load(Ordering::Relaxed);
    slot.reading.store(reading, Ordering::Relaxed);
    slot.origin.store(origin.number(), Ordering::Release);
}

/// Moves the samples whose work was claimed to the tag that claimed it.
pub(crate) fn settle() {
    for slot in &RING {
        let number = slot.origin.load(Ordering::Acquire);
        if number == FREE {
            continue;
        }
        let Some(tag) = Origin::from_number(number).tag() else {
            continue;
        };
        let address = slot.address.load(Ordering::Relaxed);
        let sample = Sample::unpack(slot.sample.load(Ordering::Relaxed));
        let is_unread = slot.reading.load(Ordering::Relaxed) == READINGS.load(Ordering::Relaxed);
        // Another thread may settle it, or the hook may have taken the slot.
        let taken = slot
            .origin
            .compare_exchange(number, FREE, Ordering::AcqRel, Ordering::Relaxed);
        if taken.is_err() {
            continue;
        }
        let stack = stacks::with_tag(sample.stack, tag);
        if !live::replace(address, sample, Sample { stack, ..sample }) {
            // Released in the meantime.
            continue;
        }
        let (objects, bytes) = sample.weight();
        stacks::add_live(sample.stack, -objects, -bytes);
        stacks::add_live(stack, objects, bytes);
        // What a reading has shown as allocated stays there, so that the difference of two readings is never negative.
        if is_unread {
            stacks::add_allocated(sample.stack, -objects, -bytes);
            stacks::add_allocated(stack, objects, bytes);
        }
    }
}

/// Notes that the totals are being read.
pub(super) fn count_reading() {
    READINGS.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use davy_tag::Tag;

    #[test]
    fn sample_moves_to_the_tag_that_claims_its_work_unless_it_was_released() {
        let tag = Tag::new("unclaimed", "moves");
        let allocate = |address: u64| {
            let origin = Origin::of_this_thread();
            let stack = stacks::find(Tag::UNTAGGED, &[address, 7]);
            let sample = Sample {
                stack,
                rate: 19,
                size: 1 << 20,
            };
            let (objects, bytes) = sample.weight();
            assert!(live::insert(address, sample));
            stacks::add_live(stack, objects, bytes);
            stacks::add_allocated(stack, objects, bytes);
            note(origin, address, sample);
            (stack, bytes)
        };
        // Other tests of this process allocate; these addresses are no allocations.
        let [kept, released, read] = [0x1000, 0x2000, 0x3000].map(|low| 0xdead_0000_0000 + low);
        std::thread::spawn(move || {
            let (stack, bytes) = allocate(read);
            count_reading();
            let (kept_stack, _) = allocate(kept);
            allocate(released);
            settle();
            assert_eq!(
                live::remove(released).map(|sample| sample.size),
                Some(1 << 20)
            );
            assert_eq!(
                stacks::entry(kept_stack).live(),
                bytes,
                "nothing has claimed the work so far"
            );
            tag.claim();
            settle();
            for (address, stack, allocated) in [(kept, kept_stack, bytes), (read, stack, 0)] {
                let moved = stacks::with_tag(stack, tag);
                assert_eq!(stacks::entry(stack).live(), 0);
                assert_eq!(stacks::entry(stack).allocated(), bytes - allocated);
                assert_eq!(stacks::entry(moved).live(), bytes);
                assert_eq!(stacks::entry(moved).allocated(), allocated);
                assert_eq!(
                    live::remove(address).map(|sample| sample.stack),
                    Some(moved)
                );
            }
        })
        .join()
        .expect("no panic");
    }
}
