//! Protobuf's wire format: reads the fields of a message without copying, and writes messages
//! without a schema.
//!
//! Format: <https://protobuf.dev/programming-guides/encoding/>.
//!
//! ```
//! use davy_profile::wire::{Reader, Value, Writer};
//!
//! let mut message = Writer::default();
//! message.number(1, 300);
//! message.bytes(2, b"text");
//! let bytes = message.into_bytes();
//!
//! let mut reader = Reader::new(&bytes);
//! assert_eq!(reader.field(), Ok(Some((1, Value::Varint(300)))));
//! assert_eq!(reader.field(), Ok(Some((2, Value::Bytes(b"text")))));
//! assert_eq!(reader.field(), Ok(None));
//! ```

use std::fmt;

/// Why bytes are not a protobuf message, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    /// The fault.
    pub problem: &'static str,
    /// Offset in the outermost message.
    pub offset: usize,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.problem, self.offset)
    }
}

impl std::error::Error for Error {}

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Wire type 0: an integer, a boolean or an enum.
    Varint(u64),
    /// Wire type 2: a string, bytes, a nested message or a packed list.
    Bytes(&'a [u8]),
    /// Wire types 1 and 5: a number of 8 or 4 bytes, as its bits.
    Fixed(u64),
}

/// Reads the fields of one message.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    /// Offset of the message's end in the outermost message.
    end: usize,
}

impl<'a> Reader<'a> {
    /// A reader of an outermost message.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self::nested(bytes, 0)
    }

    /// A reader of a message that begins at `base` in the outermost message.
    #[inline]
    pub fn nested(bytes: &'a [u8], base: usize) -> Self {
        Self {
            rest: bytes,
            end: base + bytes.len(),
        }
    }

    #[cold]
    fn fail<T>(&self, problem: &'static str) -> Result<T, Error> {
        Err(Error {
            problem,
            offset: self.position(),
        })
    }

    /// Offset of the next byte in the outermost message.
    #[inline]
    pub fn position(&self) -> usize {
        self.end - self.rest.len()
    }

    /// Whether all fields have been read.
    #[inline]
    pub fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next varint.
    #[inline]
    pub fn varint(&mut self) -> Result<u64, Error> {
        // Nearly all varints of a pprof profile have one or two bytes.
        match self.rest {
            [a, rest @ ..] if *a < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*a))
            }
            [a, b, rest @ ..] if *b < 0x80 => {
                self.rest = rest;
                Ok(u64::from(a & 0x7f) | u64::from(*b) << 7)
            }
            _ => self.long_varint(),
        }
    }

    /// A varint of any length. Addresses, times and values have more than two bytes.
    fn long_varint(&mut self) -> Result<u64, Error> {
        const STOP_BITS: u64 = 0x8080_8080_8080_8080;
        if let Some(eight) = self.rest.first_chunk::<8>() {
            let word = u64::from_le_bytes(*eight);
            let stops = !word & STOP_BITS;
            if stops != 0 {
                let bits = stops.trailing_zeros() + 1;
                // Joins the 7 bits of each byte to 14 bits, those to 28, and those to 56.
                let sevens = word & (u64::MAX >> (64 - bits)) & !STOP_BITS;
                let pairs = sevens & 0x007f_007f_007f_007f | (sevens & 0x7f00_7f00_7f00_7f00) >> 1;
                let fours = pairs & 0x0000_3fff_0000_3fff | (pairs & 0x3fff_0000_3fff_0000) >> 2;
                self.rest = &self.rest[bits as usize / 8..];
                return Ok(fours & 0x0fff_ffff | (fours & 0x0fff_ffff_0000_0000) >> 4);
            }
        }
        let mut value = 0u64;
        for (i, byte) in self.rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * i);
            if *byte < 0x80 {
                self.rest = &self.rest[i + 1..];
                return Ok(value);
            }
        }
        if self.rest.len() < 10 {
            self.fail("truncated number")
        } else {
            self.fail("varint of more than 10 bytes")
        }
    }

    /// The number and value of the next field, or `None` at the end of the message.
    #[inline]
    pub fn field(&mut self) -> Result<Option<(u64, Value<'a>)>, Error> {
        if self.is_at_end() {
            return Ok(None);
        }
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            2 => {
                let length = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
                let Some((bytes, rest)) = self.rest.split_at_checked(length) else {
                    return self.fail("length beyond the end of the message");
                };
                self.rest = rest;
                Value::Bytes(bytes)
            }
            1 => self.fixed::<8>()?,
            5 => self.fixed::<4>()?,
            _ => return self.fail("unsupported wire type"),
        };
        if key >> 3 == 0 {
            return self.fail("field number 0");
        }
        Ok(Some((key >> 3, value)))
    }

    fn fixed<const BYTES: usize>(&mut self) -> Result<Value<'a>, Error> {
        let Some((bytes, rest)) = self.rest.split_first_chunk::<BYTES>() else {
            return self.fail("truncated number");
        };
        self.rest = rest;
        let mut bits = [0; 8];
        bits[..BYTES].copy_from_slice(bytes);
        Ok(Value::Fixed(u64::from_le_bytes(bits)))
    }
}

