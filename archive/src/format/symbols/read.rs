//! Reads row groups of the tables of a build.

use super::ranges::{PackedFrame, find};
use crate::error::{Error, Result};
use crate::format::columns::{Group, Texts};

/// A row group of functions.
pub struct FunctionRows {
    addresses: Vec<i64>,
    lengths: Vec<i64>,
    ranges: Texts,
}

impl FunctionRows {
    /// Reads the row group.
    pub fn read(group: &Group) -> Result<Self> {
        Ok(Self {
            addresses: group.i64(0)?,
            lengths: group.i64(1)?,
            ranges: group.text(5)?,
        })
    }

    /// The functions at an address, the outermost first; empty if there are none.
    pub fn find(&self, address: u64) -> Result<Vec<PackedFrame>> {
        let below = self
            .addresses
            .partition_point(|first| *first as u64 <= address);
        let Some(row) = below.checked_sub(1) else {
            return Ok(Vec::new());
        };
        let offset = address - self.addresses[row] as u64;
        if offset >= self.lengths[row] as u64 {
            return Ok(Vec::new());
        }
        Ok(find(self.ranges.bytes(row)?, offset)?.unwrap_or_default())
    }
}

/// A row group of names.
pub struct NameRows {
    first: u32,
    texts: Texts,
}

impl NameRows {
    /// Reads the row group whose first name has this number.
    pub fn read(group: &Group, first: u32) -> Result<Self> {
        Ok(Self {
            first,
            texts: group.text(1)?,
        })
    }

    /// The text of a name.
    pub fn get(&self, name: u32) -> Result<&str> {
        let row = name.checked_sub(self.first);
        let row = row.ok_or_else(|| Error::corrupt("name before its row group"))?;
        self.texts.get(row as usize)
    }
}
