//! The compactor: applies the plan of each hour to the bucket.

use super::compactor::{Compactor, Done, read_error};
use super::merge::{Merge, Resolution, TableValues, Tables};
use super::part::Part;
use super::presence::Share;
use super::quarantine::{Failed, Place, Skipped};
use crate::blocking::blocking;
use crate::error::Result;
use crate::format::Table;
use crate::format::block::{Damaged, id};
use crate::format::segment::Segment;
use crate::key::{BlockId, Hour, Tenant};
use crate::plan::{Piece, plan};
use crate::rule::day::Hours;
use crate::rule::{Listing, select};
use davy_base::Timestamp;
use object_store::path::Path;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

impl Compactor {
    /// Runs rounds until `drain` is cancelled. A merge in progress is dropped, which is safe because a
    /// block exists only when its last object is written.
    pub async fn run(self, drain: CancellationToken) {
        let own = Ulid::from_parts(
            self.options.clock.now().millis().unsigned_abs(),
            u128::from(self.options.random.clone().next_u64()),
        );
        let own = own.to_string();
        let work = async {
            loop {
                let share = self.share(&own).await;
                match self.round(&share).await {
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
        self.leave(&own).await;
    }

    /// Runs one round over all tenants, whatever other archivers do.
    pub async fn once(&self) -> Result<Done> {
        self.round(&Share::All).await
    }

    /// Runs a share of one round over all tenants.
    async fn round(&self, share: &Share) -> Result<Done> {
        let mut done = Done::default();
        let (mut segments, mut blocks, mut lag) = (0, 0, 0);
        let (mut due_hours, mut due_days) = (0, 0);
        for tenant in self.bucket.tenants().await? {
            let now = self.options.clock.now();
            for (hour, listing) in self.hours(&tenant).await? {
                let policy = &self.options.policy;
                let plan = plan(&listing, hour, now, policy);
                due_hours += i64::from(!plan.merge.is_empty());
                let open = select(&listing).segments.len();
                segments += open;
                blocks += listing.blocks.len();
                if open > 0 {
                    lag = lag.max(now.since(hour.end()).as_secs());
                }
                let key = format!("{}/{hour}", tenant.key());
                if !share.contains(&key, hour.end().plus(policy.settle), now) {
                    continue;
                }
                self.hour(&tenant, hour, listing, now, &mut done).await?;
            }
            due_days += self.days(&tenant, share, &mut done).await?;
        }
        for (level, due) in [("hour", due_hours), ("day", due_days)] {
            let gauge = self.metrics.compaction_backlog.with_label_values(&[level]);
            gauge.set(due);
        }
        self.metrics.segments.set(segments as i64);
        self.metrics.blocks.set(blocks as i64);
        self.metrics
            .compaction_lag
            .set(i64::try_from(lag).unwrap_or(i64::MAX));
        Ok(done)
    }

    /// Merges and deletes in an hour, until nothing is left to merge.
    async fn hour(
        &self,
        tenant: &Tenant,
        hour: Hour,
        mut listing: Listing,
        now: Timestamp,
        done: &mut Done,
    ) -> Result<()> {
        let mut made = BTreeSet::new();
        let mut delete = None;
        loop {
            let plan = plan(&listing, hour, now, &self.options.policy);
            delete.get_or_insert(plan.delete);
            if plan.merge.is_empty() {
                break;
            }
            let merged = self.merge(tenant, hour, &listing, &plan.merge).await;
            let outcome = if merged.is_ok() { "done" } else { "failed" };
            let of_outcome = self.metrics.compactions.with_label_values(&[outcome]);
            of_outcome.inc();
            match merged {
                Ok(id) => {
                    done.merged += 1;
                    // A listing that does not show the block yet leads to the same merge.
                    if !made.insert(id) {
                        break;
                    }
                }
                Err(error) => {
                    tracing::warn!(tenant = tenant.key(), %hour, %error, "merge failed");
                    done.failed.push(format!("{hour}: {error}"));
                    break;
                }
            }
            let keys = &self.bucket.keys;
            let folders = [
                keys.segments(tenant, Some(hour)),
                keys.blocks(tenant, Some(hour)),
            ];
            let (mut hours, _) = self.bucket.listing(tenant, &folders).await?;
            listing = hours.remove(&hour).unwrap_or_default();
        }
        for piece in delete.iter().flatten() {
            match self.delete(tenant, hour, piece).await {
                Ok(()) => done.deleted += 1,
                Err(error) => {
                    tracing::warn!(tenant = tenant.key(), %hour, ?piece, %error, "delete failed");
                    done.failed.push(format!("{hour}: {error}"));
                }
            }
        }
        Ok(())
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
        let mut merge = Merge::new(Resolution::Windows, &self.options)?;
        let mut parts = Vec::new();
        for piece in pieces {
            let Piece::Block(block) = piece else {
                continue;
            };
            inputs.push(block.0.clone());
            let entry = listing.blocks.iter().find(|entry| entry.id == *block);
            leaves.extend(entry.into_iter().flat_map(|entry| &entry.leaves));
            let meta = self.bucket.meta(tenant, hour, block).await;
            let meta = meta.map_err(read_error)?;
            damaged.extend(meta.damaged.iter().cloned());
            for group in 0..meta.groups.len() {
                let part = Part {
                    block: block.clone(),
                    period: hour.into(),
                    meta: Arc::clone(&meta),
                    group,
                    hours: Hours::ALL,
                };
                let at = Place::Group(hour.into(), block.clone(), group);
                if skipped.contains(&at) {
                    continue;
                }
                if pieces.iter().any(|of| matches!(of, Piece::Segment(_))) {
                    let preferred = self.prefer(tenant, merge, &part).await;
                    merge = preferred.map_err(at.fails())?;
                }
                parts.push(part);
            }
        }
        for piece in pieces {
            let Piece::Segment(name) = piece else {
                continue;
            };
            inputs.push(name.to_string());
            leaves.insert(*name);
            let at = Place::Segment(hour, *name);
            if skipped.contains(&at) {
                continue;
            }
            let read = self.bucket.segment(tenant, hour, *name).await;
            let tables = read.map_err(read_error).and_then(|of| of_segment(&of));
            let tables = tables.map_err(at.fails())?;
            merge = add(merge, tables, "").await.map_err(at.fails())?;
        }
        merge.begin_blocks();
        // Service by service, so that only one is in memory, besides the segments.
        parts.sort_by(|a, b| a.service().cmp(b.service()));
        for part in parts {
            let at = Place::Group(hour.into(), part.block.clone(), part.group);
            let tables = self.tables(tenant, hour, &part).await;
            let tables = tables.map_err(at.fails())?;
            let added = add(merge, tables, part.service()).await;
            merge = added.map_err(at.fails())?;
        }
        inputs.extend(skipped.inputs());
        Ok(self
            .write(tenant, hour, merge, leaves, inputs, damaged)
            .await?)
    }

    /// Lets the windows of a part come before those of the segments.
    async fn prefer(&self, tenant: &Tenant, mut merge: Merge, part: &Part) -> Result<Merge> {
        let block = (tenant, part.period, &part.block);
        let table = |table| self.bucket.group(block, &part.meta, table, part.group);
        let (series, windows) =
            futures_util::try_join!(table(Table::Series), table(Table::Windows))
                .map_err(read_error)?;
        let prefer = move || merge.prefer(&series, &windows).map(|()| merge);
        blocking("compare windows", prefer).await?
    }

    /// A row group of an hour block.
    async fn tables(&self, tenant: &Tenant, hour: Hour, part: &Part) -> Result<Tables> {
        let block = (tenant, hour.into(), &part.block);
        let table = |table| self.bucket.group(block, &part.meta, table, part.group);
        let stacks = self.bucket.stacks(block, &part.meta, part.group);
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
}

fn of_segment(segment: &Segment) -> Result<Tables> {
    Ok(Tables {
        series: segment.table(Table::Series)?,
        windows: segment.table(Table::Windows)?,
        stacks: segment.stacks()?,
        values: TableValues::Samples(segment.table(Table::Samples)?),
    })
}

/// Adds a row group to a merge to which only services from `service` on follow.
async fn add(mut merge: Merge, tables: Tables, service: &str) -> Result<Merge> {
    let service = service.to_owned();
    let add = move || {
        merge.finish_before(&service)?;
        merge.add(&tables, Hours::ALL).map(|()| merge)
    };
    blocking("merge a piece", add).await?
}
