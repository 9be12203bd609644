//! The compactor: applies the plan of each hour to the bucket.

use super::merge::{Merge, Resolution, TableValues, Tables};
use super::quarantine::{Failed, Place, Skipped};
use crate::blocking::blocking;
use crate::bucket::{Bucket, ReadError};
use crate::error::{Error, ErrorKind, Result};
use crate::format::Table;
use crate::format::block::{Damaged, Meta, id};
use crate::format::segment::Segment;
use crate::key::{BlockId, Hour, META, Period, SEGMENTS, Tenant};
use crate::metrics::Metrics;
use crate::options::ArchiveOptions;
use crate::plan::{Piece, plan};
use crate::rule::day::Hours;
use crate::rule::{Listing, select};
use bytes::Bytes;
use object_store::path::Path;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

/// Merges segments into blocks. Any number of compactors can work on the same bucket. Cheap to clone.
#[derive(Clone)]
pub struct Compactor {
    pub(super) options: ArchiveOptions,
    pub(super) bucket: Arc<Bucket>,
    pub(super) metrics: Metrics,
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
}

impl Compactor {
    pub(crate) fn new(options: ArchiveOptions, bucket: Arc<Bucket>, metrics: Metrics) -> Self {
        Self {
            options,
            bucket,
            metrics,
        }
    }

    /// Runs rounds until `drain` is cancelled. A merge in progress is dropped, which is safe because a
    /// block exists only when its last object is written.
    pub async fn run(self, drain: CancellationToken) {
        let work = async {
            loop {
                match self.once().await {
                    Ok(done) if done.merged + done.deleted > 0 => {
                        tracing::info!(merged = done.merged, deleted = done.deleted, "compacted");
                    }
                    Ok(_) => {}
                    Err(error) => tracing::warn!(%error, "compaction failed"),
                }
                self.options
                    .clock
                    .sleep(self.options.compact_interval)
                    .await;
            }
        };
        tokio::select! {
            () = drain.cancelled() => {}
            () = work => {}
        }
    }

    /// Runs one round over all tenants.
    pub async fn once(&self) -> Result<Done> {
        let mut done = Done::default();
        let (mut segments, mut blocks, mut lag) = (0, 0, 0);
        for tenant in self.bucket.tenants().await? {
            let now = self.options.clock.now();
            for (hour, listing) in self.hours(&tenant).await? {
                let plan = plan(&listing, hour, now, &self.options.policy);
                let open = select(&listing).segments.len();
                segments += open;
                blocks += listing.blocks.len();
                if open > 0 {
                    lag = lag.max(now.since(hour.end()).as_secs());
                }
                if !plan.merge.is_empty() {
                    let merged = self.merge(&tenant, hour, &listing, &plan.merge).await;
                    self.metrics
                        .compactions
                        .with_label_values(&[if merged.is_ok() { "done" } else { "failed" }])
                        .inc();
                    match merged {
                        Ok(_) => done.merged += 1,
                        Err(error) => {
                            tracing::warn!(tenant = tenant.key(), %hour, %error, "merge failed");
                            done.failed.push(format!("{hour}: {error}"));
                        }
                    }
                }
                for piece in &plan.delete {
                    match self.delete(&tenant, hour, piece).await {
                        Ok(()) => done.deleted += 1,
                        Err(error) => {
                            tracing::warn!(tenant = tenant.key(), %hour, ?piece, %error, "delete failed");
                            done.failed.push(format!("{hour}: {error}"));
                        }
                    }
                }
            }
            self.days(&tenant, &mut done).await?;
        }
        self.metrics.segments.set(segments as i64);
        self.metrics.blocks.set(blocks as i64);
        self.metrics
            .compaction_lag
            .set(i64::try_from(lag).unwrap_or(i64::MAX));
        Ok(done)
    }

    /// Listings of the hours of all days that have segments, and of today and yesterday.
    async fn hours(
        &self,
        tenant: &Tenant,
    ) -> Result<impl IntoIterator<Item = (Hour, Listing), IntoIter: Send> + use<>> {
        let keys = &self.bucket.keys;
        let today = Hour::of(self.options.clock.now()).0.div_euclid(24);
        let mut days: BTreeSet<i64> = [today - 1, today].into();
        let all = keys.segments(tenant, None);
        for object in self.bucket.list(&all).await? {
            if let Some(crate::key::Named::Segment(hour, _)) = keys.parse(tenant, &object.location)
            {
                days.insert(hour.0.div_euclid(24));
            }
        }
        let days = days.into_iter().map(|day| Hour(day * 24));
        let folders: Vec<Path> = days
            .flat_map(|day| {
                [
                    keys.segments_of_day(tenant, day),
                    keys.blocks_of_day(tenant, day),
                ]
            })
            .collect();
        let (hours, faults) = self.bucket.listing(tenant, &folders).await?;
        for fault in faults {
            tracing::warn!(fault, "unreadable block left out of compaction");
        }
        Ok(hours)
    }

