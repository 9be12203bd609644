//! Single requests, and which of them the cache answers.

use super::fault::{failed, unread};
use super::piece::{Piece, WHOLE};
use super::{Bucket, ReadError};
use crate::cache::Entry;
use crate::error::{ErrorKind, Result};
use bytes::Bytes;
use davy_base::Clock;
use davy_bucket::Failing;
use object_store::ObjectMeta;
use object_store::path::Path;
use std::ops::Range;
use std::time::Duration;

/// The object that shows whether writes succeed again. No tenant has this name, because a tenant's name never begins
/// with a dot.
const PROBE: &str = ".probe";
const PROBE_INTERVAL: Duration = Duration::from_secs(5);

impl Bucket {
    /// Writes an object.
    pub async fn put(&self, key: &Path, bytes: Bytes) -> Result<()> {
        let put = self.origin.client.put(key, bytes).await;
        put.map_err(|fault| failed("put", key, fault))
    }

    /// Writes an object that the store deletes by itself after some time, if it can.
    pub async fn put_expiring(&self, key: &Path, bytes: Bytes, after: Duration) -> Result<()> {
        let put = self.origin.client.put_expiring(key, bytes, after).await;
        put.map_err(|fault| failed("put", key, fault))
    }

    /// Writes an object with a media type and an encoding, for browsers that read it from the store.
    pub async fn put_served(
        &self,
        key: &Path,
        bytes: Bytes,
        served: (&'static str, Option<&'static str>),
    ) -> Result<()> {
        let put = self.origin.client.put_served(key, bytes, served).await;
        put.map_err(|fault| failed("put", key, fault))
    }

    /// Deletes an object; succeeds if it does not exist.
    pub async fn delete(&self, key: &Path) -> Result<()> {
        let deleted = self.origin.client.delete(key).await;
        deleted.map_err(|fault| failed("delete", key, fault))
    }

    /// Deletes objects by as few requests as possible; those that do not exist are deleted already.
    pub async fn delete_many(&self, keys: &[Path]) -> Result<()> {
        let Some(first) = keys.first() else {
            return Ok(());
        };
        let deleted = self.origin.client.delete_many(keys).await;
        let what = format!("delete {} objects, the first of them", keys.len());
        deleted.map_err(|fault| failed(&what, first, fault))
    }

    /// Reads an object.
    pub(super) async fn get(&self, key: &Path) -> Result<Bytes, ReadError> {
        if let Some(bytes) = self.cached(key, 0) {
            return Ok(bytes);
        }
        let bytes = self.origin.object(key).await?;
        self.keep(key, 0, Entry::Bytes(bytes.clone()), bytes.len());
        Ok(bytes)
    }

    /// Reads a piece and opens it. What is damaged is read once more from the bucket: the bytes in it may be intact.
    pub(super) async fn opened<T>(
        &self,
        key: &Path,
        piece: Piece,
        open: impl Fn(Bytes) -> Result<T>,
    ) -> Result<T, ReadError> {
        // Boxed, because callers await several pieces in one future.
        let bytes = Box::pin(self.piece(key, &piece)).await?;
        let error = match open(bytes) {
            Ok(opened) => return Ok(opened),
            Err(error) if error.kind != ErrorKind::Internal => {
                return Err(error.within(key).into());
            }
            Err(error) => error,
        };
        tracing::warn!(%key, %error, "damaged piece of an object, reading it again");
        self.metrics
            .cache_faults
            .with_label_values(&["reread"])
            .inc();
        Box::pin(self.forget(key, &piece)).await;
        let bytes = Box::pin(self.piece(key, &piece)).await?;
        match open(bytes) {
            Ok(opened) => Ok(opened),
            Err(error) => {
                Box::pin(self.forget(key, &piece)).await;
                Err(error.within(key).into())
            }
        }
    }

