//! A pull reader of JSON.
//!
//! It does not recurse, so deep documents cannot overflow the stack; it keeps the text of numbers, so
//! their decimals are exact; and it builds no values, so its memory is the input's.

use crate::{Error, Format};
use std::borrow::Cow;

/// Reads a JSON text token by token.
#[derive(Clone)]
pub(crate) struct Reader<'a> {
    format: Format,
    bytes: &'a [u8],
    at: usize,
    end: usize,
    /// Whether the last token opened an array or object.
    opened: bool,
}

impl<'a> Reader<'a> {
    /// A reader of a whole text, whose errors name the format.
    pub(crate) fn new(bytes: &'a [u8], format: Format) -> Self {
        Self {
            format,
            bytes,
            at: 0,
            end: bytes.len(),
            opened: false,
        }
    }

    pub(crate) fn fail<T>(&self, problem: &'static str) -> Result<T, Error> {
        Err(Error::Corrupt {
            format: self.format,
            problem,
            offset: self.at,
        })
    }

    fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..self.end]
    }

    /// The first byte of the next token; 0 at the end.
    pub(crate) fn peek(&mut self) -> u8 {
        let blank = self
            .rest()
            .iter()
            .take_while(|b| b" \t\r\n".contains(b))
            .count();
        self.at += blank;
        self.rest().first().copied().unwrap_or(0)
    }

    fn expect(&mut self, byte: u8, problem: &'static str) -> Result<(), Error> {
        if self.peek() != byte {
            return self.fail(problem);
        }
        self.at += 1;
        Ok(())
    }

    /// Enters an object; [`Self::next_key`] reads its members.
    pub(crate) fn begin_object(&mut self) -> Result<(), Error> {
        self.expect(b'{', "expected an object")?;
        self.opened = true;
        Ok(())
    }

    /// Enters an array; [`Self::next_item`] moves to its items.
    pub(crate) fn begin_array(&mut self) -> Result<(), Error> {
        self.expect(b'[', "expected an array")?;
        self.opened = true;
        Ok(())
    }

    /// Moves to the next item of an array or object, or leaves it.
    fn advance(&mut self, close: u8, problem: &'static str) -> Result<bool, Error> {
        let opened = std::mem::take(&mut self.opened);
        if self.peek() == close {
            self.at += 1;
            return Ok(false);
        }
        if !opened {
            self.expect(b',', problem)?;
        }
        Ok(true)
    }

    /// Whether the array has another item, which has to be read then.
    pub(crate) fn next_item(&mut self) -> Result<bool, Error> {
        self.advance(b']', "expected a comma or the end of the array")
    }

    /// The next key of the object, whose value has to be read then.
    pub(crate) fn next_key(&mut self) -> Result<Option<Cow<'a, str>>, Error> {
        if !self.advance(b'}', "expected a comma or the end of the object")? {
            return Ok(None);
        }
        let key = self.string()?;
        self.expect(b':', "expected a colon")?;
        Ok(Some(key))
    }

    /// A string.
    pub(crate) fn string(&mut self) -> Result<Cow<'a, str>, Error> {
        self.expect(b'"', "expected a string")?;
        let rest = self.rest();
        let plain = rest.iter().take_while(|b| !b"\"\\".contains(b)).count();
        if rest.get(plain) == Some(&b'"') {
            self.at += plain + 1;
            return Ok(String::from_utf8_lossy(&rest[..plain]));
        }
        let mut out = Vec::new();
        loop {
            let rest = self.rest();
            let plain = rest.iter().take_while(|b| !b"\"\\".contains(b)).count();
            out.extend_from_slice(&rest[..plain]);
            self.at += plain;
            match self.rest() {
                [b'"', ..] => {
                    self.at += 1;
                    return Ok(Cow::Owned(String::from_utf8_lossy(&out).into_owned()));
                }
                [b'\\', b'u', ..] => {
                    let c = self.unicode()?;
                    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
                [b'\\', escape, ..] => {
                    out.push(match escape {
                        b'"' | b'\\' | b'/' => *escape,
                        b'b' => 8,
                        b'f' => 12,
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        _ => return self.fail("invalid escape in a string"),
                    });
                    self.at += 2;
                }
                _ => return self.fail("string without an end"),
            }
        }
    }

    /// A character written as `\u` and four digits, or as two of these. A half of a pair alone becomes
    /// U+FFFD.
    fn unicode(&mut self) -> Result<char, Error> {
        let first = self.unit()?;
        if !(0xd800..0xdc00).contains(&first) || !self.rest().starts_with(b"\\u") {
            return Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        let start = self.at;
        let second = self.unit()?;
        if !(0xdc00..0xe000).contains(&second) {
            self.at = start;
            return Ok(char::REPLACEMENT_CHARACTER);
        }
        let joined = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        Ok(char::from_u32(joined).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn unit(&mut self) -> Result<u32, Error> {
        let digits = self
            .rest()
            .get(2..6)
            .and_then(|d| std::str::from_utf8(d).ok());
        let Some(unit) = digits.and_then(|d| u32::from_str_radix(d, 16).ok()) else {
            return self.fail("invalid escape in a string");
        };
        self.at += 6;
        Ok(unit)
    }

    /// The text of a number.
    pub(crate) fn number(&mut self) -> Result<&'a str, Error> {
        self.peek();
        let rest = self.rest();
        let length = rest
            .iter()
            .take_while(|b| b"+-.eE0123456789".contains(b))
            .count();
        match std::str::from_utf8(&rest[..length]) {
            Ok(text) if length > 0 => {
                self.at += length;
                Ok(text)
            }
            _ => self.fail("expected a number"),
        }
    }

    /// A whole number; the fraction of another number is dropped.
    pub(crate) fn integer(&mut self) -> Result<i64, Error> {
        let start = self.at;
        let text = self.number()?;
        let parsed = text.parse().ok().or_else(|| {
            let float = text.parse::<f64>().ok()?;
            (float.abs() < 9e18).then_some(float as i64)
        });
        if let Some(value) = parsed {
            Ok(value)
        } else {
            self.at = start;
            self.fail("expected a number of at most 64 bits")
        }
    }

    /// An index into a list.
    pub(crate) fn index(&mut self) -> Result<usize, Error> {
        self.peek();
        let start = self.at;
        if let Ok(index) = self.number()?.parse() {
            Ok(index)
        } else {
            self.at = start;
            self.fail("expected an index")
        }
    }

    /// Skips a value and returns a reader of it. Only brackets and strings of the value are checked.
    pub(crate) fn skip(&mut self) -> Result<Self, Error> {
        self.peek();
        let mut value = Self {
            opened: false,
            ..self.clone()
        };
        let mut open = Vec::new();
        loop {
            match self.peek() {
                b'"' => {
                    self.skip_string()?;
                }
                bracket @ (b'{' | b'[') => {
                    open.push(bracket + 2);
                    self.at += 1;
                }
                bracket @ (b'}' | b']') => {
                    if open.pop() != Some(bracket) {
                        return self.fail("unexpected closing bracket");
                    }
                    self.at += 1;
                }
                b',' | b':' if !open.is_empty() => self.at += 1,
                _ => {
                    let word = |b: &&u8| b.is_ascii_alphanumeric() || b"+-.".contains(b);
                    let length = self.rest().iter().take_while(word).count();
                    if length == 0 {
                        return self.fail("expected a value");
                    }
                    self.at += length;
                }
            }
            if open.is_empty() {
                value.end = self.at;
                return Ok(value);
            }
        }
    }

    fn skip_string(&mut self) -> Result<(), Error> {
        self.at += 1;
        loop {
            let plain = self
                .rest()
                .iter()
                .take_while(|b| !b"\"\\".contains(b))
                .count();
            self.at += plain;
            match self.rest() {
                [b'"', ..] => {
                    self.at += 1;
                    return Ok(());
                }
                [b'\\', _, ..] => self.at += 2,
                _ => return self.fail("string without an end"),
            }
        }
    }

    /// The range of the value in the text.
    pub(crate) fn span(&self) -> (u32, u32) {
        (self.at as u32, self.end as u32)
    }

    /// A reader of the value at a range of the same text.
    pub(crate) fn value_at(&self, (start, end): (u32, u32)) -> Self {
        Self {
            at: start as usize,
            end: end as usize,
            opened: false,
            ..self.clone()
        }
    }

    /// Checks that nothing follows the value.
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        match self.peek() {
            0 if self.at == self.end => Ok(()),
            _ => self.fail("text after the end of the JSON value"),
        }
    }
}

#[cfg(test)]
mod tests;
