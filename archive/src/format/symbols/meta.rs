//! The object whose presence makes the symbols of a build exist.

use crate::error::{Error, ErrorKind, Result};
use crate::format::block::FileMeta;
use crate::format::columns::Layout;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the tables and of the meta object.
pub const SYMBOLS_VERSION: u32 = 1;

/// A table of the symbols of a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SymbolTable {
    /// Functions, sorted by address.
    Functions,
    /// The texts that the ranges of functions refer to.
    Names,
}

impl SymbolTable {
    /// All tables.
    pub const ALL: [Self; 2] = [Self::Functions, Self::Names];

    /// Name of the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Functions => "functions",
            Self::Names => "names",
        }
    }

    /// The name of its file.
    pub fn file(self) -> String {
        format!("{}.parquet", self.name())
    }

    /// Columns of the table.
    pub fn columns(self) -> &'static [(&'static str, Layout)] {
        match self {
            Self::Functions => &[
                ("address", Layout::Sorted64),
                ("length", Layout::Delta64),
                ("function", Layout::Text),
                ("file", Layout::Text),
                ("line", Layout::Delta32),
                ("ranges", Layout::Binary),
            ],
            Self::Names => &[("name", Layout::Delta32), ("text", Layout::Text)],
        }
    }
}

/// The content of `meta.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SymbolsMeta {
    /// Format version.
    pub version: u32,
    /// Build id.
    pub build_id: String,
    /// Name of the program or library.
    pub file_name: String,
    /// The folder of the tables: the hash of what they were made from.
    pub content: String,
    /// When they were stored, in milliseconds since the epoch.
    pub stored_at: i64,
    /// Number of functions that have a name.
    pub functions: u64,
    /// Number of ranges of addresses with the same functions and lines.
    pub ranges: u64,
    /// Number of names.
    pub names: u64,
    /// First address and end of each row group of the functions, ascending.
    pub addresses: Vec<(u64, u64)>,
    /// First number of each row group of the names, ascending.
    pub first_names: Vec<u32>,
    /// Files by table name.
    pub tables: BTreeMap<String, FileMeta>,
}

impl SymbolsMeta {
    /// Parses `meta.json`.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let Version { version } = serde_json::from_slice(bytes).map_err(Error::corrupt_by)?;
        if version > SYMBOLS_VERSION {
            return Err(Error::new(
                ErrorKind::Internal,
                format!(
                    "unsupported version {version} of symbols; this archiver reads versions up to {SYMBOLS_VERSION}: update it"
                ),
            ));
        }
        serde_json::from_slice(bytes).map_err(Error::corrupt_by)
    }

    /// A file.
    pub fn file(&self, table: SymbolTable) -> Result<&FileMeta> {
        let file = self.tables.get(table.name());
        file.ok_or_else(|| Error::corrupt("missing table of symbols"))
    }

    /// Total size of its files, in bytes.
    pub fn bytes(&self) -> u64 {
        self.tables.values().map(|file| file.bytes).sum()
    }

    /// The row group of the functions that can hold an address.
    pub fn group_of_address(&self, address: u64) -> Option<usize> {
        let at = self
            .addresses
            .partition_point(|(first, _)| *first <= address);
        let at = at.checked_sub(1)?;
        (address < self.addresses[at].1).then_some(at)
    }

    /// The row group of the names that can hold a number, and the number of its first row.
    pub fn group_of_name(&self, name: u32) -> Option<(usize, u32)> {
        let at = self.first_names.partition_point(|first| *first <= name);
        let at = at.checked_sub(1)?;
        Some((at, self.first_names[at]))
    }
}
