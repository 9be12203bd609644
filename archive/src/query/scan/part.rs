//! The parts that a scan reads: segments, and row groups of blocks.

use super::unread::Unread;
use crate::blocking::blocking;
use crate::bucket::decoded::GroupOf;
use crate::bucket::{Bucket, ReadError, is_read_whole};
use crate::cache::Entry;
use crate::error::{Error, ErrorKind, Result};
use crate::format::Table;
use crate::format::block::{GroupMeta, Meta};
use crate::format::columns::Group;
use crate::format::segment::Segment;
use crate::format::tables::{Dictionary, SeriesTable, SpanTable, StackTables, Values, WindowTable};
use crate::key::{BlockId, Period, Tenant};
use crate::query::params::Ask;
use crate::rule::day::Hours;
use davy_bucket::Usage;
use std::sync::Arc;
use ulid::Ulid;

/// A segment, or a row group of a block.
pub(super) enum Part {
    /// A segment that is not read yet, and its size in bytes.
    Listed(Ulid, u64),
    /// A row group of a segment.
    Segment(Arc<Segment>, usize),
    Block(Block),
}

/// A row group of a block.
pub(super) struct Block {
    pub(super) period: Period,
    pub(super) id: BlockId,
    pub(super) meta: Arc<Meta>,
    pub(super) group: usize,
    /// Number of its row groups that the scan reads.
    pub(super) read: usize,
    /// The hours that are read from a day block, all of a month block.
    pub(super) hours: Option<Hours>,
    /// Whether it has values by window or hour, besides their sums.
    pub(super) has_samples: bool,
}

/// A block of a period.
pub(super) struct BlockRef<'a>(
    pub(super) Period,
    pub(super) &'a BlockId,
    pub(super) &'a Arc<Meta>,
);

impl BlockRef<'_> {
    /// The parts of its row groups that are read. See [`Block`] for `hours` and `has_samples`.
    pub(super) fn parts(
        &self,
        (hours, has_samples): (Option<Hours>, bool),
        is_read: impl Fn(&GroupMeta) -> bool,
    ) -> Vec<Part> {
        let Self(period, id, meta) = *self;
        let groups = meta.groups.iter().enumerate();
        let groups = groups.filter(|(_, of)| is_read(of)).map(|(group, _)| group);
        let groups: Vec<usize> = groups.collect();
        let part = |group: &usize| {
            Part::Block(Block {
                period,
                id: id.clone(),
                meta: Arc::clone(meta),
                group: *group,
                read: groups.len(),
                hours,
                has_samples,
            })
        };
        groups.iter().map(part).collect()
    }
}

impl Block {
    /// Size of the files that are read whole for its parts together, in bytes.
    fn read_whole(&self) -> u64 {
        let files = self.meta.tables.values();
        let whole = files.filter(|file| is_read_whole(file, self.read));
        whole.map(|file| file.bytes).sum()
    }
}

/// Which values are read of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Those of each stack and window.
    Samples,
    /// Those of each stack, summed over all windows.
    Sums,
    /// Those of each window, summed over all stacks.
    Totals,
    /// Those of all windows and stacks.
    WholeTotals,
    /// Those of each span, stack and window.
    Spans,
}

/// The tables to which windows and values of a part refer.
#[derive(Clone)]
pub(super) struct References {
    pub(super) series: Arc<SeriesTable>,
    pub(super) windows: Arc<WindowTable>,
    pub(super) stacks: Option<Arc<Dictionary>>,
}

/// Decodes a table of a part.
async fn decode<T: Send + 'static>(
    read: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<Arc<T>, Unread> {
    let read = blocking("read a part of the range", read).await;
    Ok(Arc::new(read.map_err(Unread::Fatal)??))
}

fn cached(bucket: &Bucket, slot: Option<&GroupOf<'_>>) -> Option<Entry> {
    bucket.decoded(slot?)
}

fn keep(bucket: &Bucket, slot: Option<&GroupOf<'_>>, entry: Entry, bytes: usize) {
    if let Some(slot) = slot {
        bucket.keep_decoded(slot, entry, bytes);
    }
}

impl Part {
    /// Memory that it takes while it is read, in bytes, about.
    pub(super) fn memory(&self) -> u64 {
        match self {
            Self::Listed(_, bytes) => bytes * 12,
            Self::Segment(..) => 0,
            Self::Block(of) => {
                let rows = of.meta.groups.get(of.group).map_or(0, |of| of.rows as u64);
                rows * 32 + of.read_whole() / of.read.max(1) as u64
            }
        }
    }

