//! An encoding of code ranges and their frames that takes a few bytes per range.
//!
//! Line tables hold about a dozen ranges per function, each with the chain of functions inlined there, and
//! adjacent ranges share most of their chains. A block is a run of adjacent ranges:
//!
//! ```text
//! count, then for each range: length, number of frames shared with the range before (from the
//! outermost inwards), number of further frames, and for each of these: function, file, line
//! ```
//!
//! All of them are LEB128 numbers.

use davy_profile::StringId;

/// A function, its source file and a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) function: StringId,
    pub(crate) file: StringId,
    pub(crate) line: u32,
}

/// A range of code and its frames, the outermost first.
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

/// The frames, the outermost first, at an offset in the code of a block; empty if the block is shorter.
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
    fn find_returns_the_frames_of_each_range_and_none_past_the_last() {
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
        // Two blocks, one after the other.
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
