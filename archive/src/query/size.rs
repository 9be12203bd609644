//! The size of responses.

use crate::error::{Error, Result};
use davy_profile::units;

/// Maximum size of the frames of a response, in bytes. Folded stacks and pprof repeat the callers of each stack,
/// and JSON repeats the name of a frame for each of its nodes, so the number of nodes does not bound their size.
const FRAME_BYTES: u64 = 256 << 20;

/// Rejects a response whose frames are too large.
pub(super) fn check_size(frame_bytes: u64) -> Result<()> {
    if frame_bytes <= FRAME_BYTES {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the frames of the response would take {}, the limit is {}; narrow the selector or the range, or request the \
         binary form of /api/v1/profiles/flamegraph, which contains each name once",
        units::bytes(frame_bytes as f64),
        units::bytes(FRAME_BYTES as f64)
    )))
}