    /// The row groups of a segment that can hold what the query selects.
    pub(super) fn of_segment(segment: Segment, ask: &Ask) -> Vec<Self> {
        let segment = Arc::new(segment);
        let groups = 0..segment.groups();
        let selected = groups.filter(|group| {
            let (services, from_ms, last_ms) = segment.of_group(*group);
            ask.may_be_in(services, from_ms, last_ms)
        });
        selected
            .map(|group| Self::Segment(Arc::clone(&segment), group))
            .collect()
    }

    /// Whether it is of a month block, which has totals by day, but no values of stacks by day.
    pub(super) fn is_of_month(&self) -> bool {
        matches!(self, Self::Block(of) if matches!(of.period, Period::Month(_)))
    }

    /// The hours that are read from a day or month block.
    pub(super) fn hours(&self) -> Option<Hours> {
        match self {
            Self::Block(of) => of.hours,
            _ => None,
        }
    }

    /// Whether it has values by window or hour.
    pub(super) fn has_samples(&self) -> bool {
        match self {
            Self::Block(of) => of.has_samples,
            _ => true,
        }
    }

    /// Whether it has sums over its windows.
    pub(super) fn has_sums(&self) -> bool {
        matches!(self, Self::Block(_))
    }

    /// Its series.
    pub(super) async fn series(
        &self,
        bucket: &Bucket,
        tenant: &Tenant,
    ) -> Result<Arc<SeriesTable>, Unread> {
        let slot = self.slot(tenant, Table::Series, 0);
        if let Some(Entry::Series(found)) = cached(bucket, slot.as_ref()) {
            return Ok(found);
        }
        let group = self.table(bucket, tenant, Table::Series).await?;
        let read = decode(move || SeriesTable::read(&group)).await?;
        let entry = Entry::Series(Arc::clone(&read));
        keep(bucket, slot.as_ref(), entry, read.memory());
        Ok(read)
    }

    /// Its windows.
    pub(super) async fn windows(
        &self,
        bucket: &Bucket,
        tenant: &Tenant,
        series: &Arc<SeriesTable>,
    ) -> Result<Arc<WindowTable>, Unread> {
        let slot = self.slot(tenant, Table::Windows, 0);
        if let Some(Entry::Windows(found)) = cached(bucket, slot.as_ref()) {
            return Ok(found);
        }
        let group = self.table(bucket, tenant, Table::Windows).await?;
        let series = Arc::clone(series);
        let read = decode(move || WindowTable::read(&group, &series)).await?;
        let entry = Entry::Windows(Arc::clone(&read));
        keep(bucket, slot.as_ref(), entry, read.memory());
        Ok(read)
    }

    /// Its stacks.
    pub(super) async fn stacks(
        &self,
        bucket: &Bucket,
        tenant: &Tenant,
    ) -> Result<Arc<Dictionary>, Unread> {
        let slot = self.slot(tenant, Table::Nodes, 0);
        if let Some(Entry::Stacks(found)) = cached(bucket, slot.as_ref()) {
            return Ok(found);
        }
        let tables = self.stack_tables(bucket, tenant).await?;
        let decode_stacks = move || {
            let read = Dictionary::read(&tables)?;
            // Here, because parts are decoded in parallel and merged one after another. Names that are found later change it.
            if read.unnamed().is_empty() {
                read.by_function();
            }
            Ok(read)
        };
        let read = decode(decode_stacks).await?;
        let entry = Entry::Stacks(Arc::clone(&read));
        keep(bucket, slot.as_ref(), entry, read.memory());
        Ok(read)
    }

