//! The files of the tables.

use super::windows::gone;
use crate::bucket::Bucket;
use crate::error::{Error, Result};
use crate::format::Table;
use crate::format::block::Meta;
use crate::key::{BlockId, Day, Period, Tenant};
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use std::sync::Arc;

/// Blocks and files that are read concurrently.
const TOGETHER: usize = 8;

/// A file of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DataFile {
    /// Its URL.
    pub(super) url: String,
    /// Name of its block.
    pub(super) block: String,
    /// Its day, in days since 1970.
    pub(super) day: i32,
    /// The hour of the day; None if its block is of the day.
    pub(super) hour: Option<i32>,
    /// Number of rows.
    pub(super) rows: i64,
    /// Size in bytes.
    pub(super) bytes: i64,
}

/// A block.
pub(super) struct BlockFiles {
    pub(super) period: Period,
    pub(super) id: BlockId,
    pub(super) meta: Arc<Meta>,
}

/// The blocks that are published.
pub(super) struct Files {
    pub(super) blocks: Vec<BlockFiles>,
    /// Keys of the values by window or hour.
    samples: std::collections::BTreeSet<Path>,
    /// A sentence for each block without an input that was damaged.
    pub(super) faults: Vec<String>,
    /// The day after the last one without values by hour.
    pub(super) samples_from: Option<Day>,
}

impl BlockFiles {
    /// Day and hour of its partition.
    pub(super) fn partition(&self) -> (i32, Option<i32>) {
        match self.period {
            Period::Hour(hour) => (Day::of(hour).0 as i32, Some(hour.0.rem_euclid(24) as i32)),
            Period::Day(day) => (day.0 as i32, None),
            // Not published, see `choice`.
            Period::Month(month) => (month.first().0 as i32, None),
        }
    }
}

impl Files {
    pub(super) async fn of(
        bucket: &Bucket,
        tenant: &Tenant,
        pieces: &[(Period, BlockId)],
    ) -> Result<Self> {
        let reads = pieces.iter().map(|(period, id)| async move {
            let meta = bucket.meta(tenant, *period, id).await.map_err(gone)?;
            let (period, id) = (*period, id.clone());
            Ok::<_, Error>(BlockFiles { period, id, meta })
        });
        let blocks: Vec<BlockFiles> = stream::iter(reads).buffered(TOGETHER).try_collect().await?;
        let damaged = blocks.iter().filter(|block| !block.meta.damaged.is_empty());
        let faults = damaged.map(|block| {
            let count = block.meta.damaged.len();
            let inputs = davy_profile::units::count(count, "damaged input", "damaged inputs");
            format!(
                "block {} of {} is without {inputs}",
                block.id.0, block.period
            )
        });
        // The values by hour of old day blocks have expired.
        let listed = bucket.list(&bucket.keys.day_blocks(tenant, None)).await?;
        let is_samples = |path: &Path| path.filename() == Some(&Table::Samples.file());
        let mut files = Self {
            faults: faults.collect(),
            samples: listed
                .into_iter()
                .map(|object| object.location)
                .filter(is_samples)
                .collect(),
            samples_from: None,
            blocks,
        };
        let last = files.blocks.iter().rev().find_map(|block| {
            let Period::Day(day) = block.period else {
                return None;
            };
            (!files.has(bucket, tenant, block, Table::Samples)).then_some(day)
        });
        files.samples_from = last.map(|day| Day(day.0 + 1));
        Ok(files)
    }

    /// Whether a block has the file of a table.
    pub(super) fn has(
        &self,
        bucket: &Bucket,
        tenant: &Tenant,
        block: &BlockFiles,
        table: Table,
    ) -> bool {
        let key = bucket
            .keys
            .block(tenant, block.period, &block.id, &table.file());
        let may_expire = table == Table::Samples && matches!(block.period, Period::Day(_));
        block.meta.file(table).is_ok() && (!may_expire || self.samples.contains(&key))
    }
}

/// The rows of files, which are read from their footers.
pub(super) async fn with_rows(
    bucket: &Bucket,
    tenant: &Tenant,
    table: Table,
    files: Vec<(DataFile, &BlockFiles)>,
) -> Result<Vec<DataFile>> {
    let reads = files.into_iter().map(|(mut file, block)| async move {
        let key = bucket
            .keys
            .block(tenant, block.period, &block.id, &table.file());
        let footer = bucket.footer(&key, block.meta.file(table)?);
        let footer = footer.await.map_err(gone)?;
        file.rows = footer.file_metadata().num_rows();
        Ok(file)
    });
    stream::iter(reads).buffered(TOGETHER).try_collect().await
}
