//! Converts a symbol index to tables.

use super::meta::SYMBOLS_VERSION;
use super::meta::{SymbolTable, SymbolsMeta};
use super::ranges::{PackedFrame, Packer};
use crate::error::{Error, ErrorKind, Result};
use crate::format::block::FileMeta;
use crate::format::columns::{Column, Writer};
use bytes::Bytes;
use davy_profile::symbol_index::{Found, SymbolIndex};
use davy_profile::{StringId, truncate};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// zstd level: symbols are written once.
const LEVEL: i32 = 3;
/// Rows of a row group.
const ROWS: usize = 8_192;
/// Uncompressed bytes at which a row group ends.
const GROUP_BYTES: usize = 1 << 20;
/// Maximum number of frames of all ranges for each byte of the index; programs have fewer than 2.
const FRAMES_PER_BYTE: u64 = 16;
/// Maximum size of the uncompressed tables for each byte of the index; those of programs have fewer than 2.
const BYTES_PER_BYTE: u64 = 8;
/// Added to both limits.
const FLOOR: u64 = 1 << 20;

/// The tables of a build.
pub struct Encoded {
    /// Their bytes.
    pub files: Vec<(SymbolTable, Bytes)>,
    /// The meta object, which must be written last.
    pub meta: SymbolsMeta,
}

/// Number of a string of the index that has no number as a name yet.
const NEW: u32 = u32::MAX;

/// Encodes an index. `content` is the folder of the tables; names are shortened to `string` bytes. `grow` reserves
/// memory for the tables.
///
/// # Errors
///
/// If the index contradicts itself, or if its tables would be many times as large as the index.
pub fn encode<B: AsRef<[u8]>>(
    index: &SymbolIndex<B>,
    content: &str,
    string: usize,
    grow: &mut dyn FnMut(usize) -> Result<()>,
) -> Result<Encoded> {
    let bytes = index.as_bytes().len() as u64;
    check_frames(index, bytes * FRAMES_PER_BYTE + FLOOR)?;
    index
        .validate()
        .map_err(|error| Error::from_source(ErrorKind::Unprocessable, error))?;
    let mut tables = Tables {
        index,
        string,
        numbers: vec![NEW; index.strings()],
        functions: Functions::new()?,
        names: Names::new()?,
        ranges: 0,
        left: bytes * BYTES_PER_BYTE + FLOOR,
        reserved: 0,
        grow,
    };
    tables.blocks()?;
    tables.finish(content)
}

/// Refuses an index whose ranges share so many frames that reading it would take minutes.
fn check_frames<B: AsRef<[u8]>>(index: &SymbolIndex<B>, limit: u64) -> Result<()> {
    let mut frames = 0;
    for block in 0..index.blocks() {
        let each = |found: &Found| {
            frames += 1 + found.frames.len() as u64;
            frames <= limit
        };
        index
            .block(block, each)
            .map_err(|error| Error::from_source(ErrorKind::Unprocessable, error))?;
        if frames > limit {
            return Err(too_large("inlined functions"));
        }
    }
    Ok(())
}

fn too_large(what: &str) -> Error {
    Error::new(
        ErrorKind::Unprocessable,
        format!("invalid symbol index: it has too many {what} for its size; make it again"),
    )
}

struct Functions {
    writer: Writer,
    addresses: Vec<i64>,
    lengths: Vec<i64>,
    /// Function and file, as strings of the index.
    texts: Vec<(StringId, StringId)>,
    lines: Vec<i32>,
    ranges: Vec<Vec<u8>>,
    bytes: usize,
    /// First address and end of each row group.
    groups: Vec<(u64, u64)>,
}

impl Functions {
    fn new() -> Result<Self> {
        Ok(Self {
            writer: Writer::new(SymbolTable::Functions.columns(), LEVEL)?,
            addresses: Vec::new(),
            lengths: Vec::new(),
            texts: Vec::new(),
            lines: Vec::new(),
            ranges: Vec::new(),
            bytes: 0,
            groups: Vec::new(),
        })
    }

