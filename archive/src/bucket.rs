//! Requests to the object storage. Each is counted and has a time limit.

pub mod levels;

use crate::cache::{Cache, Entry};
use crate::error::{Error, ErrorKind, Result};
use crate::format::Table;
use crate::format::block::{FileMeta, Meta};
use crate::format::columns::Group;
use crate::format::segment::Segment;
use crate::format::tables::StackTables;
use crate::key::{BlockId, Hour, Keys, META, Named, Period, Tenant};
use crate::metrics::Metrics;
use crate::options::ArchiveOptions;
use crate::rule::{BlockEntry, Listing, SegmentEntry};
use bytes::Bytes;
use davy_base::{Clock, Timestamp};
use futures_util::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use ulid::Ulid;

/// The object storage that holds an archive.
pub struct Bucket {
    inner: Arc<dyn ObjectStore>,
    /// Keys of its objects.
    pub keys: Keys,
    clock: Clock,
    timeout: Duration,
    cache: Cache,
    metrics: Metrics,
}

/// Why an object could not be read.
#[derive(Debug)]
pub enum ReadError {
    /// Not found: deleted since it was listed.
    Gone,
    /// The request failed, or the object is damaged.
    Failed(Error),
}

impl From<Error> for ReadError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Bucket {
    /// The bucket that the options describe.
    pub(crate) fn new(options: &ArchiveOptions, metrics: Metrics) -> Self {
        Self {
            inner: Arc::clone(&options.bucket),
            keys: Keys::new(&options.prefix),
            clock: options.clock.clone(),
            timeout: options.bucket_timeout,
            cache: Cache::new(options.cache_bytes),
            metrics,
        }
    }

