//! Hour blocks.

use super::compactor::{Compactor, Done, read_error};
use super::merge::{Merge, Resolution, TableValues, Tables};
use super::part::Part;
use super::quarantine::{Failed, Place, Skipped};
use crate::blocking::blocking;
use crate::error::Result;
use crate::format::Table;
use crate::format::block::{Damaged, Written};
use crate::format::segment::Segment;
use crate::key::{BlockId, Hour, Tenant};
use crate::plan::{Piece, plan};
use crate::rule::Listing;
use crate::rule::day::Hours;
use davy_base::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;
use ulid::Ulid;

impl Compactor {
    /// Merges and deletes in an hour, until nothing is left to merge.
    pub(super) async fn hour(
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
        // Blocks come before segments.
        let names = pieces.iter().map(|piece| match piece {
            Piece::Block(block) => block.0.clone(),
            Piece::Segment(name) => name.to_string(),
        });
        let names: Vec<String> = names.collect();
        let mut skipped = Skipped::default();
        loop {
            let inputs = names.iter().cloned().chain(skipped.inputs()).collect();
            let merged = self
                .merge_all(tenant, hour, listing, &pieces, inputs, &skipped)
                .await;
            if let Some(made) = self.made_or_skip(tenant, merged, &mut skipped).await? {
                return Ok(made);
            }
        }
    }

    /// Merges pieces into a block that is named by these inputs.
    pub(super) async fn merge_all(
        &self,
        tenant: &Tenant,
        hour: Hour,
        listing: &Listing,
        pieces: &[&Piece],
        inputs: Vec<String>,
        skipped: &Skipped,
    ) -> Result<BlockId, Failed> {
        let mut leaves = BTreeSet::new();
        let mut damaged = skipped.damaged.clone();
        let mut merge = Merge::new(Resolution::Windows, inputs, &self.options)?;
        let mut parts = Vec::new();
        for piece in pieces {
            let Piece::Block(block) = piece else {
                continue;
            };
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
        Ok(self.write(tenant, hour, merge, leaves, damaged).await?)
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
        damaged: Vec<Damaged>,
    ) -> Result<BlockId> {
        let leaves = leaves.iter().map(ToString::to_string).collect();
        let written = blocking("write a block", move || merge.finish(leaves)).await??;
        let Written {
            name,
            files,
            mut meta,
        } = written;
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
