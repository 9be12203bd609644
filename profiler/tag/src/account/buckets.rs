//! The histogram of poll durations.

/// Upper bounds of the poll-duration buckets, in seconds. A further bucket counts longer polls.
pub const POLL_BOUNDS_SECONDS: [f64; 6] = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0];

pub(crate) const BUCKETS: usize = POLL_BOUNDS_SECONDS.len() + 1;