    async fn request<T>(
        &self,
        what: &'static str,
        key: &Path,
        request: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, ReadError> {
        self.metrics
            .bucket_requests
            .with_label_values(&[what])
            .inc();
        let failed = |error: Error| {
            self.metrics.bucket_errors.with_label_values(&[what]).inc();
            ReadError::Failed(error)
        };
        let context = format!("cannot {what} {key}");
        match self.clock.timeout(self.timeout, request).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(object_store::Error::NotFound { .. })) => Err(ReadError::Gone),
            Ok(Err(error)) => Err(failed(Error::caused(
                ErrorKind::Unavailable,
                context,
                error,
            ))),
            Err(elapsed) => Err(failed(Error::caused(
                ErrorKind::Unavailable,
                format!("{context} within {:?}", self.timeout),
                elapsed,
            ))),
        }
    }

    fn failed(missing: ReadError, key: &Path) -> Error {
        match missing {
            ReadError::Gone => Error::new(ErrorKind::Unavailable, format!("{key} does not exist")),
            ReadError::Failed(error) => error,
        }
    }

    /// Writes an object.
    pub async fn put(&self, key: &Path, bytes: Bytes) -> Result<()> {
        let put = self
            .request("put", key, self.inner.put(key, bytes.into()))
            .await;
        put.map(|_| ())
            .map_err(|missing| Self::failed(missing, key))
    }

    /// Deletes an object; succeeds if it does not exist.
    pub async fn delete(&self, key: &Path) -> Result<()> {
        match self.request("delete", key, self.inner.delete(key)).await {
            Ok(()) | Err(ReadError::Gone) => Ok(()),
            Err(ReadError::Failed(error)) => Err(error),
        }
    }

    /// Reads an object.
    async fn get(&self, key: &Path) -> Result<Bytes, ReadError> {
        if let Some(Entry::Bytes(bytes)) = self.cache.get(key.as_ref(), 0) {
            return Ok(bytes);
        }
        let read = async { self.inner.get(key).await?.bytes().await };
        let bytes = self.request("get", key, read).await?;
        self.keep(key, 0, Entry::Bytes(bytes.clone()), bytes.len());
        Ok(bytes)
    }

    /// Reads an object that may change, without the cache.
    pub async fn get_current(&self, key: &Path) -> Result<Bytes, ReadError> {
        let read = async { self.inner.get(key).await?.bytes().await };
        self.request("get", key, read).await
    }

    /// Reads a range of an object.
    async fn get_range(&self, key: &Path, range: Range<u64>) -> Result<Bytes, ReadError> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        if let Some(Entry::Bytes(bytes)) = self.cache.get(key.as_ref(), range.start) {
            return Ok(bytes);
        }
        let start = range.start;
        let bytes = self
            .request("get", key, self.inner.get_range(key, range))
            .await?;
        self.keep(key, start, Entry::Bytes(bytes.clone()), bytes.len());
        Ok(bytes)
    }

    fn keep(&self, key: &Path, at: u64, entry: Entry, bytes: usize) {
        self.cache.put(key.as_ref(), at, entry, bytes);
        self.metrics.cache_bytes.set(self.cache.bytes() as i64);
    }

    /// Every object below a folder.
    pub async fn list(&self, folder: &Path) -> Result<Vec<ObjectMeta>> {
        let listed = self
            .request(
                "list",
                folder,
                self.inner.list(Some(folder)).try_collect::<Vec<_>>(),
            )
            .await;
        match listed {
            Ok(listed) => Ok(listed),
            Err(ReadError::Gone) => Ok(Vec::new()),
            Err(ReadError::Failed(error)) => Err(error),
        }
    }

    /// Names of the folders in a folder.
    pub async fn folders(&self, folder: &Path) -> Result<Vec<String>> {
        let listed = self
            .request("list", folder, self.inner.list_with_delimiter(Some(folder)))
            .await;
        match listed {
            Ok(listed) => Ok(listed
                .common_prefixes
                .iter()
                .filter_map(|path| {
                    path.parts()
                        .next_back()
                        .map(|part| part.as_ref().to_owned())
                })
                .collect()),
            Err(ReadError::Gone) => Ok(Vec::new()),
            Err(ReadError::Failed(error)) => Err(error),
        }
    }

    /// Tenants that have objects, sorted.
    pub async fn tenants(&self) -> Result<Vec<Tenant>> {
        let mut names = self.folders(&self.keys.root()).await?;
        names.sort();
        Ok(names
            .iter()
            .filter_map(|name| Tenant::from_key(name))
            .collect())
    }

    /// The meta object of a block.
    pub async fn meta(
        &self,
        tenant: &Tenant,
        period: impl Into<Period>,
        id: &BlockId,
    ) -> Result<Arc<Meta>, ReadError> {
        let key = self.keys.block(tenant, period, id, META);
        if let Some(Entry::Meta(meta)) = self.cache.get(key.as_ref(), 0) {
            return Ok(meta);
        }
        let read = async { self.inner.get(&key).await?.bytes().await };
        let bytes = self.request("get", &key, read).await?;
        let meta = Arc::new(Meta::read(&bytes)?);
        self.keep(&key, 0, Entry::Meta(Arc::clone(&meta)), bytes.len());
        Ok(meta)
    }

    /// A segment.
    pub async fn segment(
        &self,
        tenant: &Tenant,
        hour: Hour,
        name: Ulid,
    ) -> Result<Segment, ReadError> {
        let key = self.keys.segment(tenant, hour, name);
        let bytes = self.get(&key).await?;
        Segment::open(bytes).map_err(|error| error.within(&key).into())
    }

    /// A row group of a table of a block.
    pub async fn group(
        &self,
        (tenant, period, id): (&Tenant, Period, &BlockId),
        meta: &Meta,
        table: Table,
        group: usize,
    ) -> Result<Group, ReadError> {
        let key = self.keys.block(tenant, period, id, &table.file());
        self.file_group(&key, meta.file(table)?, group).await
    }

    /// A row group of a file.
    pub async fn file_group(
        &self,
        key: &Path,
        file: &FileMeta,
        group: usize,
    ) -> Result<Group, ReadError> {
        let footer = if let Some(Entry::Footer(footer)) = self.cache.get(key.as_ref(), file.footer)
        {
            footer
        } else {
            let range = file.footer_range();
            let size = (range.end - range.start) as usize;
            let bytes = self
                .request("get", key, self.inner.get_range(key, range))
                .await?;
            let footer = file.open_footer(bytes).map_err(|error| error.within(key))?;
            self.keep(
                key,
                file.footer,
                Entry::Footer(Arc::clone(&footer)),
                size * 4,
            );
            footer
        };
        let bytes = self.get_range(key, file.group_range(group)?).await?;
        file.open_group(group, footer, bytes)
            .map_err(|error| error.within(key).into())
    }

    /// The tables of the stacks of a row group of a block.
    pub async fn stacks(
        &self,
        block: (&Tenant, Period, &BlockId),
        meta: &Meta,
        group: usize,
    ) -> Result<StackTables, ReadError> {
        // Boxed, because four of them at once are a large future.
        let table = |table| Box::pin(self.group(block, meta, table, group));
        let details = async {
            if meta.version < 2 {
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

    /// Segments and blocks in some folders, by hour, and a sentence for each block that is left out
    /// because its meta object cannot be read.
    pub async fn listing(
        &self,
        tenant: &Tenant,
        folders: &[Path],
    ) -> Result<(BTreeMap<Hour, Listing>, Vec<String>)> {
        let mut hours: BTreeMap<Hour, Listing> = BTreeMap::new();
        let mut blocks: BTreeMap<(Hour, BlockId), (u64, Option<Timestamp>)> = BTreeMap::new();
        let mut faults = Vec::new();
        for folder in folders {
            for object in self.list(folder).await? {
                let since = Timestamp::from_millis(object.last_modified.timestamp_millis());
                match self.keys.parse(tenant, &object.location) {
                    Some(Named::Segment(hour, name)) => {
                        hours.entry(hour).or_default().segments.push(SegmentEntry {
                            name,
                            bytes: object.size,
                        });
                    }
                    Some(Named::Block(hour, id, file)) => {
                        let block = blocks.entry((hour, id)).or_default();
                        block.0 += object.size;
                        if file == META {
                            block.1 = Some(since);
                        }
                    }
                    Some(Named::DayBlock(..)) | None => {}
                }
            }
        }
        for ((hour, id), (bytes, since)) in blocks {
            let Some(since) = since else { continue };
            match self.meta(tenant, hour, &id).await {
                Ok(meta) => {
                    let leaves = meta
                        .segments
                        .iter()
                        .filter_map(|name| name.parse().ok())
                        .collect();
                    hours.entry(hour).or_default().blocks.push(BlockEntry {
                        id,
                        leaves,
                        bytes,
                        since,
                    });
                }
                Err(ReadError::Gone) => {}
                Err(ReadError::Failed(error)) => {
                    faults.push(format!("block {} of {hour}: {error}", id.0))
                }
            }
        }
        Ok((hours, faults))
    }
}
