//! One object that holds all tables of a flush.

use super::batch::Batch;
use super::columns::{Group, Span, footer};
use super::order::{Texts, ordered};
use super::tables::{Bases, write};
use super::{Table, VERSION};
use crate::error::{Error, ErrorKind, Result};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

const MAGIC: &[u8; 8] = b"DAVYSEG1";
/// Version, length of the directory, checksum, magic.
const TAIL: usize = 4 + 4 + 4 + 8;
/// zstd's level: a segment lives for an hour, so it is packed in a hurry.
const LEVEL: i32 = 1;

/// What a segment holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directory {
    /// Services, sorted.
    pub services: Vec<String>,
    /// How many windows.
    pub windows: usize,
    /// How many rows.
    pub rows: usize,
    /// Start of the first window, in milliseconds.
    pub from_ms: i64,
    /// Start of the last window, in milliseconds.
    pub last_ms: i64,
    tables: Vec<(String, u64, u64)>,
}

/// Makes a segment of a batch.
pub fn encode(batch: Batch) -> Result<(Bytes, Directory)> {
    let services = batch.services();
    let content = ordered(batch, Texts::AsTheyCame);
    let mut out = MAGIC.to_vec();
    let starts = || content.windows.iter().map(|window| window.start_ms);
    let mut directory = Directory {
        windows: content.windows.len(),
        rows: content.rows.len(),
        from_ms: starts().min().unwrap_or(0),
        last_ms: starts().max().unwrap_or(0),
        services,
        tables: Vec::new(),
    };
    for table in Table::OF_SEGMENT {
        let mut writer = table.writer(LEVEL)?;
        write(table, &content, Bases::default(), &mut writer)?;
        let (bytes, _) = writer.finish(&[("davy.version", VERSION.to_string())])?;
        directory.tables.push((
            table.name().to_owned(),
            out.len() as u64,
            bytes.len() as u64,
        ));
        out.extend_from_slice(&bytes);
    }
    let text = serde_json::to_vec(&directory).map_err(Error::corrupt)?;
    out.extend_from_slice(&text);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
    let checksum = crc32fast::hash(&out);
    out.extend_from_slice(&checksum.to_le_bytes());
    out.extend_from_slice(MAGIC);
    Ok((out.into(), directory))
}

/// A segment that was read.
pub struct Segment {
    /// What it holds.
    pub directory: Directory,
    bytes: Bytes,
}

impl Segment {
    /// Checks the bytes of a segment and reads its directory.
    pub fn open(bytes: Bytes) -> Result<Self> {
        let length = bytes.len();
        if length < MAGIC.len() + TAIL || !bytes.starts_with(MAGIC) || !bytes.ends_with(MAGIC) {
            return Err(Error::corrupt("not a segment, or cut off"));
        }
        let number = |at: usize| {
            let mut four = [0; 4];
            four.copy_from_slice(&bytes[at..at + 4]);
            u32::from_le_bytes(four)
        };
        let tail = length - TAIL;
        let version = number(tail);
        if version > VERSION {
            return Err(Error::new(
                ErrorKind::Internal,
                format!(
                    "a segment has version {version}, this archiver reads up to {VERSION}: update it"
                ),
            ));
        }
        if crc32fast::hash(&bytes[..tail + 8]) != number(tail + 8) {
            return Err(Error::corrupt("the checksum of a segment does not match"));
        }
        let start = tail
            .checked_sub(number(tail + 4) as usize)
            .filter(|start| *start >= MAGIC.len());
        let start = start.ok_or_else(|| Error::corrupt("a segment's directory"))?;
        let directory: Directory =
            serde_json::from_slice(&bytes[start..tail]).map_err(Error::corrupt)?;
        Ok(Self { directory, bytes })
    }

    /// The one row group of a table.
    pub fn table(&self, table: Table) -> Result<Group> {
        let entry = self
            .directory
            .tables
            .iter()
            .find(|(name, ..)| name == table.name());
        let (_, start, length) = entry.ok_or_else(|| Error::corrupt("a segment lacks a table"))?;
        let end = start
            .checked_add(*length)
            .filter(|end| *end <= self.bytes.len() as u64);
        let end = end.ok_or_else(|| Error::corrupt("a segment's directory"))?;
        let span = Span::whole(self.bytes.slice(*start as usize..end as usize));
        Ok(Group {
            meta: footer(&span)?,
            index: 0,
            span,
        })
    }
}