/// Calls `each` with every number of a repeated field, packed or not. `base` is the offset of a
/// packed list in the outermost message.
#[inline]
pub fn repeated(value: Value<'_>, base: usize, mut each: impl FnMut(u64)) -> Result<(), Error> {
    match value {
        Value::Varint(number) => each(number),
        Value::Bytes(bytes) => {
            let mut reader = Reader::nested(bytes, base);
            while !reader.is_at_end() {
                each(reader.varint()?);
            }
        }
        Value::Fixed(_) => {
            return Err(Error {
                problem: "unexpected wire type",
                offset: base,
            });
        }
    }
    Ok(())
}

/// Appends a varint, which is LEB128.
#[inline]
pub fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// Writes one message.
#[derive(Clone, Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// An empty message with space for `bytes` bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// Removes all fields and keeps the allocation.
    #[inline]
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The message so far.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The message.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    #[inline]
    fn varint(&mut self, value: u64) {
        put_varint(&mut self.0, value);
    }

    /// Adds a varint field, unless it is 0: the default, which protobuf 3 omits.
    #[inline]
    pub fn number(&mut self, field: u64, value: u64) {
        if value != 0 {
            self.varint(field << 3);
            self.varint(value);
        }
    }

    /// Adds a field of a floating-point number of 64 bits, also if it is 0.
    pub fn double(&mut self, field: u64, value: f64) {
        self.varint(field << 3 | 1);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// Adds a length-delimited field: a string, bytes or a nested message.
    #[inline]
    pub fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    /// Adds a packed list of numbers, unless it is empty. `scratch` is overwritten.
    pub fn packed(&mut self, field: u64, numbers: impl Iterator<Item = u64>, scratch: &mut Writer) {
        scratch.clear();
        for number in numbers {
            scratch.varint(number);
        }
        if !scratch.0.is_empty() {
            self.bytes(field, &scratch.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_of_every_length_survive_a_round_trip() {
        for bits in 0..=64 {
            for number in [
                u64::MAX.checked_shr(64 - bits).unwrap_or(0),
                1 << (bits % 64),
            ] {
                let mut writer = Writer::default();
                writer.varint(number);
                let length = writer.0.len();
                for padding in [0, 1, 9] {
                    let bytes = [&writer.0[..], &vec![0xff; padding]].concat();
                    let mut reader = Reader::nested(&bytes, 5);
                    assert_eq!(reader.varint(), Ok(number));
                    assert_eq!(reader.position(), 5 + length);
                }
                let mut cut = Reader::new(&writer.0[..length - 1]);
                assert!(cut.varint().is_err());
            }
        }
        assert!(Reader::new(&[0x80; 12]).varint().is_err());
    }

    #[test]
    fn long_fields_have_lengths_of_several_bytes() {
        let mut writer = Writer::default();
        writer.bytes(1, &[7; 300]);
        assert_eq!(writer.0[..3], [0x0a, 0xac, 0x02]);
        assert_eq!(writer.0.len(), 303);
    }

    #[test]
    fn numbers_of_fixed_size_are_read_as_their_bits() {
        let mut reader = Reader::new(&[0x09, 1, 2, 0, 0, 0, 0, 0, 0x80, 0x15, 3, 0, 0, 0xff]);
        assert_eq!(
            reader.field(),
            Ok(Some((1, Value::Fixed(0x8000_0000_0000_0201))))
        );
        assert_eq!(reader.field(), Ok(Some((2, Value::Fixed(0xff00_0003)))));
        assert_eq!(reader.field(), Ok(None));
    }

    #[test]
    fn malformed_fields_are_reported_with_their_offset() {
        let check = |bytes: &[u8], problem: &'static str, offset: usize| {
            let mut reader = Reader::new(bytes);
            let error = loop {
                match reader.field() {
                    Ok(field) => assert!(field.is_some(), "no error in {bytes:?}"),
                    Err(error) => break error,
                }
            };
            assert_eq!(error, Error { problem, offset }, "{bytes:?}");
        };
        check(
            &[0x08, 1, 0x12, 3, 0],
            "length beyond the end of the message",
            4,
        );
        check(&[0x08, 0x80], "truncated number", 1);
        check(&[0x09, 0, 0], "truncated number", 1);
        check(&[0x0b], "unsupported wire type", 1);
        check(&[0x00, 0], "field number 0", 2);
    }
}
