//! Segments: one object with all tables of a flush.

use super::batch::Batch;
use super::block::GroupMeta;
use super::columns::{Group, Span, Writer, footer};
use super::order::{Dictionaries, ordered};
use super::tables::{Bases, StackTables, write};
use super::{Table, VERSION};
use crate::error::{Error, ErrorKind, Result};
use bytes::Bytes;
use parquet::file::metadata::ParquetMetaData;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

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
    /// Row groups, the same in every table. A segment of an earlier writer states none and has one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    groups: Vec<GroupMeta>,
    tables: Vec<(String, u64, u64)>,
}

/// Encodes batches as a segment, with a row group for each. No service may be in two of them.
pub fn encode(batches: Vec<Batch>) -> Result<(Bytes, Directory)> {
    let mut groups = Vec::with_capacity(batches.len());
    let mut writers: Vec<(Table, Writer)> = Vec::with_capacity(Table::ALL.len());
    let has_spans = batches.iter().any(|batch| !batch.spans.is_empty());
    let spans = has_spans.then_some(Table::Spans);
    for table in Table::OF_SEGMENT.into_iter().chain(spans) {
        writers.push((table, table.writer(LEVEL)?));
    }
    let mut bases = Bases::default();
    for batch in batches {
        let services = batch.services();
        let content = ordered(batch, Dictionaries::AsTheyCame);
        groups.push(GroupMeta::of(services, &content));
        for (table, writer) in &mut writers {
            write(*table, &content, bases, writer)?;
        }
        bases = bases.after(&content);
    }
    let mut services: Vec<String> = groups.iter().flat_map(|of| of.services.clone()).collect();
    services.sort();
    let mut directory = Directory {
        services,
        windows: groups.iter().map(|of| of.windows).sum(),
        rows: groups.iter().map(|of| of.rows).sum(),
        from_ms: groups.iter().map(|of| of.from_ms).min().unwrap_or(0),
        last_ms: groups.iter().map(|of| of.last_ms).max().unwrap_or(0),
        groups,
        tables: Vec::new(),
    };
    let mut out = MAGIC.to_vec();
    for (table, writer) in writers {
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
    /// The bytes of each table, and its footer.
    tables: Vec<(Table, Span, Arc<ParquetMetaData>)>,
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
        let mut tables = Vec::with_capacity(directory.tables.len());
        for (name, start, length) in &directory.tables {
            let Some(table) = Table::of_name(name) else {
                continue;
            };
            let end = start.checked_add(*length);
            let end = end.filter(|end| *end <= bytes.len() as u64);
            let end = end.ok_or_else(|| Error::corrupt("invalid directory of a segment"))?;
            let span = Span::whole(bytes.slice(*start as usize..end as usize));
            let footer = footer(&span)?;
            tables.push((table, span, footer));
        }
        Ok(Self {
            directory,
            version,
            tables,
        })
    }

    /// Number of row groups.
    pub fn groups(&self) -> usize {
        self.directory.groups.len().max(1)
    }

    /// The services, and the start of the first and last window, of a row group.
    pub fn of_group(&self, group: usize) -> (&[String], i64, i64) {
        let whole = &self.directory;
        let whole = (&*whole.services, whole.from_ms, whole.last_ms);
        let found = self.directory.groups.get(group);
        found.map_or(whole, |of| (&of.services, of.from_ms, of.last_ms))
    }

    /// The tables of the stacks of a row group.
    pub fn stacks(&self, group: usize) -> Result<StackTables> {
        Ok(StackTables {
            nodes: self.table(Table::Nodes, group)?,
            frames: self.table(Table::Frames, group)?,
            details: if self.version < 2 {
                None
            } else {
                Some((
                    self.table(Table::Functions, group)?,
                    self.table(Table::Mappings, group)?,
                ))
            },
        })
    }

    /// Whether it has a table.
    pub fn has(&self, table: Table) -> bool {
        self.tables.iter().any(|(of, ..)| *of == table)
    }

    /// A row group of a table.
    pub fn table(&self, table: Table, group: usize) -> Result<Group> {
        let found = self.tables.iter().find(|(of, ..)| *of == table);
        let (_, span, meta) = found.ok_or_else(|| Error::corrupt("missing table in a segment"))?;
        Ok(Group {
            meta: Arc::clone(meta),
            index: group,
            span: span.clone(),
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
        let (good, _) = encode(vec![Batch::new()]).expect("encoded");
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
