//! Blocks: a folder of tables and the meta object that makes the block exist.

use super::batch::Batch;
use super::columns::{Extent, Group, Span, Writer, footer};
use super::order::{Dictionaries, Ordered, ordered};
use super::tables::{Bases, write};
use super::{Table, VERSION};
use crate::error::{Error, ErrorKind, Result};
use crate::key::BlockId;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// zstd level: blocks are written once and kept for years.
const LEVEL: i32 = 3;

/// The content of `meta.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// Format version.
    pub version: u32,
    /// Names of the segments whose windows it holds, sorted. Those of a day block are in an object of their own.
    pub segments: Vec<String>,
    /// Names of the segments and blocks that were merged into it, sorted.
    pub inputs: Vec<String>,
    /// What a day block holds of each hour (`YYYY-MM-DD/HH`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hours: BTreeMap<String, HourMeta>,
    /// The day block that a month block holds of each day (`YYYY-MM-DD`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub days: BTreeMap<String, String>,
    /// Inputs that could not be read, whose segments count as held.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<Damaged>,
    /// Number of windows.
    pub windows: usize,
    /// Number of rows.
    pub rows: usize,
    /// Row groups, the same in every table.
    pub groups: Vec<GroupMeta>,
    /// Files by table name.
    pub tables: BTreeMap<String, FileMeta>,
}

/// An hour of a day block.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HourMeta {
    /// Number of segments whose windows it holds.
    pub segments: usize,
    /// Names of the blocks from which they were merged, sorted.
    pub blocks: Vec<String>,
}

/// A segment or block that could not be read. A copy is in the quarantine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Damaged {
    /// Its key.
    pub key: String,
    /// What is wrong with it.
    pub reason: String,
}

/// A row group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupMeta {
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
    /// Number of rows of spans.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub spans: usize,
    /// Number of rows of spans that were left out because there were too many.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub spans_left_out: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "called by serde")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileMeta {
    /// Length in bytes.
    pub bytes: u64,
    /// Offset of the footer.
    pub footer: u64,
    /// CRC-32 of the footer.
    pub footer_crc32: u32,
    /// Start, end and CRC-32 of each row group.
    pub groups: Vec<(u64, u64, u32)>,
}

impl GroupMeta {
    /// The description of a row group with this content.
    pub fn of(services: Vec<String>, content: &Ordered) -> Self {
        let starts = || content.windows.iter().map(|window| window.start_ms);
        Self {
            services,
            windows: content.windows.iter().map(|of| of.count as usize).sum(),
            rows: content.rows.len(),
            from_ms: starts().min().unwrap_or(0),
            last_ms: starts().max().unwrap_or(0),
            spans: content.spans.len(),
            spans_left_out: content.spans_left_out,
        }
    }
}

/// The name of the block that this version of the writer writes for these inputs.
pub fn id(writer: &str, inputs: &[String]) -> BlockId {
    let text = format!("{VERSION}\n{writer}\n{}", inputs.join("\n"));
    BlockId(format!(
        "{:032x}",
        xxhash_rust::xxh3::xxh3_128(text.as_bytes())
    ))
}

/// The last column of every table: the name of the block, because numbers are unique in a file only. Where other
/// engines read several blocks, they join by it and a number.
const BLOCK: &str = "block";

/// Writes a block, one row group at a time.
pub struct BlockWriter {
    name: BlockId,
    inputs: Vec<String>,
    writers: Vec<(Table, Writer)>,
    bases: Bases,
    groups: Vec<GroupMeta>,
}

/// A block that is to be stored.
pub struct Written {
    /// Its name.
    pub name: BlockId,
    /// The files of its tables.
    pub files: Vec<(Table, Bytes)>,
    /// The meta object, which must be stored last.
    pub meta: Meta,
}

impl BlockWriter {
    /// An empty block of inputs with these names, by a version of the writer.
    pub fn new(writer: &str, inputs: Vec<String>) -> Result<Self> {
        let name = id(writer, &inputs);
        let writers = Table::ALL.into_iter().map(|table| {
            let constant = (BLOCK, name.0.as_str());
            let writer = Writer::with_constant(table.columns(), constant, LEVEL)?;
            Ok((table, writer))
        });
        Ok(Self {
            writers: writers.collect::<Result<_>>()?,
            name,
            inputs,
            bases: Bases::default(),
            groups: Vec::new(),
        })
    }

    /// Leaves out the values by window, for month blocks.
    #[must_use]
    pub fn without_samples(mut self) -> Self {
        self.writers.retain(|(table, _)| *table != Table::Samples);
        self
    }

