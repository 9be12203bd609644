//! The functions that are fuzzed. Each takes any bytes, and panics if an invariant does not hold.

pub mod archive;
pub mod codecs;
pub mod formats;

use davy_profile::Limits;

/// Limits that small inputs reach.
pub(crate) const LIMITS: Limits = Limits {
    bytes: 1 << 20,
    ratio: 100,
    samples: 1_000,
    depth: 16,
    nodes: 50_000,
    string: 64,
};