    async fn piece(&self, key: &Path, piece: &Piece) -> Result<Bytes, ReadError> {
        match piece {
            Piece::Object => self.get(key).await,
            Piece::Range(range) => self.get_range(key, range.clone()).await,
            Piece::Uncached(range) if *range == WHOLE => self.origin.object(key).await,
            Piece::Uncached(range) => self.origin.range(key, range.clone()).await,
            Piece::OfFile(range) => self.get_of_file(key, range).await,
        }
    }

    async fn forget(&self, key: &Path, piece: &Piece) {
        let range = match piece {
            Piece::Object | Piece::OfFile(_) => WHOLE,
            Piece::Range(range) | Piece::Uncached(range) => range.clone(),
        };
        self.cache.remove(key.as_ref(), range.start);
        self.origin.forget(key, range).await;
    }

    /// Reads an object that may change, without the caches.
    pub async fn get_current(&self, key: &Path) -> Result<Bytes, ReadError> {
        let read = self.origin.client.get(key).await;
        read.map_err(|fault| unread(key, fault))
    }

    /// Reads a range of an object.
    pub(super) async fn get_range(
        &self,
        key: &Path,
        range: Range<u64>,
    ) -> Result<Bytes, ReadError> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        if let Some(bytes) = self.cached(key, range.start) {
            return Ok(bytes);
        }
        let start = range.start;
        let bytes = self.origin.range(key, range).await?;
        self.keep(key, start, Entry::Bytes(bytes.clone()), bytes.len());
        Ok(bytes)
    }

    /// Reads a range of a file, of which the whole is read and cached. Nothing is counted as a hit, because what is decoded
    /// of the range is cached and counted.
    async fn get_of_file(&self, key: &Path, range: &Range<u64>) -> Result<Bytes, ReadError> {
        let cached = match self.cache.get(key.as_ref(), 0) {
            Some(Entry::Bytes(file)) => Some(file),
            _ => None,
        };
        let file = if let Some(file) = cached {
            file
        } else {
            let (origin, of) = (self.origin.clone(), key.clone());
            let load = || async move { origin.object(&of).await };
            let file = self.loads.join(key.as_ref(), || Box::pin(load())).await?;
            self.keep(key, 0, Entry::Bytes(file.clone()), file.len());
            file
        };
        // The checksum of a range that is cut does not match.
        let end = range.end.min(file.len() as u64);
        let start = range.start.min(end);
        Ok(file.slice(start as usize..end as usize))
    }

    fn cached(&self, key: &Path, at: u64) -> Option<Bytes> {
        match self.cache.get(key.as_ref(), at) {
            Some(Entry::Bytes(bytes)) => {
                self.origin.hit("memory", bytes.len());
                Some(bytes)
            }
            _ => None,
        }
    }

    pub(super) fn keep(&self, key: &Path, at: u64, entry: Entry, bytes: usize) {
        self.cache.put(key.as_ref(), at, entry, bytes);
        self.metrics.cache_bytes.set(self.cache.bytes() as i64);
    }

    /// Every object below a folder.
    pub async fn list(&self, folder: &Path) -> Result<Vec<ObjectMeta>> {
        let listed = self.origin.client.list(folder).await;
        listed.map_err(|fault| failed("list", folder, fault))
    }

    /// Names of the folders in a folder.
    pub async fn folders(&self, folder: &Path) -> Result<Vec<String>> {
        let listed = self.origin.client.folders(folder).await;
        listed.map_err(|fault| failed("list", folder, fault))
    }

    /// While writes fail, writes a small object now and then, so that [`Bucket::failing`] ends with the
    /// failure even if nobody pushes. Never returns.
    pub(crate) async fn probe_failing_writes(&self, clock: &Clock) {
        loop {
            self.origin.client.writes().fails().await;
            clock.sleep(PROBE_INTERVAL).await;
            if self.failing().is_some() {
                // The outcome is recorded.
                let _ = self
                    .put(
                        &self.keys.root().join(PROBE),
                        Bytes::from_static(&[0; 4_096]),
                    )
                    .await;
            }
        }
    }

    /// Why writes fail, if the last one did.
    pub fn failing(&self) -> Option<Failing> {
        self.origin.client.writes().failing()
    }
}
