//! Reads the primitive values of a chunk.

use crate::{Error, Format};
use std::borrow::Cow;

/// A string, as it is stored.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Text<'a> {
    /// Null or empty.
    #[default]
    Empty,
    Utf8(&'a [u8]),
    Latin1(&'a [u8]),
    /// UTF-16 code units as integers, and whether these are compressed.
    Units(&'a [u8], bool),
    /// Key of a constant.
    Constant(i64),
}

impl<'a> Text<'a> {
    /// The text; empty for the key of a constant.
    pub(super) fn decode(self) -> Cow<'a, str> {
        match self {
            Self::Empty | Self::Constant(_) => Cow::Borrowed(""),
            Self::Utf8(bytes) => String::from_utf8_lossy(bytes),
            Self::Latin1(bytes) => Cow::Owned(bytes.iter().map(|b| char::from(*b)).collect()),
            Self::Units(bytes, compressed) => {
                let mut cursor = Cursor::new(bytes, 0, compressed);
                let units = std::iter::from_fn(|| {
                    (!cursor.is_at_end())
                        .then(|| cursor.short().ok().map(|unit| unit as u16))
                        .flatten()
                });
                let chars = char::decode_utf16(units);
                Cow::Owned(
                    chars
                        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
                        .collect(),
                )
            }
        }
    }
}

/// A position in a chunk.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Offset of the first byte in the file.
    base: usize,
    compressed: bool,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8], base: usize, compressed: bool) -> Self {
        Self {
            bytes,
            at: 0,
            base,
            compressed,
        }
    }

    #[cold]
    pub(super) fn fail<T>(&self, problem: &'static str) -> Result<T, Error> {
        Err(Error::Corrupt {
            format: Format::Jfr,
            problem,
            offset: self.base + self.at,
        })
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// Bytes that are left.
    pub(super) fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The next `length` bytes.
    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Error> {
        match self.bytes[self.at..].get(..length) {
            Some(bytes) => {
                self.at += length;
                Ok(bytes)
            }
            None => self.fail("value beyond the end of its event"),
        }
    }

    /// A cursor over the next `length` bytes.
    pub(super) fn nested(&mut self, length: usize) -> Result<Self, Error> {
        let base = self.base + self.at;
        Ok(Self::new(self.take(length)?, base, self.compressed))
    }

    pub(super) fn byte(&mut self) -> Result<u8, Error> {
        Ok(self.take(1)?[0])
    }

    fn big_endian(&mut self, length: usize) -> Result<i64, Error> {
        let bytes = self.take(length)?;
        Ok(bytes
            .iter()
            .fold(0, |value, byte| value << 8 | i64::from(*byte)))
    }

    /// A 64-bit integer in any encoding: 8 groups of 7 bits, and a byte of 8 bits, or 8 bytes.
    pub(super) fn long(&mut self) -> Result<i64, Error> {
        if !self.compressed {
            return self.big_endian(8);
        }
        let mut value = 0;
        for shift in 0..9 {
            let byte = i64::from(self.byte()?);
            if shift == 8 {
                value |= byte << 56;
            } else {
                value |= (byte & 0x7f) << (7 * shift);
                if byte < 0x80 {
                    break;
                }
            }
        }
        Ok(value)
    }

    /// A 32-bit integer.
    pub(super) fn int(&mut self) -> Result<i32, Error> {
        let value = if self.compressed {
            self.long()?
        } else {
            self.big_endian(4)?
        };
        Ok(value as i32)
    }

    /// A 16-bit integer.
    pub(super) fn short(&mut self) -> Result<i16, Error> {
        let value = if self.compressed {
            self.long()?
        } else {
            self.big_endian(2)?
        };
        Ok(value as i16)
    }

    /// A count of items, each of which has at least one byte.
    pub(super) fn count(&mut self) -> Result<usize, Error> {
        match usize::try_from(self.int()?) {
            Ok(count) if count <= self.remaining() => Ok(count),
            _ => self.fail("more items than bytes"),
        }
    }

    pub(super) fn string(&mut self) -> Result<Text<'a>, Error> {
        Ok(match self.byte()? {
            0 | 1 => Text::Empty,
            2 => Text::Constant(self.long()?),
            3 => {
                let length = self.count()?;
                Text::Utf8(self.take(length)?)
            }
            4 => {
                let units = self.count()?;
                let start = self.at;
                for _ in 0..units {
                    self.short()?;
                }
                Text::Units(&self.bytes[start..self.at], self.compressed)
            }
            5 => {
                let length = self.count()?;
                Text::Latin1(self.take(length)?)
            }
            _ => return self.fail("unknown string encoding"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Cursor;

    #[test]
    fn strings_of_every_encoding_are_read() {
        let check = |bytes: &[u8], compressed: bool, expected: &str| {
            let text = Cursor::new(bytes, 0, compressed)
                .string()
                .expect("valid string");
            assert_eq!(text.decode(), expected, "{bytes:?}");
        };
        check(&[0], true, "");
        check(&[1], true, "");
        check(&[3, 2, b'o', b'k'], true, "ok");
        check(&[3, 0, 0, 0, 2, b'o', b'k'], false, "ok");
        check(&[4, 2, b'o', 0xe9, 1], true, "oé");
        check(&[4, 0, 0, 0, 2, 0, b'o', 0, 0xe9], false, "oé");
        check(&[5, 2, b'o', 0xe9], true, "oé");
        check(&[3, 2, b'o', 0xff], true, "o\u{fffd}");
        assert!(Cursor::new(&[9], 0, true).string().is_err());
        assert!(Cursor::new(&[3, 9, b'o'], 0, true).string().is_err());
    }

    #[test]
    fn integers_have_up_to_nine_bytes() {
        let check = |bytes: &[u8], expected: i64| {
            assert_eq!(
                Cursor::new(bytes, 0, true).long(),
                Ok(expected),
                "{bytes:?}"
            );
        };
        check(&[0x7f], 127);
        check(&[0x85, 0xb0, 0x03], 55_301);
        check(&[0xff; 9], -1);
        check(
            &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80],
            i64::MIN,
        );
    }
}
