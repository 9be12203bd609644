//! Hour blocks.

use super::compactor::{Compactor, Done, read_error};
use super::merge::{Merge, Resolution, TableValues, Tables};
use super::part::Part;
use super::quarantine::{Failed, Place, Skipped};
use crate::blocking::blocking;
use crate::error::Result;
use crate::format::Table;
use crate::format::block::{Damaged, Written};
use crate::key::{BlockId, Hour, Tenant};
use crate::plan::{Piece, plan};
use crate::rule::Listing;
use crate::rule::day::Hours;
use davy_base::Timestamp;
use std::collections::BTreeSet;
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
            let of_piece = match piece {
                Piece::Block(block) => {
                    let entry = listing.blocks.iter().find(|entry| entry.id == *block);
                    leaves.extend(entry.into_iter().flat_map(|entry| &entry.leaves));
                    let meta = self.bucket.meta(tenant, hour, block).await;
                    let meta = meta.map_err(read_error)?;
                    damaged.extend(meta.damaged.iter().cloned());
                    Part::of_block(hour.into(), block, &meta, Hours::ALL)
                }
                Piece::Segment(name) => {
                    leaves.insert(*name);
                    let at = Place::Segment(hour, *name);
                    if skipped.contains(&at) {
                        continue;
                    }
                    let segment = self.bucket.segment(tenant, hour, *name).await;
                    let segment = segment.map_err(read_error).map_err(at.fails())?;
                    Part::of_segment(hour, *name, segment)
                }
            };
            parts.extend(of_piece);
        }
        parts.retain(|part| !skipped.contains(&part.place()));
        if parts.iter().any(Part::is_of_segment) {
            for part in parts.iter().filter(|part| !part.is_of_segment()) {
                let preferred = self.prefer(tenant, merge, part).await;
                merge = preferred.map_err(part.place().fails())?;
            }
        }
        // Service by service, so that only one is in memory, besides the encoded segments. The order of equal services
        // stays that of reading.
        parts.sort_by(|a, b| a.service().cmp(b.service()));
        for part in parts {
            let at = part.place();
            let added = self.add_tables(tenant, merge, part).await;
            merge = added.map_err(at.fails())?;
        }
        Ok(self.write(tenant, hour, merge, leaves, damaged).await?)
    }

    /// Lets the windows of a part come before those of the segments.
    async fn prefer(&self, tenant: &Tenant, mut merge: Merge, part: &Part) -> Result<Merge> {
        let table = |table| part.table(&self.bucket, tenant, table);
        let (series, windows) =
            futures_util::try_join!(table(Table::Series), table(Table::Windows))
                .map_err(read_error)?;
        let prefer = move || merge.prefer(&series, &windows).map(|()| merge);
        blocking("compare windows", prefer).await?
    }

    /// Adds a row group to a merge to which only its service and later ones follow.
    pub(super) async fn add_tables(
        &self,
        tenant: &Tenant,
        mut merge: Merge,
        part: Part,
    ) -> Result<Merge> {
        let table = |table| part.table(&self.bucket, tenant, table);
        let (series, windows, stacks, samples, spans) = futures_util::try_join!(
            table(Table::Series),
            table(Table::Windows),
            part.stacks(&self.bucket, tenant),
            table(Table::Samples),
            part.spans(&self.bucket, tenant),
        )
        .map_err(read_error)?;
        let tables = Tables {
            series,
            windows,
            stacks,
            values: TableValues::Samples(samples),
            spans,
        };
        let add = move || {
            merge.finish_before(part.service())?;
            let is_preferred = !part.is_of_segment();
            merge.add(&tables, part.hours, is_preferred).map(|()| merge)
        };
        blocking("merge a piece", add).await?
    }

    /// Writes a block. The meta object, which makes the block exist, is written last.
    pub(super) async fn write(
        &self,
        tenant: &Tenant,
        hour: Hour,
        merge: Merge,
        leaves: BTreeSet<Ulid>,
        damaged: Vec<Damaged>,
    ) -> Result<BlockId> {
        let leaves = leaves.iter().map(ToString::to_string).collect();
        let lost = merge.spans_lost();
        let written = blocking("write a block", move || merge.finish(leaves)).await??;
        let Written {
            name,
            files,
            mut meta,
        } = written;
        meta.damaged = damaged;
        let left_out: usize = meta.groups.iter().map(|of| of.spans_left_out).sum();
        let new = left_out.saturating_sub(lost);
        self.metrics.spans_left_out.inc_by(new as u64);
        self.put_block(tenant, hour.into(), &name, files, &meta)
            .await?;
        Ok(name)
    }
}