    /// Adds a row group to every table.
    pub fn group(&mut self, batch: Batch) -> Result<()> {
        let services = batch.services();
        let content = ordered(batch, Dictionaries::Sorted);
        self.groups.push(GroupMeta::of(services, &content));
        for (table, writer) in &mut self.writers {
            write(*table, &content, self.bases, writer)?;
        }
        self.bases = self.bases.after(&content);
        Ok(())
    }

    /// Finishes the files.
    pub fn finish(self, segments: Vec<String>) -> Result<Written> {
        let mut files = Vec::new();
        let mut tables = BTreeMap::new();
        let services: Vec<&Vec<String>> = self.groups.iter().map(|group| &group.services).collect();
        let services = serde_json::to_string(&services).map_err(Error::corrupt_by)?;
        let has_spans = self.groups.iter().any(|group| group.spans > 0);
        let writers = self.writers.into_iter();
        for (table, writer) in writers.filter(|(table, _)| has_spans || *table != Table::Spans) {
            let facts = [
                ("davy.version", VERSION.to_string()),
                ("davy.services", services.clone()),
            ];
            let (bytes, ranges) = writer.finish(&facts)?;
            tables.insert(table.name().to_owned(), FileMeta::of(&bytes, &ranges));
            files.push((table, Bytes::from(bytes)));
        }
        let meta = Meta {
            version: VERSION,
            segments,
            inputs: self.inputs,
            hours: BTreeMap::new(),
            days: BTreeMap::new(),
            damaged: Vec::new(),
            windows: self.groups.iter().map(|group| group.windows).sum(),
            rows: self.groups.iter().map(|group| group.rows).sum(),
            groups: self.groups,
            tables,
        };
        Ok(Written {
            name: self.name,
            files,
            meta,
        })
    }
}

impl Meta {
    /// Parses `meta.json`.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let Version { version } = serde_json::from_slice(bytes).map_err(Error::corrupt_by)?;
        if version > VERSION {
            return Err(Error::new(
                ErrorKind::Internal,
                format!(
                    "unsupported block version {version}; this archiver reads versions up to {VERSION}: update it"
                ),
            ));
        }
        serde_json::from_slice(bytes).map_err(Error::corrupt_by)
    }

    /// Whether it has a table; month blocks and blocks of earlier versions have fewer.
    pub fn has(&self, table: Table) -> bool {
        self.tables.contains_key(table.name())
    }

    /// A file.
    pub fn file(&self, table: Table) -> Result<&FileMeta> {
        self.tables
            .get(table.name())
            .ok_or_else(|| Error::corrupt("missing table in a block"))
    }

    /// Total size of all files, in bytes.
    pub fn bytes(&self) -> u64 {
        self.tables.values().map(|file| file.bytes).sum()
    }
}

impl FileMeta {
    /// The description of a file with these row groups.
    pub fn of(bytes: &[u8], groups: &[Extent]) -> Self {
        let crc = |from: u64, to: u64| crc32fast::hash(&bytes[from as usize..to as usize]);
        let footer = groups.last().map_or(4, |(_, end)| *end);
        Self {
            bytes: bytes.len() as u64,
            footer,
            footer_crc32: crc(footer, bytes.len() as u64),
            groups: groups
                .iter()
                .map(|(from, to)| (*from, *to, crc(*from, *to)))
                .collect(),
        }
    }

    /// Byte range of the footer.
    pub fn footer_range(&self) -> std::ops::Range<u64> {
        self.footer..self.bytes
    }

    /// Verifies and parses the footer.
    pub fn open_footer(
        &self,
        bytes: Bytes,
    ) -> Result<std::sync::Arc<parquet::file::metadata::ParquetMetaData>> {
        if crc32fast::hash(&bytes) != self.footer_crc32 {
            return Err(Error::corrupt("checksum mismatch in a table footer"));
        }
        footer(&Span {
            start: self.footer,
            bytes,
            length: self.bytes,
        })
    }

    /// Byte range of a row group.
    pub fn group_range(&self, group: usize) -> Result<std::ops::Range<u64>> {
        let (from, to, _) = self
            .groups
            .get(group)
            .ok_or_else(|| Error::corrupt("missing row group"))?;
        Ok(*from..*to)
    }

    /// Verifies and opens a row group.
    pub fn open_group(
        &self,
        group: usize,
        meta: std::sync::Arc<parquet::file::metadata::ParquetMetaData>,
        bytes: Bytes,
    ) -> Result<Group> {
        let (from, _, crc) = self
            .groups
            .get(group)
            .ok_or_else(|| Error::corrupt("missing row group"))?;
        if crc32fast::hash(&bytes) != *crc {
            return Err(Error::corrupt("checksum mismatch in a row group"));
        }
        Ok(Group {
            meta,
            index: group,
            span: Span {
                start: *from,
                bytes,
                length: self.bytes,
            },
        })
    }
}
