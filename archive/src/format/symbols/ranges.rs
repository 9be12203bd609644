//! The column `ranges`: adjacent ranges of addresses, each with its functions.
//!
//! Numbers are LEB128. For each range: its length in bytes, the number of frames that it shares with the range before
//! (counted from the outermost inwards), the number of further frames, and for each of these the function and its
//! source file as numbers of names, and the line.

use crate::error::{Error, Result};
use davy_profile::wire::{Reader, put_varint};

/// Maximum number of functions of a range.
const FRAMES_MAX: usize = 1_024;

/// A function and a line; texts are numbers of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackedFrame {
    /// Name of the function.
    pub function: u32,
    /// Source file.
    pub file: u32,
    /// Line, 0 if unknown.
    pub line: u32,
}

/// Packs ranges of one row.
#[derive(Default)]
pub(super) struct Packer {
    bytes: Vec<u8>,
    before: Vec<PackedFrame>,
}

impl Packer {
    /// Adds the next range.
    pub(super) fn add(&mut self, length: u64, frames: &[PackedFrame]) {
        let both = self.before.iter().zip(frames);
        let shared = both.take_while(|(a, b)| a == b).count();
        let further = &frames[shared..];
        for number in [length, shared as u64, further.len() as u64] {
            put_varint(&mut self.bytes, number);
        }
        for frame in further {
            for number in [frame.function, frame.file, frame.line] {
                put_varint(&mut self.bytes, number.into());
            }
        }
        self.before.truncate(shared);
        self.before.extend_from_slice(further);
    }

    /// The bytes of the row. The next range begins another one.
    pub(super) fn take(&mut self) -> Vec<u8> {
        self.before.clear();
        std::mem::take(&mut self.bytes)
    }
}

/// The functions of the range that contains an offset from the start of the row, the outermost first.
pub(super) fn find(bytes: &[u8], offset: u64) -> Result<Option<Vec<PackedFrame>>> {
    let invalid = || Error::corrupt("invalid ranges of a function");
    let mut frames: Vec<PackedFrame> = Vec::new();
    let mut numbers = Reader::new(bytes);
    let mut end = 0u64;
    while !numbers.is_at_end() {
        let mut next = || numbers.varint().map_err(Error::corrupt_by);
        let (length, shared, further) = (next()?, next()?, next()?);
        end = end.checked_add(length).ok_or_else(invalid)?;
        let shared = usize::try_from(shared).map_err(Error::corrupt_by)?;
        if shared > frames.len() || further > (FRAMES_MAX - shared) as u64 {
            return Err(invalid());
        }
        frames.truncate(shared);
        for _ in 0..further {
            let mut next = || u32::try_from(numbers.varint().ok()?).ok();
            let (Some(function), Some(file), Some(line)) = (next(), next(), next()) else {
                return Err(invalid());
            };
            frames.push(PackedFrame {
                function,
                file,
                line,
            });
        }
        if offset < end {
            return Ok(Some(frames));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(function: u32, line: u32) -> PackedFrame {
        PackedFrame {
            function,
            file: 300,
            line,
        }
    }

    #[test]
    fn offset_finds_the_frames_of_its_range() {
        let mut packer = Packer::default();
        let (outer, inner) = (frame(1, 7), frame(70_000, 9));
        packer.add(10, &[outer]);
        packer.add(200, &[outer, inner]);
        packer.add(1, &[outer, frame(2, 3)]);
        packer.add(5, &[]);
        let bytes = packer.take();
        let found = |offset| find(&bytes, offset).expect("valid");
        assert_eq!(found(9), Some(vec![outer]));
        assert_eq!(found(10), Some(vec![outer, inner]));
        assert_eq!(found(209), Some(vec![outer, inner]));
        assert_eq!(found(210), Some(vec![outer, frame(2, 3)]));
        assert_eq!(found(215), Some(vec![]));
        assert_eq!(found(216), None);
        // The next row shares nothing with this one.
        packer.add(1, &[outer]);
        assert_eq!(find(&packer.take(), 0).expect("valid"), Some(vec![outer]));
    }

    #[test]
    fn damaged_ranges_are_errors() {
        let mut packer = Packer::default();
        packer.add(10, &[frame(1, 7), frame(2, 8)]);
        let bytes = packer.take();
        for length in 1..bytes.len() {
            assert!(find(&bytes[..length], 0).is_err(), "{length}");
        }
        // Shares a frame with a range that does not exist; has more frames than the limit; overflows.
        for bytes in [&[1, 1, 0][..], &[1, 0, 0x81, 0x08], &[0xff; 12]] {
            assert!(find(bytes, 0).is_err(), "{bytes:?}");
        }
    }
}
