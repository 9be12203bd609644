//! A hash table from pairs of numbers to numbers, for trees and dictionaries with millions of lookups.

/// A hash table from `(u32, u32)` to a `u32` other than 0, which marks free slots.
///
/// Slots contain the keys, so a lookup takes one memory access; a table of indices into columns
/// would take four.
#[derive(Clone, Debug, Default)]
pub struct Pairs {
    /// Zero or a power of two slots, probed linearly from the slot of the hash.
    slots: Vec<Slot>,
    count: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    first: u32,
    second: u32,
    value: u32,
}

/// The multiplier of wyhash.
const SPREAD: u64 = 0xa076_1d64_78bd_642f;

impl Pairs {
    /// Returns an empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of pairs.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are no pairs.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns the value of a pair. A new pair gets `value`, which must not be 0.
    #[inline]
    pub fn find_or_insert(&mut self, first: u32, second: u32, value: u32) -> u32 {
        debug_assert_ne!(value, 0, "0 marks free slots");
        if self.count >= self.capacity() {
            self.grow(self.count + 1);
        }
        let slot = slot_of(&mut self.slots, first, second);
        if slot.value == 0 {
            *slot = Slot {
                first,
                second,
                value,
            };
            self.count += 1;
        }
        slot.value
    }

    /// Reserves capacity for `pairs` more pairs.
    pub fn reserve(&mut self, pairs: usize) {
        if self.count + pairs > self.capacity() {
            self.grow(self.count + pairs);
        }
    }

    /// Number of pairs that the slots may hold: a load factor of 5/8 keeps probe sequences short.
    #[inline]
    fn capacity(&self) -> usize {
        self.slots.len() / 8 * 5
    }

    #[cold]
    fn grow(&mut self, pairs: usize) {
        let slots = (pairs.saturating_mul(8) / 5 + 8).next_power_of_two();
        let before = std::mem::replace(&mut self.slots, vec![Slot::default(); slots]);
        for slot in before.into_iter().filter(|slot| slot.value != 0) {
            *slot_of(&mut self.slots, slot.first, slot.second) = slot;
        }
    }
}

/// The slot of a pair, or the free slot for it. At least one slot must be free.
#[inline]
fn slot_of(slots: &mut [Slot], first: u32, second: u32) -> &mut Slot {
    let product = u128::from(u64::from(first) << 32 | u64::from(second)) * u128::from(SPREAD);
    let mask = slots.len() - 1;
    let mut at = ((product >> 64) as u64 ^ product as u64) as usize & mask;
    loop {
        let slot = &slots[at];
        if slot.value == 0 || (slot.first, slot.second) == (first, second) {
            return &mut slots[at];
        }
        at = (at + 1) & mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_keep_their_first_value_when_the_table_grows() {
        let mut pairs = Pairs::new();
        for round in 0..2 {
            for n in 0..10_000 {
                let value = n + 1 + round * 20_000;
                assert_eq!(pairs.find_or_insert(n / 100, n % 100, value), n + 1);
            }
        }
        assert_eq!(pairs.len(), 10_000);
        pairs.reserve(100_000);
        assert_eq!(pairs.find_or_insert(7, 7, u32::MAX), 708);
        assert_eq!(pairs.find_or_insert(u32::MAX, 0, 9), 9);
    }
}
