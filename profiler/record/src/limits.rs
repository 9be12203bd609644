//! Ranges of the options.

pub(crate) const HZ_MAX: u32 = 10_000;
pub(crate) const STACK_BYTES_MIN: u32 = 1_024;
/// A record, with its header, has at most 64 KiB.
pub(crate) const STACK_BYTES_MAX: u32 = 65_000;
