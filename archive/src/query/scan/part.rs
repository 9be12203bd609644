//! What a scan reads: segments, and row groups of blocks.

use crate::bucket::{Bucket, ReadError};
use crate::error::{Error, ErrorKind};
use crate::format::Table;
use crate::format::block::Meta;
use crate::format::columns::Group;
use crate::format::segment::Segment;
use crate::format::tables::StackTables;
use crate::key::{BlockId, Period, Tenant};
use crate::rule::day::Hours;
use std::sync::Arc;
use ulid::Ulid;

/// A segment, or a row group of a block.
pub(super) enum Part {
    /// A segment that is not read yet, so that only one is in memory.
    Listed(Ulid),
    Segment(Segment),
    Block(Block),
}

/// A row group of a block.
pub(super) struct Block {
    pub(super) period: Period,
    pub(super) id: BlockId,
    pub(super) meta: Arc<Meta>,
    pub(super) group: usize,
    /// The hours that are read from a day block.
    pub(super) hours: Option<Hours>,
    /// Whether it has values by window or hour, besides their sums.
    pub(super) has_samples: bool,
}

impl Part {
    /// One of its tables.
    pub(super) async fn table(
        &self,
        bucket: &Bucket,
        tenant: &Tenant,
        table: Table,
    ) -> Result<Group, ReadError> {
        match self {
            Self::Listed(_) => Err(not_open().into()),
            Self::Segment(segment) => Ok(segment.table(table)?),
            Self::Block(of) => {
                let block = (tenant, of.period, &of.id);
                bucket.group(block, &of.meta, table, of.group).await
            }
        }
    }

    /// The tables of its stacks.
    pub(super) async fn stacks(
        &self,
        bucket: &Bucket,
        tenant: &Tenant,
    ) -> Result<StackTables, ReadError> {
        match self {
            Self::Listed(_) => Err(not_open().into()),
            Self::Segment(segment) => Ok(segment.stacks()?),
            Self::Block(of) => {
                let block = (tenant, of.period, &of.id);
                bucket.stacks(block, &of.meta, of.group).await
            }
        }
    }
}

fn not_open() -> Error {
    Error::new(ErrorKind::Internal, "segment not open")
}
