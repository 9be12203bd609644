//! Ranges of code with their frames, in a few bytes each.
//!
//! Line tables tell a dozen ranges of every function, each with the chain of functions that were
//! inlined there, and neighbours share most of theirs. A block is a run of ranges without a gap:
//!
//! ```text
//! count, then for each range: length, frames shared with the range before (from the outermost
//! inwards), further frames, and of each of these: function, file, line
//! ```
//!
//! All are numbers of seven bits a byte, the lowest first, as in protobuf.

use super::cache::Frame;
use davy_profile::StringId;

/// A range of code with its frames, the outermost first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) start: u64,
    pub(super) length: u64,
    pub(super) frames: Vec<Frame>,
}

/// Appends a block.
pub(super) fn pack(ranges: &[Range], bytes: &mut Vec<u8>) {
    put(bytes, ranges.len() as u64);
    let mut before: &[Frame] = &[];
    for range in ranges {
        let both = before.iter().zip(&range.frames);
        let shared = both.take_while(|(a, b)| a == b).count();
        let further = &range.frames[shared..];
        for number in [range.length, shared as u64, further.len() as u64] {
            put(bytes, number);
        }
        for frame in further {
            for number in [frame.function.0, frame.file.0, frame.line] {
                put(bytes, number.into());
            }
        }
        before = &range.frames;
    }
}

/// The frames, the outermost first, at so many bytes of code from the beginning of a block; none
/// where it has no such range.
pub(super) fn find(mut bytes: &[u8], at: u64) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut end = 0;
    for _ in 0..take(&mut bytes) {
        end += take(&mut bytes);
        frames.truncate(take(&mut bytes) as usize);
        for _ in 0..take(&mut bytes) {
            let mut number = || take(&mut bytes) as u32;
            frames.push(Frame {
                function: StringId(number()),
                file: StringId(number()),
                line: number(),
            });
        }
        if at < end {
            return frames;
        }
    }
    Vec::new()
}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take(bytes: &mut &[u8]) -> u64 {
    let (mut number, mut shift) = (0, 0);
    while let Some((byte, rest)) = bytes.split_first() {
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 || shift > 63 {
            break;
        }
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(number: u32) -> Frame {
        Frame {
            function: StringId(number),
            file: StringId(number % 7),
            line: number * 100,
        }
    }

    #[test]
    fn every_range_is_found_with_its_frames_and_nothing_beyond_the_last() {
        let frames: [&[u32]; 5] = [&[1], &[1, 2, 3], &[1, 2, 300_000], &[], &[5, 2]];
        let mut start = 0x1000;
        let ranges = frames.map(|frames| {
            let range = Range {
                start,
                length: 1 + frames.len() as u64 * 200,
                frames: frames.iter().map(|number| frame(*number)).collect(),
            };
            start += range.length;
            range
        });
        // Blocks lie one after the other.
        let mut bytes = Vec::new();
        pack(&ranges[..1], &mut bytes);
        let second = bytes.len();
        pack(&ranges, &mut bytes);
        assert_eq!(find(&bytes, 0), ranges[0].frames);
        for range in &ranges {
            let from = range.start - 0x1000;
            for at in [from, from + range.length - 1] {
                assert_eq!(find(&bytes[second..], at), range.frames, "{at}");
            }
        }
        assert_eq!(find(&bytes[second..], start - 0x1000), []);
        assert!(bytes.len() < 80, "{}", bytes.len());
    }
}
