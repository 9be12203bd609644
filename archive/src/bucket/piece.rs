//! Pieces of objects.

use crate::format::block::FileMeta;
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
    /// A range of it, of which the whole object is read and cached.
    OfFile(Range<u64>),
}

/// Size up to which a file is read whole, whatever is read of it, in bytes. Its transfer takes about as long as the response
/// time of one more request to an object store.
const SMALL: u64 = 256 << 10;

/// Size up to which a file is read whole if much of it is read, in bytes.
const LARGE: u64 = 8 << 20;

/// Whether a file of which this number of row groups are read is read whole, by one request instead of one for its footer
/// and one for each group.
pub(crate) fn is_read_whole(file: &FileMeta, read: usize) -> bool {
    file.bytes <= SMALL || (file.bytes <= LARGE && read * 4 >= file.groups.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_is_read_whole_if_it_is_small_or_much_of_it_is_read() {
        let check = |bytes: u64, read: usize, groups: usize| {
            let file = FileMeta {
                bytes,
                footer: bytes,
                footer_crc32: 0,
                groups: vec![(0, 0, 0); groups],
            };
            is_read_whole(&file, read)
        };
        assert!(check(SMALL, 1, 1_000));
        assert!(!check(SMALL + 1, 1, 5));
        assert!(check(SMALL + 1, 1, 4));
        assert!(check(LARGE, 250, 1_000));
        assert!(!check(LARGE, 249, 1_000));
        assert!(!check(LARGE + 1, 1, 1));
    }
}
