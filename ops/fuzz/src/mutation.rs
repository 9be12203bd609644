//! Damaged variants of an input.

use davy_base::Random;

/// Numbers at the limits of their types, which decoders often compare, add or allocate with.
const NUMBERS: [u64; 14] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    0xffff_ffff_ffff_fffe,
    u64::MAX,
];

/// Texts that have a meaning in some format.
const TEXTS: [&str; 16] = [
    "\"",
    "{",
    "[",
    "}",
    "]",
    ",",
    ":",
    ";",
    "\n",
    " ",
    "-1",
    "1e999",
    "9223372036854775807",
    "%3B",
    "\\u0000",
    "null",
];

/// Maximum number of bytes that a repetition adds.
const REPEATED_BYTES: usize = 64 << 10;

fn below(random: &mut Random, bound: usize) -> usize {
    random.below(bound as u64) as usize
}

/// A range of an input, mostly a short one.
fn range(random: &mut Random, length: usize) -> std::ops::Range<usize> {
    let start = below(random, length + 1);
    let most = if random.below(4) == 0 { length } else { 16 };
    let end = start + below(random, most + 1);
    start..end.min(length)
}

/// An input after one to five mutations: changed bits and bytes, removed, duplicated, repeated and inserted ranges,
/// truncation, numbers at the limits of their types, and parts of `other`.
pub fn mutated(input: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=random.below(5) {
        if bytes.is_empty() {
            bytes.push(random.next_u64() as u8);
        }
        let at = below(random, bytes.len());
        match random.below(12) {
            0 | 1 => bytes[at] ^= 1 << random.below(8),
            2 => bytes[at] = random.next_u64() as u8,
            3 => bytes.truncate(at),
            4 => drop(bytes.drain(range(random, input.len().min(bytes.len())))),
            5 => {
                let copy = bytes[range(random, bytes.len())].to_vec();
                bytes.splice(at..at, copy);
            }
            6 => {
                let part = &other[range(random, other.len())];
                bytes.splice(at..at, part.iter().copied());
            }
            7 => {
                // The beginning of this input and the end of the other.
                bytes.truncate(at);
                bytes.extend_from_slice(&other[below(random, other.len() + 1)..]);
            }
            8 => {
                let number = NUMBERS[below(random, NUMBERS.len())];
                let width = 1 << random.below(4);
                let (little, big) = (number.to_le_bytes(), number.to_be_bytes());
                let text = if random.below(2) == 0 {
                    &little[..width]
                } else {
                    &big[8 - width..]
                };
                let end = (at + width).min(bytes.len());
                bytes.splice(at..end, text.iter().copied());
            }
            9 => {
                // As a varint, over the one or more bytes at this place.
                let mut number = NUMBERS[below(random, NUMBERS.len())];
                let mut varint = Vec::new();
                while number >= 0x80 {
                    varint.push(number as u8 | 0x80);
                    number >>= 7;
                }
                varint.push(number as u8);
                bytes.splice(at..=at, varint);
            }
            10 => {
                // Many copies of a short part: what decoders allocate for each of them adds up.
                let part = bytes[range(random, bytes.len())].to_vec();
                let copies = (1 << random.below(13)).min(REPEATED_BYTES / part.len().max(1));
                bytes.splice(at..at, part.repeat(copies));
            }
            _ => {
                let text = TEXTS[below(random, TEXTS.len())];
                let end = (at + below(random, 3)).min(bytes.len());
                bytes.splice(at..end, text.bytes());
            }
        }
    }
    bytes
}
