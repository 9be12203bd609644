//! Checksums of parts of an object, verified while it passes.

use crate::format::block::FileMeta;
use bytes::Bytes;

/// Bytes from `start` to `end` and their CRC-32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) crc32: u32,
}

/// Length of the end of a segment, which holds its checksum.
pub(super) const SEGMENT_TAIL: u64 = 20;

/// The extents of a file of a block.
pub(super) fn of_file(file: &FileMeta) -> Vec<Extent> {
    let groups = file
        .groups
        .iter()
        .map(|(start, end, crc32)| (*start, *end, *crc32));
    let footer = (file.footer, file.bytes, file.footer_crc32);
    groups
        .chain([footer])
        .filter(|(start, end, _)| start < end)
        .map(|(start, end, crc32)| Extent { start, end, crc32 })
        .collect()
}

/// The extent of a segment of `size` bytes that ends with `tail`. None if it is not a segment.
pub(super) fn of_segment(tail: &Bytes, size: u64) -> Option<Vec<Extent>> {
    let (crc32, magic) = tail.get(8..)?.split_at_checked(4)?;
    (magic == b"DAVYSEG1").then_some(())?;
    Some(vec![Extent {
        start: 0,
        end: size.checked_sub(12)?,
        crc32: u32::from_le_bytes(crc32.try_into().ok()?),
    }])
}

/// Compares the bytes of an object with the checksums of its extents.
pub(super) struct Check<'a> {
    /// Ascending, without overlaps.
    extents: &'a [Extent],
    at: u64,
    hasher: crc32fast::Hasher,
    is_intact: bool,
}

impl<'a> Check<'a> {
    pub(super) fn new(extents: &'a [Extent]) -> Self {
        Self {
            extents,
            at: 0,
            hasher: crc32fast::Hasher::new(),
            is_intact: true,
        }
    }

    /// Adds the next bytes.
    pub(super) fn add(&mut self, mut bytes: &[u8]) {
        while let Some(extent) = self.extents.first() {
            let before = extent.start.saturating_sub(self.at);
            if before >= bytes.len() as u64 {
                break;
            }
            bytes = &bytes[before as usize..];
            self.at += before;
            let within = (extent.end - self.at).min(bytes.len() as u64);
            self.hasher.update(&bytes[..within as usize]);
            bytes = &bytes[within as usize..];
            self.at += within;
            if self.at < extent.end {
                break;
            }
            let hasher = std::mem::take(&mut self.hasher);
            self.is_intact &= hasher.finalize() == extent.crc32;
            self.extents = &self.extents[1..];
        }
        self.at += bytes.len() as u64;
    }

    /// Whether all extents were there, with their checksums.
    pub(super) fn is_intact(&self) -> bool {
        self.is_intact && self.extents.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extents_are_verified_whatever_the_size_of_the_parts() {
        let bytes: Vec<u8> = (0..100).collect();
        let extent = |start: u64, end: u64| Extent {
            start,
            end,
            crc32: crc32fast::hash(&bytes[start as usize..end as usize]),
        };
        let extents = [extent(4, 30), extent(30, 31), extent(60, 100)];
        let check = |bytes: &[u8], part: usize| {
            let mut check = Check::new(&extents);
            bytes.chunks(part).for_each(|part| check.add(part));
            check.is_intact()
        };
        for part in 1..=100 {
            assert!(check(&bytes, part), "{part}");
            assert!(!check(&bytes[..99], part), "{part}");
            for at in [4, 30, 60, 99] {
                let mut bytes = bytes.clone();
                bytes[at] ^= 1;
                assert!(!check(&bytes, part), "{part} {at}");
            }
        }
        assert!(Check::new(&[]).is_intact());
    }
}
