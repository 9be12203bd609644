//! Codec of pprof's `profile.proto`, without compression; see [`crate::gzip`] for that.
//!
//! Format: <https://github.com/google/pprof/blob/main/proto/profile.proto>. Decoding renumbers ids;
//! everything else survives a round trip.

mod decode;
mod encode;
mod field;
#[cfg(test)]
mod tests;

pub use decode::{LABELS, decode};
pub use encode::{encode, stack_bytes};