    fn flush<'a>(&mut self, text: impl Fn(StringId) -> Cow<'a, str>) -> Result<()> {
        let (Some(first), Some(last)) = (self.addresses.first(), self.addresses.last()) else {
            return Ok(());
        };
        let end = *last as u64 + self.lengths[self.lengths.len() - 1] as u64;
        self.groups.push((*first as u64, end));
        let functions: Vec<Cow<'_, str>> = self.texts.iter().map(|(of, _)| text(*of)).collect();
        let files: Vec<Cow<'_, str>> = self.texts.iter().map(|(_, of)| text(*of)).collect();
        let functions: Vec<&str> = functions.iter().map(|text| &**text).collect();
        let files: Vec<&str> = files.iter().map(|text| &**text).collect();
        let ranges: Vec<&[u8]> = self.ranges.iter().map(Vec::as_slice).collect();
        self.writer.group(&[
            Column::I64(&self.addresses),
            Column::I64(&self.lengths),
            Column::Text(&functions),
            Column::Text(&files),
            Column::I32(&self.lines),
            Column::Binary(&ranges),
        ])?;
        self.addresses.clear();
        self.lengths.clear();
        self.texts.clear();
        self.lines.clear();
        self.ranges.clear();
        self.bytes = 0;
        Ok(())
    }
}

struct Names {
    writer: Writer,
    texts: Vec<StringId>,
    bytes: usize,
    count: u32,
    /// First number of each row group.
    groups: Vec<u32>,
}

impl Names {
    fn new() -> Result<Self> {
        Ok(Self {
            writer: Writer::new(SymbolTable::Names.columns(), LEVEL)?,
            texts: Vec::new(),
            bytes: 0,
            count: 0,
            groups: Vec::new(),
        })
    }

    fn flush<'a>(&mut self, text: impl Fn(StringId) -> Cow<'a, str>) -> Result<()> {
        if self.texts.is_empty() {
            return Ok(());
        }
        let first = self.count - self.texts.len() as u32;
        self.groups.push(first);
        let numbers: Vec<i32> = (first..self.count).map(|number| number as i32).collect();
        let texts: Vec<Cow<'_, str>> = self.texts.iter().map(|of| text(*of)).collect();
        let texts: Vec<&str> = texts.iter().map(|text| &**text).collect();
        self.writer
            .group(&[Column::I32(&numbers), Column::Text(&texts)])?;
        self.texts.clear();
        self.bytes = 0;
        Ok(())
    }
}

/// Tables in progress.
struct Tables<'a, B> {
    index: &'a SymbolIndex<B>,
    string: usize,
    /// The number as a name of each string of the index.
    numbers: Vec<u32>,
    functions: Functions,
    names: Names,
    /// Number of ranges.
    ranges: u64,
    /// Uncompressed bytes that may still be written.
    left: u64,
    reserved: usize,
    grow: &'a mut dyn FnMut(usize) -> Result<()>,
}

impl<'a, B: AsRef<[u8]>> Tables<'a, B> {
    /// Adds the blocks, which are sorted by address.
    fn blocks(&mut self) -> Result<()> {
        let mut packer = Packer::default();
        let mut ranges: Vec<Found> = Vec::new();
        for block in 0..self.index.blocks() {
            ranges.clear();
            let each = |found: &Found| {
                ranges.push(found.clone());
                true
            };
            self.index
                .block(block, each)
                .map_err(|error| Error::from_source(ErrorKind::Unprocessable, error))?;
            self.block(&ranges, &mut packer)?;
        }
        Ok(())
    }

