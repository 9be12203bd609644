//! The compactor, and how it writes and deletes.

use super::live_rules::LiveRules;
use crate::bucket::{Bucket, ReadError};
use crate::error::{Error, ErrorKind, Result};
use crate::format::Table;
use crate::format::block::Meta;
use crate::key::{BlockId, Hour, META, Period, SEGMENTS, Tenant};
use crate::metrics::Metrics;
use crate::options::ArchiveOptions;
use crate::plan::{Piece, Policy};
use crate::simulation::{Mutant, is_active};
use bytes::Bytes;
use std::sync::Arc;

/// Merges segments into blocks. Any number of compactors can work on the same bucket. Cheap to clone.
#[derive(Clone)]
pub struct Compactor {
    pub(super) options: ArchiveOptions,
    pub(super) bucket: Arc<Bucket>,
    pub(super) metrics: Metrics,
    pub(super) rules: LiveRules,
}

/// The result of a round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Number of blocks written.
    pub merged: usize,
    /// Number of pieces deleted.
    pub deleted: usize,
    /// A sentence for each failure; the next round retries.
    pub failed: Vec<String>,
    /// Requests to the bucket.
    pub requests: u64,
    /// Bytes read from the bucket.
    pub read_bytes: u64,
    /// Bytes written to the bucket.
    pub written_bytes: u64,
}

impl Compactor {
    pub(crate) fn new(options: ArchiveOptions, bucket: Arc<Bucket>, metrics: Metrics) -> Self {
        Self {
            rules: LiveRules::new(options.retention_rules.clone()),
            options,
            bucket,
            metrics,
        }
    }

    /// The rules of retention, which can be replaced at any time.
    pub fn rules(&self) -> &LiveRules {
        &self.rules
    }

    /// When it merges and deletes.
    pub(crate) fn policy(&self) -> Policy {
        self.options.policy
    }

    /// Writes the files of a block, the meta object last.
    pub(super) async fn put_block(
        &self,
        tenant: &Tenant,
        period: Period,
        name: &BlockId,
        files: Vec<(Table, Bytes)>,
        meta: &Meta,
    ) -> Result<()> {
        let key = |file: &str| self.bucket.keys.block(tenant, period, name, file);
        let text = serde_json::to_vec(meta).map_err(Error::corrupt_by)?;
        if is_active(Mutant::MetaFirst) {
            self.bucket
                .put(&key(META), Bytes::from(text.clone()))
                .await?;
        }
        for (table, bytes) in files {
            self.bucket.put(&key(&table.file()), bytes).await?;
        }
        self.bucket.put(&key(META), Bytes::from(text)).await
    }

    /// Deletes the files of a block, the meta object first.
    pub(super) async fn delete_block(
        &self,
        tenant: &Tenant,
        period: Period,
        name: &BlockId,
    ) -> Result<()> {
        let key = |file: &str| self.bucket.keys.block(tenant, period, name, file);
        self.bucket.delete(&key(META)).await?;
        for table in Table::ALL {
            self.bucket.delete(&key(&table.file())).await?;
        }
        match period {
            Period::Hour(_) | Period::Month(_) => Ok(()),
            Period::Day(_) => self.bucket.delete(&key(SEGMENTS)).await,
        }
    }

    /// Deletes a piece. Of a block, the meta object is deleted first.
    pub(super) async fn delete(&self, tenant: &Tenant, hour: Hour, piece: &Piece) -> Result<()> {
        let keys = &self.bucket.keys;
        let kind = match piece {
            Piece::Segment(name) => {
                self.bucket
                    .delete(&keys.segment(tenant, hour, *name))
                    .await?;
                "segment"
            }
            Piece::Block(block) => {
                self.delete_block(tenant, hour.into(), block).await?;
                "block"
            }
        };
        self.metrics.deleted.with_label_values(&[kind]).inc();
        Ok(())
    }
}

/// The error of a compaction whose input could not be read.
pub(super) fn read_error(missing: ReadError) -> Error {
    match missing {
        ReadError::Gone => Error::new(
            ErrorKind::Unavailable,
            "an input was deleted; the next round retries",
        ),
        ReadError::Failed(error) => error,
    }
}
