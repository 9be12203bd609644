//! Reads of objects from the cache on disk or from the object storage.

use super::fault::{ReadError, unread};
use super::piece::WHOLE;
use crate::metrics::Metrics;
use bytes::Bytes;
use davy_bucket::{Client, DiskCache, Usage};
use object_store::path::Path;
use std::ops::Range;
use std::sync::Arc;

/// The object storage and the cache on disk. Cheap to clone.
#[derive(Clone)]
pub(super) struct Origin {
    pub(super) client: Arc<Client>,
    pub(super) disk: Option<DiskCache>,
    pub(super) metrics: Metrics,
}

impl Origin {
    /// Reads an object.
    pub(super) async fn object(&self, key: &Path) -> Result<Bytes, ReadError> {
        if let Some(bytes) = self.on_disk(key, WHOLE).await {
            return Ok(bytes);
        }
        let read = self.client.get(key).await;
        let bytes = read.map_err(|fault| unread(key, fault))?;
        self.keep_on_disk(key, WHOLE, &bytes).await;
        Ok(bytes)
    }

    /// Reads a range of an object.
    pub(super) async fn range(&self, key: &Path, range: Range<u64>) -> Result<Bytes, ReadError> {
        if let Some(bytes) = self.on_disk(key, range.clone()).await {
            return Ok(bytes);
        }
        let read = self.client.get_range(key, range.clone()).await;
        let bytes = read.map_err(|fault| unread(key, fault))?;
        self.keep_on_disk(key, range, &bytes).await;
        Ok(bytes)
    }

    /// Forgets a damaged piece.
    pub(super) async fn forget(&self, key: &Path, range: Range<u64>) {
        if let Some(disk) = &self.disk {
            disk.remove(key, range).await;
        }
    }

    /// Counts bytes that a cache had.
    pub(super) fn hit(&self, tier: &str, bytes: usize) {
        Usage::record_hit(bytes);
        self.metrics.cache_hits.with_label_values(&[tier]).inc();
    }

    async fn on_disk(&self, key: &Path, range: Range<u64>) -> Option<Bytes> {
        let disk = self.disk.as_ref()?;
        let bytes = disk.get(key, range).await;
        let damaged = self.metrics.cache_faults.with_label_values(&["damaged"]);
        damaged.inc_by(disk.take_damaged());
        self.hit("disk", bytes.as_ref()?.len());
        bytes
    }

    async fn keep_on_disk(&self, key: &Path, range: Range<u64>, bytes: &Bytes) {
        self.metrics.cache_misses.inc();
        let Some(disk) = &self.disk else { return };
        disk.put(key, range, bytes.clone()).await;
        let unwritten = self.metrics.cache_faults.with_label_values(&["unwritten"]);
        unwritten.inc_by(disk.take_failures());
        self.metrics.cache_disk_bytes.set(disk.bytes() as i64);
    }
}
