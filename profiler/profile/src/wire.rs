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
    bytes: &'a [u8],
    at: usize,
    /// Where `bytes` begins in the whole input, for messages.
    base: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], base: usize) -> Self {
        Self { bytes, at: 0, base }
    }

    fn wrong<T>(&self, what: &'static str) -> Result<T, Error> {
        Err(Error::Wire {
            what,
            at: self.base + self.at,
        })
    }

    /// Position in the whole input.
    pub(crate) fn position(&self) -> usize {
        self.base + self.at
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, Error> {
        let rest = &self.bytes[self.at..];
        // One and two bytes are nearly all that pprof holds.
        match rest {
            [a, ..] if *a < 0x80 => {
                self.at += 1;
                return Ok(u64::from(*a));
            }
            [a, b, ..] if *b < 0x80 => {
                self.at += 2;
                return Ok(u64::from(a & 0x7f) | u64::from(*b) << 7);
            }
            _ => {}
        }
        let mut value = 0u64;
        for (i, byte) in rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * i);
            if *byte < 0x80 {
                self.at += i + 1;
                return Ok(value);
            }
        }
        if rest.len() < 10 {
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
            1 => self.skip(8)?,
            2 => {
                let length = self.varint()?;
                let rest = &self.bytes[self.at..];
                let Some(bytes) = usize::try_from(length)
                    .ok()
                    .and_then(|length| rest.get(..length))
                else {
                    return self.wrong("a field is longer than what is left");
                };
                self.at += bytes.len();
                Value::Bytes(bytes)
            }
            5 => self.skip(4)?,
            _ => return self.wrong("a field of a kind that protobuf 3 does not have"),
        };
        if key >> 3 == 0 {
            return self.wrong("a field with the number 0");
        }
        Ok(Some((key >> 3, value)))
    }

    fn skip(&mut self, bytes: usize) -> Result<Value<'a>, Error> {
        if self.bytes.len() - self.at < bytes {
            return self.wrong("it ends inside a number");
        }
        self.at += bytes;
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
