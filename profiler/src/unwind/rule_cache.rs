//! A cache of unwind rules.

use super::index::Index;
use super::rule::Rule;

const WAYS: usize = 4;
const SETS: usize = 256;

/// One cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Set {
    addresses: [u64; WAYS],
    rules: [Rule; WAYS],
}

/// Rules that were looked up before, in 16 KiB. Set-associative: in a direct-mapped cache, two frames of
/// one hot stack could evict each other at every sample.
pub(super) struct RuleCache {
    generation: u64,
    sets: Box<[Set; SETS]>,
}

impl RuleCache {
    pub(super) fn new() -> Self {
        Self {
            generation: 0,
            sets: Box::new([Set::EMPTY; SETS]),
        }
    }

    /// Empties the cache if its rules come from another index.
    #[inline]
    pub(super) fn use_index(&mut self, index: &Index) {
        if self.generation != index.generation() {
            self.clear(index.generation());
        }
    }

    #[cold]
    fn clear(&mut self, generation: u64) {
        for set in self.sets.iter_mut() {
            *set = Set::EMPTY;
        }
        self.generation = generation;
    }

    /// The rule of an address.
    #[inline]
    pub(super) fn rule(&mut self, address: u64, index: &Index) -> Rule {
        // Fibonacci hashing: the upper bits of the product depend on every bit of the address.
        let set = (address.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as usize % SETS;
        let set = &mut self.sets[set];
        let found = set.addresses.iter().position(|known| *known == address);
        match found {
            Some(way) => set.rules[way],
            None => set.add(address, index),
        }
    }
}

impl Set {
    /// There is no code at address 0.
    const EMPTY: Self = Self {
        addresses: [0; WAYS],
        rules: [Rule::COMPLEX; WAYS],
    };

    /// Looks up a rule and replaces the oldest of the set by it.
    #[cold]
    fn add(&mut self, address: u64, index: &Index) -> Rule {
        let rule = index.rule(address);
        self.addresses.copy_within(..WAYS - 1, 1);
        self.rules.copy_within(..WAYS - 1, 1);
        (self.addresses[0], self.rules[0]) = (address, rule);
        rule
    }
}
