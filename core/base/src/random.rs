//! Random numbers that a run can be seeded with.

/// A small, fast generator (xoshiro256++) for jitter, phases and ids. Not for secrets.
///
/// Source: Blackman and Vigna, "Scrambled Linear Pseudorandom Number Generators" (2021); the seed
/// is spread by SplitMix64.
#[derive(Clone, Debug)]
pub struct Random([u64; 4]);

impl Random {
    /// Seeded by the operating system.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that asks for entropy"
    )]
    pub fn system() -> Self {
        let mut seed = [0u8; 8];
        // Without entropy two processes might make the same ids; the address of a local and the
        // process id still differ, so that is the fallback rather than a panic.
        if getrandom::fill(&mut seed).is_err() {
            let local = std::ptr::from_ref(&seed) as u64;
            seed = (local ^ u64::from(std::process::id()).rotate_left(32)).to_le_bytes();
        }
        Self::seeded(u64::from_le_bytes(seed))
    }

    /// The same seed gives the same numbers.
    pub fn seeded(seed: u64) -> Self {
        let mut state = seed;
        Self(std::array::from_fn(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }))
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        let s = &mut self.0;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let shifted = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= shifted;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// A number below `bound` (0 where `bound` is 0), by multiplication; its bias is below 2^-32
    /// for the small bounds of jitter and phases.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// A number from 0 to below 1.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let (mut a, mut b) = (Random::seeded(42), Random::seeded(42));
        assert!((0..100).all(|_| a.next_u64() == b.next_u64()));
        assert_ne!(Random::seeded(1).next_u64(), Random::seeded(2).next_u64());
    }

    #[test]
    fn numbers_stay_below_their_bound() {
        let mut random = Random::seeded(1);
        assert!((0..1_000).all(|_| random.below(7) < 7 && random.unit() < 1.0));
        assert_eq!(random.below(0), 0);
    }
}