    /// Merges pieces into a block. Row groups that are damaged are left out and noted in the block.
    async fn merge(
        &self,
        tenant: &Tenant,
        hour: Hour,
        listing: &Listing,
        pieces: &[Piece],
    ) -> Result<BlockId> {
        let mut pieces: Vec<&Piece> = pieces.iter().collect();
        pieces.sort();
        let mut skipped = Skipped::default();
        // The merge may already contain a part of the damaged group, so it starts over.
        loop {
            match self
                .merge_all(tenant, hour, listing, &pieces, &skipped)
                .await
            {
                Ok(made) => return Ok(made),
                Err(Failed { at: None, error }) => return Err(error),
                Err(Failed {
                    at: Some(at),
                    error,
                }) => {
                    self.skip(tenant, at, error, &mut skipped).await?;
                }
            }
        }
    }

    async fn merge_all(
        &self,
        tenant: &Tenant,
        hour: Hour,
        listing: &Listing,
        pieces: &[&Piece],
        skipped: &Skipped,
    ) -> Result<BlockId, Failed> {
        let (mut inputs, mut leaves) = (Vec::new(), BTreeSet::new());
        let mut damaged = skipped.damaged.clone();
        let mut merge = Merge::new(Resolution::Windows, self.options.merge_rows)?;
        for piece in pieces {
            match piece {
                Piece::Segment(name) => {
                    inputs.push(name.to_string());
                    leaves.insert(*name);
                    let at = Place::Segment(hour, *name);
                    if skipped.contains(&at) {
                        continue;
                    }
                    let read = self.bucket.segment(tenant, hour, *name).await;
                    let tables = read.map_err(read_error).and_then(|of| of_segment(&of));
                    merge = add(merge, tables.map_err(at.fails())?)
                        .await
                        .map_err(at.fails())?;
                }
                Piece::Block(block) => {
                    inputs.push(block.0.clone());
                    let entry = listing.blocks.iter().find(|entry| entry.id == *block);
                    leaves.extend(entry.into_iter().flat_map(|entry| &entry.leaves));
                    let meta = self.bucket.meta(tenant, hour, block).await;
                    let meta = meta.map_err(read_error)?;
                    damaged.extend(meta.damaged.iter().cloned());
                    for group in 0..meta.groups.len() {
                        let at = Place::Group(hour.into(), block.clone(), group);
                        if skipped.contains(&at) {
                            continue;
                        }
                        let tables = self.tables(tenant, hour, block, &meta, group).await;
                        merge = add(merge, tables.map_err(at.fails())?)
                            .await
                            .map_err(at.fails())?;
                    }
                }
            }
        }
        inputs.extend(skipped.inputs());
        Ok(self
            .write(tenant, hour, merge, leaves, inputs, damaged)
            .await?)
    }

    /// A row group of an hour block.
    async fn tables(
        &self,
        tenant: &Tenant,
        hour: Hour,
        block: &BlockId,
        meta: &Meta,
        group: usize,
    ) -> Result<Tables> {
        let block = (tenant, hour.into(), block);
        let table = |table| self.bucket.group(block, meta, table, group);
        let stacks = self.bucket.stacks(block, meta, group);
        let (series, windows, stacks, samples) = futures_util::try_join!(
            table(Table::Series),
            table(Table::Windows),
            stacks,
            table(Table::Samples),
        )
        .map_err(read_error)?;
        Ok(Tables {
            series,
            windows,
            stacks,
            values: TableValues::Samples(samples),
        })
    }

    /// Writes a block. The meta object, which makes the block exist, is written last.
    async fn write(
        &self,
        tenant: &Tenant,
        hour: Hour,
        merge: Merge,
        leaves: BTreeSet<Ulid>,
        inputs: Vec<String>,
        damaged: Vec<Damaged>,
    ) -> Result<BlockId> {
        let name = id(&inputs);
        let leaves = leaves.iter().map(ToString::to_string).collect();
        let (files, mut meta) =
            blocking("write a block", move || merge.finish(leaves, inputs)).await??;
        meta.damaged = damaged;
        self.put_block(tenant, hour.into(), &name, files, &meta)
            .await?;
        Ok(name)
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
        for (table, bytes) in files {
            self.bucket.put(&key(&table.file()), bytes).await?;
        }
        let text = serde_json::to_vec(meta).map_err(Error::corrupt_by)?;
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
            Period::Hour(_) => Ok(()),
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

fn of_segment(segment: &Segment) -> Result<Tables> {
    Ok(Tables {
        series: segment.table(Table::Series)?,
        windows: segment.table(Table::Windows)?,
        stacks: segment.stacks()?,
        values: TableValues::Samples(segment.table(Table::Samples)?),
    })
}

async fn add(mut merge: Merge, tables: Tables) -> Result<Merge> {
    let add = move || merge.add(&tables, Hours::ALL).map(|()| merge);
    blocking("merge a piece", add).await?
}
