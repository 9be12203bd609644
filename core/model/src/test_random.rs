//! Random numbers for the property tests.

use davy_base::Random;

/// Generators with the seeds 1 to `count`; a failed test is repeated exactly.
pub(crate) fn seeds(count: u64) -> impl Iterator<Item = Random> {
    (1..=count).map(Random::seeded)
}
