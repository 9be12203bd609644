//! Columns of texts, decoded from their pages into one buffer: the reader of the library has an allocation for each value.

use super::delta::lengths;
use super::hybrid::runs;
use crate::error::{Error, Result};
use parquet::basic::Encoding;
use parquet::column::page::Page;

/// Start and length of a text.
type Span = (u32, u32);

/// A column of texts, or of bytes. Equal values that follow each other, or are in a dictionary, are stored once.
#[derive(Clone)]
pub struct Texts {
    /// The values one after another, as a text if they are all UTF-8.
    all: Result<String, Vec<u8>>,
    /// Where the value of each row is.
    rows: Vec<Span>,
}

impl Texts {
    fn span(&self, row: usize) -> Option<std::ops::Range<usize>> {
        let (start, length) = *self.rows.get(row)?;
        Some(start as usize..start as usize + length as usize)
    }

    /// The text of a row; an error if it is missing or not UTF-8.
    pub fn get(&self, row: usize) -> Result<&str> {
        let span = self
            .span(row)
            .ok_or_else(|| Error::corrupt("missing text"))?;
        let text = match &self.all {
            Ok(text) => text.get(span),
            Err(bytes) => std::str::from_utf8(&bytes[span]).ok(),
        };
        text.ok_or_else(|| Error::corrupt("text is not UTF-8"))
    }

    /// The bytes of a row; an error if it is missing.
    pub fn bytes(&self, row: usize) -> Result<&[u8]> {
        let span = self
            .span(row)
            .ok_or_else(|| Error::corrupt("missing bytes"))?;
        Ok(match &self.all {
            Ok(text) => &text.as_bytes()[span],
            Err(bytes) => &bytes[span],
        })
    }

    /// Adds a row.
    pub fn push(&mut self, text: &str) {
        let start = match &mut self.all {
            Ok(all) => {
                all.push_str(text);
                all.len()
            }
            Err(all) => {
                all.extend_from_slice(text.as_bytes());
                all.len()
            }
        } - text.len();
        self.rows.push((start as u32, text.len() as u32));
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Memory, in bytes.
    pub fn memory(&self) -> usize {
        let all = self.all.as_ref().map_or_else(Vec::len, String::len);
        all + self.rows.len() * size_of::<Span>()
    }
}

/// Collects the texts of a column from its pages.
pub(super) struct TextPages {
    all: Vec<u8>,
    dictionary: Vec<Span>,
    rows: Vec<Span>,
    /// Number of rows of the column.
    count: usize,
}

impl TextPages {
    /// Of a column that has this many rows.
    pub(super) fn of(count: usize) -> Self {
        Self {
            all: Vec::new(),
            dictionary: Vec::new(),
            // A damaged footer can claim any number of rows, so the first allocation is bounded.
            rows: Vec::with_capacity(count.min(1 << 20)),
            count,
        }
    }

    /// Adds a page.
    pub(super) fn page(&mut self, page: &Page) -> Result<()> {
        let (bytes, encoding) = match page {
            Page::DictionaryPage { buf, .. } => {
                if !self.rows.is_empty() || !self.dictionary.is_empty() {
                    return Err(Error::corrupt("a dictionary that is not the first page"));
                }
                self.plain(buf, page.num_values() as usize)?;
                self.dictionary = std::mem::take(&mut self.rows);
                return Ok(());
            }
            Page::DataPage { buf, encoding, .. } => (&buf[..], *encoding),
            Page::DataPageV2 {
                buf,
                encoding,
                def_levels_byte_len,
                rep_levels_byte_len,
                ..
            } => {
                let levels = *def_levels_byte_len as usize + *rep_levels_byte_len as usize;
                let bytes = buf.get(levels..);
                let bytes = bytes.ok_or_else(|| Error::corrupt("truncated page of texts"))?;
                (bytes, *encoding)
            }
        };
        let count = page.num_values() as usize;
        if count > self.count - self.rows.len() {
            return Err(Error::corrupt("more texts than rows"));
        }
        match encoding {
            Encoding::PLAIN => self.plain(bytes, count),
            Encoding::DELTA_BYTE_ARRAY => self.prefixed(bytes, count),
            Encoding::RLE_DICTIONARY => self.numbered(bytes, count),
            other => Err(Error::corrupt(format!(
                "unexpected encoding {other} of texts"
            ))),
        }
    }

    /// Adds a text that begins with the first `shared` bytes of the one before.
    fn add(&mut self, shared: usize, rest: &[u8]) -> Result<()> {
        let last = self.rows.last().copied().unwrap_or_default();
        let before = &self.all[last.0 as usize..][..last.1 as usize];
        if shared > before.len() {
            return Err(Error::corrupt("invalid prefix of a text"));
        }
        let is_same = shared + rest.len() == before.len() && before[shared..] == *rest;
        if !is_same || self.rows.is_empty() {
            let start = self.all.len();
            if start + shared + rest.len() > u32::MAX as usize {
                return Err(Error::corrupt("texts of more than 4 GiB"));
            }
            let from = last.0 as usize;
            self.all.extend_from_within(from..from + shared);
            self.all.extend_from_slice(rest);
            self.rows
                .push((start as u32, (self.all.len() - start) as u32));
        } else {
            self.rows.push(last);
        }
        Ok(())
    }

    /// Texts after their lengths.
    fn plain(&mut self, mut bytes: &[u8], count: usize) -> Result<()> {
        for _ in 0..count {
            let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(truncated)?;
            let length = u32::from_le_bytes(*length) as usize;
            let (text, rest) = rest.split_at_checked(length).ok_or_else(truncated)?;
            self.add(0, text)?;
            bytes = rest;
        }
        Ok(())
    }

    /// Prefix-compressed texts.
    fn prefixed(&mut self, bytes: &[u8], count: usize) -> Result<()> {
        let (prefixes, bytes) = lengths(bytes, count)?;
        let (rests, mut bytes) = lengths(bytes, count)?;
        // The first text of a page shares nothing.
        if prefixes.first().is_some_and(|first| *first != 0) {
            return Err(Error::corrupt("invalid prefix of a text"));
        }
        for (shared, length) in prefixes.into_iter().zip(rests) {
            let (rest, after) = bytes
                .split_at_checked(length as usize)
                .ok_or_else(truncated)?;
            self.add(shared as usize, rest)?;
            bytes = after;
        }
        Ok(())
    }

    /// Numbers of texts of the dictionary.
    fn numbered(&mut self, bytes: &[u8], count: usize) -> Result<()> {
        let (width, bytes) = bytes.split_first().ok_or_else(truncated)?;
        let Self {
            dictionary, rows, ..
        } = self;
        runs(bytes, *width, count, |number, times| {
            let text = dictionary.get(number as usize);
            let text = text.ok_or_else(|| Error::corrupt("text is not in the dictionary"))?;
            rows.resize(rows.len() + times, *text);
            Ok(())
        })
    }

    /// The texts of all pages.
    pub(super) fn finish(mut self) -> Result<Texts> {
        if self.rows.len() != self.count {
            return Err(Error::corrupt("fewer texts than rows"));
        }
        self.all.shrink_to_fit();
        let all = String::from_utf8(self.all).map_err(std::string::FromUtf8Error::into_bytes);
        Ok(Texts {
            all,
            rows: self.rows,
        })
    }
}

fn truncated() -> Error {
    Error::corrupt("truncated page of texts")
}
