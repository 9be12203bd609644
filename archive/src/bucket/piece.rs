//! Pieces of objects.

use std::ops::Range;

/// The range of a whole object in the cache on disk.
pub(super) const WHOLE: Range<u64> = 0..u64::MAX;

/// The part of an immutable object that is read.
pub(crate) enum Piece {
    /// The object, by the caches.
    Object,
    /// A range of it, by the caches.
    Range(Range<u64>),
    /// A range of it, or [`WHOLE`], whose bytes are not cached in memory because what is read from them is.
    Uncached(Range<u64>),
}
