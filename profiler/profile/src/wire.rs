//! Protobuf's wire format, read without copying and written without a schema.
//!
//! Format: <https://protobuf.dev/programming-guides/encoding/>.

use crate::Error;

/// A field's value as it stands on the wire.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    /// A fixed-width number, which pprof does not use.
    Fixed,
}

/// Reads the fields of one message.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    /// Where the message ends in the whole input, for messages of errors.
    end: usize,
}

impl<'a> Reader<'a> {
    /// A message that begins at `base` in the whole input.
    pub(crate) fn new(bytes: &'a [u8], base: usize) -> Self {
        Self {
            rest: bytes,
            end: base + bytes.len(),
        }
    }

    #[cold]
    fn wrong<T>(&self, what: &'static str) -> Result<T, Error> {
        Err(Error::Wire {
            what,
            at: self.position(),
        })
    }

    /// Position in the whole input.
    #[inline]
    pub(crate) fn position(&self) -> usize {
        self.end - self.rest.len()
    }

    #[inline]
    pub(crate) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, Error> {
        // One and two bytes are nearly all that pprof holds.
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

    /// A number of any length: addresses, times and values.
    fn long_varint(&mut self) -> Result<u64, Error> {
        const ENDS: u64 = 0x8080_8080_8080_8080;
        if let Some(eight) = self.rest.first_chunk::<8>() {
            let word = u64::from_le_bytes(*eight);
            let ends = !word & ENDS;
            if ends != 0 {
                let bits = ends.trailing_zeros() + 1;
                // Seven bits a byte, then fourteen every two, then twenty-eight every four.
                let sevens = word & (u64::MAX >> (64 - bits)) & !ENDS;
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
            self.wrong("it ends inside a number")
        } else {
            self.wrong("a number of more than ten bytes")
        }
    }

    /// The next field's number and value, or `None` at the end.
    #[inline]
    pub(crate) fn field(&mut self) -> Result<Option<(u64, Value<'a>)>, Error> {
        if self.is_at_end() {
            return Ok(None);
        }
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            2 => {
                let length = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
                let Some((bytes, rest)) = self.rest.split_at_checked(length) else {
                    return self.wrong("a field is longer than what is left");
                };
                self.rest = rest;
                Value::Bytes(bytes)
            }
            1 => self.skip(8)?,
            5 => self.skip(4)?,
            _ => return self.wrong("a field of a kind that protobuf 3 does not have"),
        };
        if key >> 3 == 0 {
            return self.wrong("a field with the number 0");
        }
        Ok(Some((key >> 3, value)))
    }

    fn skip(&mut self, bytes: usize) -> Result<Value<'a>, Error> {
        let Some(rest) = self.rest.get(bytes..) else {
            return self.wrong("it ends inside a number");
        };
        self.rest = rest;
        Ok(Value::Fixed)
    }
}

/// Gives each number of a repeated field, packed or not.
#[inline]
pub(crate) fn repeated(
    value: Value<'_>,
    base: usize,
    mut each: impl FnMut(u64),
) -> Result<(), Error> {
    match value {
        Value::Varint(number) => each(number),
        Value::Bytes(bytes) => {
            let mut reader = Reader::new(bytes, base);
            while !reader.is_at_end() {
                each(reader.varint()?);
            }
        }
        Value::Fixed => {
            return Err(Error::Wire {
                what: "a number of the wrong width",
                at: base,
            });
        }
    }
    Ok(())
}

/// Writes a message.
#[derive(Debug, Default)]
pub(crate) struct Writer(pub(crate) Vec<u8>);

impl Writer {
    pub(crate) fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// A number, left out where it is 0, as protobuf 3 does.
    pub(crate) fn number(&mut self, field: u64, value: u64) {
        if value != 0 {
            self.varint(field << 3);
            self.varint(value);
        }
    }

    pub(crate) fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    /// A packed list of numbers; nothing where it is empty.
    pub(crate) fn packed(
        &mut self,
        field: u64,
        numbers: impl Iterator<Item = u64>,
        scratch: &mut Writer,
    ) {
        scratch.0.clear();
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
    fn a_number_of_any_length_is_read_as_it_was_written() {
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
                    let mut reader = Reader::new(&bytes, 5);
                    assert_eq!(reader.varint(), Ok(number));
                    assert_eq!(reader.position(), 5 + length);
                }
                let mut cut = Reader::new(&writer.0[..length - 1], 0);
                assert!(cut.varint().is_err());
            }
        }
        assert!(Reader::new(&[0x80; 12], 0).varint().is_err());
    }
}
