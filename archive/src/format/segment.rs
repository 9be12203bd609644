//! Segments: one object with all tables of a flush.

use super::batch::Batch;
use super::columns::{Group, Span, footer};
use super::order::{Dictionaries, ordered};
use super::tables::{Bases, StackTables, write};
use super::{Table, VERSION};
use crate::error::{Error, ErrorKind, Result};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

const MAGIC: &[u8; 8] = b"DAVYSEG1";
/// Version, length of the directory, checksum, magic.
const TAIL: usize = 4 + 4 + 4 + 8;
/// zstd level: segments are kept for about an hour, so speed matters more than size.
const LEVEL: i32 = 1;

/// Summary of a segment, and the positions of its tables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directory {
    /// Services, sorted.
    pub services: Vec<String>,
    /// Number of windows.
    pub windows: usize,
    /// Number of rows.
    pub rows: usize,
    /// Start of the first window, in milliseconds.
    pub from_ms: i64,
    /// Start of the last window, in milliseconds.
    pub last_ms: i64,
    tables: Vec<(String, u64, u64)>,
}

/// Encodes a batch as a segment.
pub fn encode(batch: Batch) -> Result<(Bytes, Directory)> {
    let services = batch.services();
    let content = ordered(batch, Dictionaries::AsTheyCame);
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
    let text = serde_json::to_vec(&directory).map_err(Error::corrupt_by)?;
    out.extend_from_slice(&text);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
    let checksum = crc32fast::hash(&out);
    out.extend_from_slice(&checksum.to_le_bytes());
    out.extend_from_slice(MAGIC);
    Ok((out.into(), directory))
}

/// An opened segment.
pub struct Segment {
    /// Summary of the segment.
    pub directory: Directory,
    version: u32,
    bytes: Bytes,
}

impl Segment {
    /// Verifies the bytes of a segment and parses its directory.
    pub fn open(bytes: Bytes) -> Result<Self> {
        let length = bytes.len();
        if length < MAGIC.len() + TAIL || !bytes.starts_with(MAGIC) || !bytes.ends_with(MAGIC) {
            return Err(Error::corrupt("not a segment, or truncated"));
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
                    "unsupported segment version {version}; this archiver reads versions up to {VERSION}: update it"
                ),
            ));
        }
        if crc32fast::hash(&bytes[..tail + 8]) != number(tail + 8) {
            return Err(Error::corrupt("checksum mismatch in a segment"));
        }
        let start = tail
            .checked_sub(number(tail + 4) as usize)
            .filter(|start| *start >= MAGIC.len());
        let start = start.ok_or_else(|| Error::corrupt("invalid directory of a segment"))?;
        let directory: Directory =
            serde_json::from_slice(&bytes[start..tail]).map_err(Error::corrupt_by)?;
        Ok(Self {
            directory,
            version,
            bytes,
        })
    }

    /// The tables of its stacks.
    pub fn stacks(&self) -> Result<StackTables> {
        Ok(StackTables {
            nodes: self.table(Table::Nodes)?,
            frames: self.table(Table::Frames)?,
            details: if self.version < 2 {
                None
            } else {
                Some((self.table(Table::Functions)?, self.table(Table::Mappings)?))
            },
        })
    }

    /// The row group of a table; a segment has one.
    pub fn table(&self, table: Table) -> Result<Group> {
        let entry = self
            .directory
            .tables
            .iter()
            .find(|(name, ..)| name == table.name());
        let (_, start, length) =
            entry.ok_or_else(|| Error::corrupt("missing table in a segment"))?;
        let end = start
            .checked_add(*length)
            .filter(|end| *end <= self.bytes.len() as u64);
        let end = end.ok_or_else(|| Error::corrupt("invalid directory of a segment"))?;
        let span = Span::whole(self.bytes.slice(*start as usize..end as usize));
        Ok(Group {
            meta: footer(&span)?,
            index: 0,
            span,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A segment without tables, of this version and with this directory.
    fn segment(version: u32, directory: &[u8]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(directory);
        bytes.extend_from_slice(&version.to_le_bytes());
        bytes.extend_from_slice(&(directory.len() as u32).to_le_bytes());
        let checksum = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes.extend_from_slice(MAGIC);
        bytes
    }

    fn fault(bytes: Vec<u8>) -> String {
        match Segment::open(bytes.into()) {
            Ok(_) => "none".to_owned(),
            Err(error) => error.message,
        }
    }

    #[test]
    fn each_kind_of_damage_has_its_own_message() {
        let (good, _) = encode(Batch::new()).expect("encoded");
        let good = good.to_vec();
        assert_eq!(fault(good.clone()), "none");
        let changed = |at: usize| {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            fault(bytes)
        };
        let not_a_segment = "damaged object: not a segment, or truncated";
        assert_eq!(changed(0), not_a_segment);
        assert_eq!(changed(good.len() - 1), not_a_segment);
        assert_eq!(fault(MAGIC.to_vec()), not_a_segment);
        let shortest = segment(VERSION, b"");
        assert_eq!(shortest.len(), MAGIC.len() + TAIL);
        assert_eq!(fault(shortest[1..].to_vec()), not_a_segment);
        assert!(fault(shortest).contains("EOF while parsing"));
        let mismatch = "damaged object: checksum mismatch in a segment";
        assert_eq!(changed(good.len() / 2), mismatch);
        let newer = fault(segment(VERSION + 1, b"{}"));
        assert!(newer.contains("unsupported segment version 3"), "{newer}");
        assert!(fault(segment(VERSION, b"{}")).contains("missing field"));
    }

    #[test]
    fn directory_longer_than_the_segment_is_rejected() {
        let mut bytes = segment(VERSION, b"");
        let at = MAGIC.len() + 4;
        bytes[at..at + 4].copy_from_slice(&1u32.to_le_bytes());
        let checksum = crc32fast::hash(&bytes[..at + 4]).to_le_bytes();
        bytes[at + 4..at + 8].copy_from_slice(&checksum);
        assert_eq!(
            fault(bytes),
            "damaged object: invalid directory of a segment"
        );
    }
}
