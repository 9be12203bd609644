//! A row group that is merged.

use super::quarantine::Place;
use crate::bucket::{Bucket, ReadError};
use crate::format::Table;
use crate::format::block::{Damaged, Meta};
use crate::format::columns::Group;
use crate::format::segment::Segment;
use crate::format::tables::StackTables;
use crate::key::{BlockId, Hour, Period, Tenant};
use crate::rule::day::Hours;
use std::sync::Arc;
use ulid::Ulid;

/// The object that contains a row group.
pub(super) enum Holder {
    /// A segment, which is in memory.
    Segment(Hour, Ulid, Arc<Segment>),
    /// A block.
    Block(Period, BlockId, Arc<Meta>),
}

/// A row group to merge.
pub(super) struct Part {
    pub(super) holder: Holder,
    pub(super) group: usize,
    /// Hours to merge.
    pub(super) hours: Hours,
}

impl Part {
    /// The row groups of a segment.
    pub(super) fn of_segment(hour: Hour, name: Ulid, segment: Segment) -> Vec<Self> {
        let segment = Arc::new(segment);
        let groups = 0..segment.groups();
        let part = |group| Self {
            holder: Holder::Segment(hour, name, Arc::clone(&segment)),
            group,
            hours: Hours::ALL,
        };
        groups.map(part).collect()
    }

    /// The row groups of a block.
    pub(super) fn of_block(
        period: Period,
        block: &BlockId,
        meta: &Arc<Meta>,
        hours: Hours,
    ) -> Vec<Self> {
        let part = |group| Self {
            holder: Holder::Block(period, block.clone(), Arc::clone(meta)),
            group,
            hours,
        };
        (0..meta.groups.len()).map(part).collect()
    }

    /// The first of its services.
    pub(super) fn service(&self) -> &str {
        let services = match &self.holder {
            Holder::Segment(_, _, segment) => Some(segment.of_group(self.group).0),
            Holder::Block(_, _, meta) => meta.groups.get(self.group).map(|of| &*of.services),
        };
        let first = services.and_then(|of| of.first());
        first.map_or("", String::as_str)
    }

    /// Where it is, for the quarantine.
    pub(super) fn place(&self) -> Place {
        match &self.holder {
            Holder::Segment(hour, name, _) => Place::Segment(*hour, *name),
            Holder::Block(period, block, _) => Place::Group(*period, block.clone(), self.group),
        }
    }

    /// Inputs that were damaged when its block was written.
    pub(super) fn damaged(&self) -> &[Damaged] {
        match &self.holder {
            Holder::Segment(..) => &[],
            Holder::Block(_, _, meta) => &meta.damaged,
        }
    }

    /// Whether it is in a segment.
    pub(super) fn is_of_segment(&self) -> bool {
        matches!(self.holder, Holder::Segment(..))
    }

    /// One of its tables.
    pub(super) async fn table(
        &self,
        bucket: &Bucket,
        tenant: &Tenant,
        table: Table,
    ) -> Result<Group, ReadError> {
        match &self.holder {
            Holder::Segment(_, _, segment) => Ok(segment.table(table, self.group)?),
            Holder::Block(period, block, meta) => {
                let block = (tenant, *period, block);
                bucket.group(block, meta, table, self.group).await
            }
        }
    }

    /// Its values that belong to spans, and the number of those that were left out.
    pub(super) async fn spans(
        &self,
        bucket: &Bucket,
        tenant: &Tenant,
    ) -> Result<Option<(Group, usize)>, ReadError> {
        let (has_spans, left_out) = match &self.holder {
            Holder::Segment(_, _, segment) => (segment.has(Table::Spans), 0),
            Holder::Block(_, _, meta) => {
                let group = meta.groups.get(self.group);
                (
                    meta.has(Table::Spans),
                    group.map_or(0, |of| of.spans_left_out),
                )
            }
        };
        if !has_spans {
            return Ok(None);
        }
        let table = self.table(bucket, tenant, Table::Spans).await?;
        Ok(Some((table, left_out)))
    }

    /// The tables of its stacks.
    pub(super) async fn stacks(
        &self,
        bucket: &Bucket,
        tenant: &Tenant,
    ) -> Result<StackTables, ReadError> {
        match &self.holder {
            Holder::Segment(_, _, segment) => Ok(segment.stacks(self.group)?),
            Holder::Block(period, block, meta) => {
                let block = (tenant, *period, block);
                bucket.stacks(block, meta, self.group).await
            }
        }
    }
}
