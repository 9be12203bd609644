//! Numbers by pairs of numbers, for trees and dictionaries that are looked up millions of times.

/// A hash table of `(u32, u32) -> u32` whose slots hold all that a look-up compares: one look-up is
/// one access to memory, where an index into columns would take four.
///
/// 0 marks a free slot, so it is never a value.
#[derive(Clone, Debug, Default)]
pub struct Pairs {
    /// A power of two of them, or none; probed from the hash's place on.
    slots: Vec<Slot>,
    count: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    first: u32,
    second: u32,
    value: u32,
}

/// The multiplier of wyhash, which spreads small numbers over all bits.
const SPREAD: u64 = 0xa076_1d64_78bd_642f;

impl Pairs {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many pairs there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The value of a pair; where it is new, it gets `value`, which must not be 0.
    #[inline]
    pub fn find_or_insert(&mut self, first: u32, second: u32, value: u32) -> u32 {
        debug_assert_ne!(value, 0, "0 marks free slots");
        if self.count >= self.room() {
            self.grow(self.count + 1);
        }
        let slot = place(&mut self.slots, first, second);
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

    /// Makes room for this many more pairs.
    pub fn reserve(&mut self, pairs: usize) {
        if self.count + pairs > self.room() {
            self.grow(self.count + pairs);
        }
    }

    /// How many pairs the slots may hold: probing stays short while five of eight are taken.
    #[inline]
    fn room(&self) -> usize {
        self.slots.len() / 8 * 5
    }

    #[cold]
    fn grow(&mut self, pairs: usize) {
        let slots = (pairs.saturating_mul(8) / 5 + 8).next_power_of_two();
        let before = std::mem::replace(&mut self.slots, vec![Slot::default(); slots]);
        for slot in before.into_iter().filter(|slot| slot.value != 0) {
            *place(&mut self.slots, slot.first, slot.second) = slot;
        }
    }
}

/// The slot of a pair, or the free one where it belongs. Some slot must be free.
#[inline]
fn place(slots: &mut [Slot], first: u32, second: u32) -> &mut Slot {
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
    fn a_pair_keeps_its_first_value_however_the_table_grows() {
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
