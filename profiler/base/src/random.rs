//! Random numbers from a seedable generator.

/// A small, fast generator for jitter, phases and ids. Not for secrets.
#[derive(Clone, Debug)]
pub struct Random(fastrand::Rng);

impl Random {
    /// Seeded by the operating system.
    #[expect(
        clippy::disallowed_methods,
        reason = "the only place that reads the system's entropy"
    )]
    pub fn system() -> Self {
        let mut seed = [0u8; 8];
        // If the system has no entropy, the process id and a stack address still differ between
        // processes. That is good enough for ids, and better than a panic in the profiled program.
        if getrandom::fill(&mut seed).is_err() {
            let local = std::ptr::from_ref(&seed) as u64;
            seed = (local ^ u64::from(std::process::id()).rotate_left(32)).to_le_bytes();
        }
        Self::seeded(u64::from_le_bytes(seed))
    }

    /// A generator whose numbers depend on `seed` alone.
    pub fn seeded(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0.u64(..)
    }

    /// The next 128 random bits.
    pub fn next_u128(&mut self) -> u128 {
        self.0.u128(..)
    }

    /// A number below `bound`; 0 if `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.0.u64(..bound) }
    }

    /// A number from 0 (included) to 1 (excluded).
    pub fn unit(&mut self) -> f64 {
        self.0.f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_produce_equal_numbers() {
        let (mut a, mut b) = (Random::seeded(42), Random::seeded(42));
        assert!((0..100).all(|_| a.next_u64() == b.next_u64()));
        assert_ne!(Random::seeded(1).next_u64(), Random::seeded(2).next_u64());
    }

    #[test]
    fn numbers_stay_below_the_bound() {
        let mut random = Random::seeded(1);
        assert!((0..1_000).all(|_| random.below(7) < 7 && random.unit() < 1.0));
        assert_eq!(random.below(0), 0);
    }
}
