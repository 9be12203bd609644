//! Live sampled allocations by address.
//!
//! A hash table with open addressing and no locks. It needs none, because from its allocation to its
//! release only one thread at a time inserts or removes an address. A sample may be replaced by any thread meanwhile:
//! removing takes the value that is there then, and it is replaced only while it is there.

use super::stacks;
use std::sync::atomic::{AtomicU64, Ordering};

/// 131,072 samples are 64 GiB of live heap at one sample per 512 KiB.
const SLOTS: usize = 1 << 17;
const PROBES_MAX: usize = 64;

const FREE: u64 = 0;
/// The allocation was removed. The slot may be reused, and a search continues past it.
const REMOVED: u64 = 1;
/// In use, its value not written yet.
const CLAIMED: u64 = 2;

/// A value packs the stack, the logarithm of the rate and the size, from the highest bits to the lowest.
const SIZE_BITS: u32 = 42;
const RATE_BITS: u32 = 6;

static KEYS: [AtomicU64; SLOTS] = [const { AtomicU64::new(FREE) }; SLOTS];
static VALUES: [AtomicU64; SLOTS] = [const { AtomicU64::new(0) }; SLOTS];

/// A sampled allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    /// Number of its stack and tag.
    pub(super) stack: u16,
    /// Logarithm to base 2 of the rate at which it was sampled.
    pub(super) rate: u8,
    /// Size of the allocation in bytes, below 2^42.
    pub(super) size: u64,
}

fn first_slot(address: u64) -> usize {
    // Fibonacci hashing. Sampled allocations are page-aligned.
    ((address >> 12).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize % SLOTS
}

fn slots(address: u64) -> impl Iterator<Item = usize> {
    let first = first_slot(address);
    (0..PROBES_MAX).map(move |probe| (first + probe) % SLOTS)
}

impl Sample {
    pub(super) fn pack(self) -> u64 {
        u64::from(self.stack) << (SIZE_BITS + RATE_BITS)
            | u64::from(self.rate) << SIZE_BITS
            | self.size.min((1 << SIZE_BITS) - 1)
    }

    pub(super) fn unpack(value: u64) -> Self {
        Self {
            stack: (value >> (SIZE_BITS + RATE_BITS)) as u16,
            rate: (value >> SIZE_BITS) as u8 & ((1 << RATE_BITS) - 1),
            size: value & ((1 << SIZE_BITS) - 1),
        }
    }

    /// What the sample stands for: objects in units of 1/1024, and bytes.
    ///
    /// An allocation is sampled with probability `1 - exp(-size / rate)`, because the gaps between sampled bytes
    /// are exponentially distributed. A release subtracts exactly what its allocation added, even if the rate
    /// was changed in between.
    pub(super) fn weight(self) -> (i64, i64) {
        let rate = (1u64 << self.rate) as f64;
        let size = self.size as f64;
        let objects = 1.0 / -f64::exp_m1(-size.max(1.0) / rate);
        ((objects * stacks::OBJECT) as i64, (objects * size) as i64)
    }
}

/// Inserts an allocation; `false` if the table is full.
pub(super) fn insert(address: u64, sample: Sample) -> bool {
    for slot in slots(address) {
        let key = KEYS[slot].load(Ordering::Relaxed);
        if key > REMOVED {
            continue;
        }
        let claimed =
            KEYS[slot].compare_exchange(key, CLAIMED, Ordering::AcqRel, Ordering::Relaxed);
        if claimed.is_ok() {
            VALUES[slot].store(sample.pack(), Ordering::Relaxed);
            KEYS[slot].store(address, Ordering::Release);
            return true;
        }
    }
    false
}

/// Removes an allocation and returns it.
pub(super) fn remove(address: u64) -> Option<Sample> {
    let slot = find(address)?;
    // From here on, `replace` changes nothing.
    let value = VALUES[slot].swap(0, Ordering::Relaxed);
    KEYS[slot].store(REMOVED, Ordering::Release);
    Some(Sample::unpack(value))
}

/// Replaces the sample of an allocation; `false` if it has been removed. Any thread may call this.
pub(super) fn replace(address: u64, old: Sample, new: Sample) -> bool {
    find(address).is_some_and(|slot| {
        let (old, new) = (old.pack(), new.pack());
        VALUES[slot]
            .compare_exchange(old, new, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    })
}

fn find(address: u64) -> Option<usize> {
    for slot in slots(address) {
        let key = KEYS[slot].load(Ordering::Acquire);
        if key == address {
            return Some(slot);
        }
        if key == FREE {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocations_are_found_until_they_are_removed() {
        std::thread::scope(|scope| {
            for thread in 0..4u64 {
                scope.spawn(move || {
                    let address = |i: u64| (1 << 40) + (thread * 10_000 + i) * 4_096;
                    let sample = |i: u64| Sample {
                        stack: thread as u16,
                        rate: 19 + thread as u8,
                        size: i + 1,
                    };
                    for round in 0..20 {
                        for i in 0..2_000 {
                            assert!(insert(address(i), sample(i)), "round {round}");
                        }
                        for i in 0..2_000 {
                            assert_eq!(remove(address(i)), Some(sample(i)));
                            assert_eq!(remove(address(i)), None);
                        }
                    }
                });
            }
        });
    }
}