    /// Its values. With stacks, those of the stacks as well.
    pub(super) async fn values(
        &self,
        bucket: &Bucket,
        tenant: &Tenant,
        wanted: Wanted,
        to: References,
    ) -> Result<Arc<Values>, Unread> {
        let table = match (wanted, self) {
            // Segments have no totals, and neither have blocks of earlier versions.
            (Wanted::Totals, Self::Block(of)) if of.meta.has(Table::Totals) => Table::Totals,
            (Wanted::Samples | Wanted::Totals, _) => Table::Samples,
            (Wanted::Sums | Wanted::WholeTotals, _) => Table::Sums,
            (Wanted::Spans, _) => Table::Spans,
        };
        // Values with the numbers of their nodes are another entry than those without.
        let slot = self.slot(tenant, table, to.stacks.is_some().into());
        if let Some(Entry::Values(found)) = cached(bucket, slot.as_ref()) {
            return Ok(found);
        }
        let group = self.table(bucket, tenant, table).await?;
        let read = decode(move || {
            let References {
                series,
                windows,
                stacks,
            } = to;
            match table {
                Table::Totals => Values::totals(&group, &series, &windows),
                Table::Sums => Values::sums(&group, &series, stacks.as_deref()),
                _ => Values::samples(&group, &series, &windows, stacks.as_deref()),
            }
        })
        .await?;
        let entry = Entry::Values(Arc::clone(&read));
        keep(bucket, slot.as_ref(), entry, read.memory());
        Ok(read)
    }

    /// The number of its values of spans that were left out because there were too many.
    pub(super) fn spans_left_out(&self) -> usize {
        match self {
            Self::Block(of) => {
                let group = of.meta.groups.get(of.group);
                group.map_or(0, |of| of.spans_left_out)
            }
            _ => 0,
        }
    }

    /// Its values of the spans and traces that are asked for, which are not cached; `None` if it has no spans.
    pub(super) async fn spans(
        &self,
        bucket: &Bucket,
        ask: &Ask,
        to: References,
    ) -> Result<Option<Arc<SpanTable>>, Unread> {
        let has_spans = match self {
            Self::Listed(..) => false,
            Self::Segment(segment, _) => segment.has(Table::Spans),
            Self::Block(of) => of.meta.has(Table::Spans),
        };
        if !has_spans {
            return Ok(None);
        }
        let group = self.table(bucket, &ask.tenant, Table::Spans).await?;
        let only = ask.selector.only().clone();
        let read = decode(move || {
            let stacks = to.stacks.as_deref();
            SpanTable::read(&group, &to.series, &to.windows, stacks, &only)
        });
        read.await.map(Some)
    }

    /// The row group of a table and the variant of what is decoded of it; `None` of segments, which are not decoded
    /// often enough to be worth the memory.
    fn slot<'a>(&'a self, tenant: &'a Tenant, table: Table, variant: u8) -> Option<GroupOf<'a>> {
        match self {
            Self::Block(of) => Some(GroupOf {
                tenant,
                period: of.period,
                id: &of.id,
                meta: &of.meta,
                table,
                group: of.group,
                variant,
            }),
            _ => None,
        }
    }

    /// One of its tables. The bytes of a row group are not cached, because what is decoded of them is.
    async fn table(
        &self,
        bucket: &Bucket,
        tenant: &Tenant,
        table: Table,
    ) -> Result<Group, ReadError> {
        let group = match self {
            Self::Listed(..) => return Err(not_open().into()),
            Self::Segment(segment, group) => segment.table(table, *group)?,
            Self::Block(of) => {
                let block = (tenant, of.period, &of.id);
                let group = (of.group, of.read);
                bucket.group_once(block, &of.meta, table, group).await?
            }
        };
        Usage::record_decoded(group.decoded_bytes());
        Ok(group)
    }

    /// The tables of its stacks.
    async fn stack_tables(
        &self,
        bucket: &Bucket,
        tenant: &Tenant,
    ) -> Result<StackTables, ReadError> {
        let Self::Block(of) = self else {
            return match self {
                Self::Segment(segment, group) => Ok(counted(segment.stacks(*group)?)),
                _ => Err(not_open().into()),
            };
        };
        // Boxed, because four of them at once are a large future.
        let table = |table| Box::pin(self.table(bucket, tenant, table));
        let details = async {
            if of.meta.version < 2 {
                return Ok(None);
            }
            futures_util::try_join!(table(Table::Functions), table(Table::Mappings)).map(Some)
        };
        let (nodes, frames, details) =
            futures_util::try_join!(table(Table::Nodes), table(Table::Frames), details)?;
        Ok(StackTables {
            nodes,
            frames,
            details,
        })
    }
}

/// Counts the bytes of the tables of stacks of a segment.
fn counted(stacks: StackTables) -> StackTables {
    let details = stacks.details.iter().flat_map(|(a, b)| [a, b]);
    for group in [&stacks.nodes, &stacks.frames].into_iter().chain(details) {
        Usage::record_decoded(group.decoded_bytes());
    }
    stacks
}

fn not_open() -> Error {
    Error::new(ErrorKind::Internal, "segment not open")
}
