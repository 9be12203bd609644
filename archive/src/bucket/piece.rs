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
    /// A range of it, of which the whole object is read once and cached.
    OfFile(Range<u64>),
}

/// Size up to which a file is read at once whatever is read of it, in bytes. To transfer so many takes about as long as an
/// object storage takes to answer one more request.
const SMALL: u64 = 256 << 10;

/// Size up to which a file is read at once if much of it is read, in bytes.
const LARGE: u64 = 16 << 20;

/// Whether a file of `bytes` bytes of which `read` of `groups` row groups are read is read at once, by one request instead
/// of one for its footer and one for each group. At most four times the bytes that are needed are read, except of small
/// files.
pub(super) fn is_read_at_once(bytes: u64, read: usize, groups: usize) -> bool {
    bytes <= SMALL || (bytes <= LARGE && read * 4 >= groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_is_read_at_once_if_it_is_small_or_much_of_it_is_read() {
        assert!(is_read_at_once(SMALL, 1, 1_000));
        assert!(!is_read_at_once(SMALL + 1, 1, 5));
        assert!(is_read_at_once(SMALL + 1, 1, 4));
        assert!(is_read_at_once(LARGE, 250, 1_000));
        assert!(!is_read_at_once(LARGE, 249, 1_000));
        assert!(!is_read_at_once(LARGE + 1, 1, 1));
    }
}
