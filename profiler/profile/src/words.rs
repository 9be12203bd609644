//! A hash table from a few numbers to a number, for trees and dictionaries with millions of lookups.

/// A hash table from `N` words to a `u32` other than 0, which marks free slots.
///
/// Slots contain the keys, so a lookup takes one memory access; a table of indices into columns
/// would take more.
#[derive(Clone, Debug)]
pub struct WordMap<const N: usize> {
    /// Zero or a power of two slots, probed linearly from the slot of the hash.
    slots: Vec<Slot<N>>,
    count: usize,
}

#[derive(Clone, Copy, Debug)]
struct Slot<const N: usize> {
    key: [u32; N],
    value: u32,
}

impl<const N: usize> Default for WordMap<N> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            count: 0,
        }
    }
}

/// The multiplier of wyhash.
const SPREAD: u64 = 0xa076_1d64_78bd_642f;

impl<const N: usize> WordMap<N> {
    /// Returns an empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns the value of a key. A new key gets `value`, which must not be 0.
    #[inline]
    pub fn find_or_insert(&mut self, key: [u32; N], value: u32) -> u32 {
        debug_assert_ne!(value, 0, "0 marks free slots");
        if self.count >= self.capacity() {
            self.grow(self.count + 1);
        }
        let slot = slot_of(&mut self.slots, &key);
        if slot.value == 0 {
            *slot = Slot { key, value };
            self.count += 1;
        }
        slot.value
    }

    /// The value of a key.
    #[inline]
    pub fn get(&self, key: &[u32; N]) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        let slot = &self.slots[position(&self.slots, key)];
        (slot.value != 0).then_some(slot.value)
    }

    /// Loads the slots of keys that are looked up next. These loads do not depend on each other, so the processor
    /// waits for all of them at once, which pays if the table is larger than the caches.
    #[inline]
    pub fn prefetch(&self, keys: impl Iterator<Item = [u32; N]>) {
        let mask = self.slots.len().wrapping_sub(1);
        let loaded = keys.fold(0, |all, key| {
            let slot = self.slots.get(hash(&key) as usize & mask);
            // A slot can be on two cache lines.
            all ^ slot.map_or(0, |slot| slot.key[0] ^ slot.value)
        });
        std::hint::black_box(loaded);
    }

    /// Reserves capacity for `keys` more keys.
    pub fn reserve(&mut self, keys: usize) {
        if self.count + keys > self.capacity() {
            self.grow(self.count + keys);
        }
    }

    /// Number of keys that the slots may hold: a load factor of 5/8 keeps probe sequences short.
    #[inline]
    fn capacity(&self) -> usize {
        self.slots.len() / 8 * 5
    }

    #[cold]
    fn grow(&mut self, keys: usize) {
        let slots = (keys.saturating_mul(8) / 5 + 8).next_power_of_two();
        let free = Slot {
            key: [0; N],
            value: 0,
        };
        let before = std::mem::replace(&mut self.slots, vec![free; slots]);
        for slot in before.into_iter().filter(|slot| slot.value != 0) {
            *slot_of(&mut self.slots, &slot.key) = slot;
        }
    }
}

#[inline]
fn hash<const N: usize>(key: &[u32; N]) -> u64 {
    key.chunks(2).fold(0, |hash, words| {
        let words = words
            .iter()
            .fold(0, |all, word| all << 32 | u64::from(*word));
        let product = u128::from(hash ^ words) * u128::from(SPREAD);
        (product >> 64) as u64 ^ product as u64
    })
}

/// The slot of a key, or the free slot for it. At least one slot must be free.
#[inline]
fn slot_of<'a, const N: usize>(slots: &'a mut [Slot<N>], key: &[u32; N]) -> &'a mut Slot<N> {
    let at = position(slots, key);
    &mut slots[at]
}

#[inline]
fn position<const N: usize>(slots: &[Slot<N>], key: &[u32; N]) -> usize {
    let mask = slots.len() - 1;
    let mut at = hash(key) as usize & mask;
    loop {
        let slot = &slots[at];
        if slot.value == 0 || slot.key == *key {
            return at;
        }
        at = (at + 1) & mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_their_first_value_when_the_table_grows() {
        let mut map = WordMap::new();
        assert_eq!(map.get(&[0; 3]), None);
        for round in 0..2 {
            for n in 0..10_000 {
                let value = n + 1 + round * 20_000;
                let key = [n / 100, 0, n % 100];
                assert_eq!(map.find_or_insert(key, value), n + 1);
            }
        }
        assert_eq!(map.len(), 10_000);
        map.reserve(100_000);
        assert_eq!(map.get(&[7, 0, 7]), Some(708));
        assert_eq!(map.get(&[7, 1, 7]), None);
        assert_eq!(map.find_or_insert([7, 0, 7], u32::MAX), 708);
        assert_eq!(map.find_or_insert([u32::MAX, 0, 0], 9), 9);
    }

    #[test]
    fn every_word_of_a_key_counts() {
        let mut map = WordMap::new();
        for word in 0..5 {
            let mut key = [0; 5];
            key[word] = 1;
            let value = word as u32 + 1;
            assert_eq!(map.find_or_insert(key, value), value);
        }
        assert_eq!(map.len(), 5);
    }
}
