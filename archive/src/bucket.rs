//! Requests to the object storage. Each is counted and has a time limit.

pub(crate) mod decoded;
pub(crate) mod fault;
pub mod levels;
mod loads;
mod meter;
pub mod months;
mod origin;
mod piece;
pub(crate) mod requests;
pub(crate) mod tally;

use crate::cache::{Cache, Entry};
use crate::error::Result;
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
use davy_bucket::{BucketUrl, Client, OpenBucket, Scheme};
pub use fault::ReadError;
use loads::Loads;
use meter::BucketMeter;
use object_store::path::Path;
use origin::Origin;
use parquet::file::metadata::ParquetMetaData;
use piece::WHOLE;
pub(crate) use piece::{Piece, is_read_whole};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tally::Tally;
use ulid::Ulid;

/// The object storage that holds an archive.
pub struct Bucket {
    origin: Origin,
    /// Keys of its objects.
    pub keys: Keys,
    cache: Cache,
    loads: Loads,
    metrics: Metrics,
    tally: Arc<Tally>,
    clock: Clock,
    /// Time by which listings may be late.
    grace: Duration,
}

impl Bucket {
    /// The bucket that the options describe.
    pub(crate) fn new(options: &ArchiveOptions, metrics: Metrics) -> Self {
        let keys = Keys::new(&options.prefix);
        let opened = options.opened.clone().unwrap_or_else(|| OpenBucket {
            store: Arc::clone(&options.bucket),
            multipart: None,
            url: BucketUrl {
                scheme: Scheme::Memory,
                name: String::new(),
                prefix: String::new(),
            },
        });
        let tally = Arc::new(Tally::new(options.clock.now()));
        let meter = BucketMeter::new(metrics.clone(), Arc::clone(&tally), &keys);
        Self {
            origin: Origin {
                client: Arc::new(Client::new(
                    opened,
                    options.requests.clone(),
                    options.clock.clone(),
                    options.random.clone(),
                    Arc::new(meter),
                )),
                disk: options.disk.clone(),
                metrics: metrics.clone(),
            },
            keys,
            cache: Cache::new(options.cache_bytes),
            loads: Loads::default(),
            metrics,
            tally,
            clock: options.clock.clone(),
            grace: options.policy.grace,
        }
    }

    /// The client that sends the requests.
    pub(crate) fn client(&self) -> &Arc<Client> {
        &self.origin.client
    }

    /// The requests of this process.
    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
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
        let read = |bytes: Bytes| Ok((Meta::read(&bytes)?, bytes.len()));
        let (meta, size) = self.opened(&key, Piece::Uncached(WHOLE), read).await?;
        let meta = Arc::new(meta);
        self.keep(&key, 0, Entry::Meta(Arc::clone(&meta)), size);
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
        self.opened(&key, Piece::Object, Segment::open).await
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
        self.file_group(&key, meta.file(table)?, group, Piece::Range)
            .await
    }

    /// A row group of a table of a block, of which this number are read. Its bytes are not cached in memory, because what
    /// is decoded of them is, unless the file is read whole.
    pub(crate) async fn group_once(
        &self,
        (tenant, period, id): (&Tenant, Period, &BlockId),
        meta: &Meta,
        table: Table,
        (group, read): (usize, usize),
    ) -> Result<Group, ReadError> {
        let key = self.keys.block(tenant, period, id, &table.file());
        let file = meta.file(table)?;
        if self.cache.can_hold(file.bytes) && is_read_whole(file, read) {
            self.file_group(&key, file, group, Piece::OfFile).await
        } else {
            self.file_group(&key, file, group, Piece::Uncached).await
        }
    }

    /// A row group of a file.
    pub(crate) async fn file_group(
        &self,
        key: &Path,
        file: &FileMeta,
        group: usize,
        piece: fn(Range<u64>) -> Piece,
    ) -> Result<Group, ReadError> {
        // What is parsed of a footer is cached, so its bytes are not.
        let of_footer = match piece(WHOLE) {
            Piece::Range(_) => Piece::Uncached,
            _ => piece,
        };
        let footer = self.footer_by(key, file, of_footer).await?;
        let open = |bytes| file.open_group(group, Arc::clone(&footer), bytes);
        let piece = piece(file.group_range(group)?);
        self.opened(key, piece, open).await
    }

    /// The footer of a file.
    pub async fn footer(
        &self,
        key: &Path,
        file: &FileMeta,
    ) -> Result<Arc<ParquetMetaData>, ReadError> {
        self.footer_by(key, file, Piece::Uncached).await
    }

    async fn footer_by(
        &self,
        key: &Path,
        file: &FileMeta,
        piece: fn(Range<u64>) -> Piece,
    ) -> Result<Arc<ParquetMetaData>, ReadError> {
        if let Some(Entry::Footer(footer)) = self.cache.get(key.as_ref(), file.footer) {
            return Ok(footer);
        }
        let range = file.footer_range();
        let size = (range.end - range.start) as usize;
        let open = |bytes| file.open_footer(bytes);
        let footer = self.opened(key, piece(range), open).await?;
        let entry = Entry::Footer(Arc::clone(&footer));
        self.keep(key, file.footer, entry, size * 4);
        Ok(footer)
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
                    Some(Named::DayBlock(..) | Named::MonthBlock(..)) | None => {}
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