    /// Adds a row for a block.
    fn block(&mut self, ranges: &[Found], packer: &mut Packer) -> Result<()> {
        let named = ranges.iter().find_map(|found| found.frames.first());
        let (Some(first), Some(range)) = (named, ranges.first()) else {
            return Ok(());
        };
        let offset = range.range.start;
        let length: u64 = ranges.iter().map(|of| of.range.end - of.range.start).sum();
        let end = offset.checked_add(length);
        if end.is_none_or(|end| end > i64::MAX as u64) {
            return Err(Error::new(
                ErrorKind::Unprocessable,
                format!("invalid symbol index: offset {offset:#x} of a function exceeds 63 bits"),
            ));
        }
        for found in ranges {
            let mut frames = Vec::with_capacity(found.frames.len());
            for frame in &found.frames {
                frames.push(PackedFrame {
                    function: self.name(frame.function)?,
                    file: self.name(frame.file)?,
                    line: frame.line,
                });
            }
            packer.add(found.range.end - found.range.start, &frames);
        }
        let packed = packer.take();
        let texts = [first.function, first.file].map(|of| self.text(of).len());
        let bytes = packed.len() + texts[0] + texts[1] + 24;
        self.take(bytes)?;
        self.ranges += ranges.len() as u64;
        let functions = &mut self.functions;
        functions.addresses.push(offset as i64);
        functions.lengths.push(length as i64);
        functions.texts.push((first.function, first.file));
        functions.lines.push(first.line as i32);
        functions.ranges.push(packed);
        functions.bytes += bytes;
        if functions.bytes >= GROUP_BYTES || functions.addresses.len() == ROWS {
            self.flush_functions()?;
        }
        Ok(())
    }

    fn text(&self, id: StringId) -> Cow<'a, str> {
        truncate::name(self.index.text(id), self.string)
    }

    /// The number of a string as a name.
    fn name(&mut self, id: StringId) -> Result<u32> {
        let known = self.numbers[id.0 as usize];
        if known != NEW {
            return Ok(known);
        }
        let number = self.names.count;
        self.numbers[id.0 as usize] = number;
        let bytes = self.text(id).len() + 4;
        self.take(bytes)?;
        self.names.count += 1;
        self.names.texts.push(id);
        self.names.bytes += bytes;
        if self.names.bytes >= GROUP_BYTES || self.names.texts.len() == ROWS {
            self.flush_names()?;
        }
        Ok(number)
    }

    fn take(&mut self, bytes: usize) -> Result<()> {
        let left = self.left.checked_sub(bytes as u64);
        self.left = left.ok_or_else(|| too_large("names"))?;
        Ok(())
    }

    fn flush_functions(&mut self) -> Result<()> {
        let (index, string) = (self.index, self.string);
        self.functions
            .flush(|id| truncate::name(index.text(id), string))?;
        self.reserve()
    }

    fn flush_names(&mut self) -> Result<()> {
        let (index, string) = (self.index, self.string);
        self.names
            .flush(|id| truncate::name(index.text(id), string))?;
        self.reserve()
    }

    /// Accounts for what was written.
    fn reserve(&mut self) -> Result<()> {
        let bytes = self.functions.writer.bytes() + self.names.writer.bytes();
        let grown = bytes.saturating_sub(self.reserved);
        self.reserved += grown;
        (self.grow)(grown)
    }

    fn finish(mut self, content: &str) -> Result<Encoded> {
        self.flush_functions()?;
        self.flush_names()?;
        let build_id = self.index.build_id().to_owned();
        let facts = [
            ("davy.symbols", SYMBOLS_VERSION.to_string()),
            ("davy.build_id", build_id.clone()),
        ];
        let (mut files, mut tables) = (Vec::new(), BTreeMap::new());
        for (table, writer) in [
            (SymbolTable::Functions, self.functions.writer),
            (SymbolTable::Names, self.names.writer),
        ] {
            let (bytes, groups) = writer.finish(&facts)?;
            tables.insert(table.name().to_owned(), FileMeta::of(&bytes, &groups));
            files.push((table, Bytes::from(bytes)));
        }
        let meta = SymbolsMeta {
            version: SYMBOLS_VERSION,
            build_id,
            file_name: truncate::name(self.index.file_name(), self.string).into_owned(),
            content: content.to_owned(),
            stored_at: 0,
            functions: self.ranges.min(self.index.named().into()),
            ranges: self.ranges,
            names: self.names.count.into(),
            addresses: self.functions.groups,
            first_names: self.names.groups,
            tables,
        };
        Ok(Encoded { files, meta })
    }
}
