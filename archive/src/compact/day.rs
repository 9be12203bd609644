//! Day blocks, and the deletion of what has expired.

use super::compactor::{Compactor, Done, read_error};
use super::expire::Outcome;
use super::merge::{Merge, Resolution, TableValues, Tables};
use super::part::{Holder, Part};
use super::presence::Share;
use super::quarantine::{Failed, Skipped};
use crate::blocking::blocking;
use crate::bucket::levels::StoredLeaves;
use crate::error::{Error, ErrorKind, Result};
use crate::format::Table;
use crate::format::block::{Damaged, HourMeta, Written};
use crate::key::{BlockId, Day, Hour, Period, SEGMENTS, Tenant};
use crate::plan::day::{DayPlan, plan_day};
use crate::plan::plan;
use crate::rule::day::{DayListing, Hours};
use crate::rule::select;
use bytes::Bytes;
use davy_base::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use ulid::Ulid;

impl Compactor {
    /// Merges and expires a share of the days and months of a tenant. Returns the numbers of days and months that were
    /// due to be merged.
    pub(super) async fn days(
        &self,
        tenant: &Tenant,
        share: &Share,
        done: &mut Done,
    ) -> Result<(i64, i64)> {
        let mut due = 0;
        let folders = self.bucket.levels(tenant);
        let listed = self.options.clock.now();
        let (days, faults) = self.bucket.days(tenant, &folders, Hour::EVER).await?;
        let is_complete = faults.is_empty();
        for fault in faults {
            tracing::warn!(fault, "unreadable block left out of compaction");
        }
        for (day, listing) in days.iter().filter(|(_, of)| !of.is_incomplete) {
            let day = *day;
            let policy = &self.options.policy;
            let plan = plan_day(listing, day, listed, policy);
            due += i64::from(!plan.is_settled());
            let key = format!("{}/{day}", tenant.key());
            if !share.contains(&key, day.end().plus(policy.day_settle), listed) {
                continue;
            }
            if !plan.is_settled() {
                let merged = self.merge_day(tenant, day, listing, &plan).await;
                let outcome = if merged.is_ok() { "done" } else { "failed" };
                let of = self.metrics.compactions.with_label_values(&[outcome]);
                of.inc();
                match merged {
                    Ok(_) => done.merged += 1,
                    Err(error) => {
                        tracing::warn!(tenant = tenant.key(), %day, %error, "merge failed");
                        done.failed.push(format!("{day}: {error}"));
                    }
                }
            }
            for block in &plan.delete {
                match self.delete_block(tenant, day.into(), block).await {
                    Ok(()) => {
                        self.metrics.deleted.with_label_values(&["day"]).inc();
                        done.deleted += 1;
                    }
                    Err(error) => done.failed.push(format!("{day}: {error}")),
                }
            }
            self.delete_covered(tenant, listing, listed, done).await;
            for expired in self.expire(tenant, day, listing, false).await {
                match expired.outcome {
                    Outcome::Deleted => done.deleted += 1,
                    Outcome::Failed(error) => done.failed.push(format!("{day}: {error}")),
                    Outcome::Kept | Outcome::Due => {}
                }
            }
        }
        let days = (&days, listed, is_complete);
        let months = self.months(tenant, share, days, done).await?;
        Ok((due, months))
    }

    /// Deletes hour blocks of a day that others cover, such as those that were rewritten. Rounds over hours visit only
    /// days with segments.
    async fn delete_covered(
        &self,
        tenant: &Tenant,
        listing: &DayListing,
        now: Timestamp,
        done: &mut Done,
    ) {
        let several = listing.hours.iter().filter(|(_, of)| of.blocks.len() > 1);
        for (hour, pieces) in several {
            for piece in plan(pieces, *hour, now, &self.options.policy).delete {
                match self.delete(tenant, *hour, &piece).await {
                    Ok(()) => done.deleted += 1,
                    Err(error) => done.failed.push(format!("{hour}: {error}")),
                }
            }
        }
    }

    /// Merges the pieces of a plan into a day block. Row groups that are damaged are left out and noted in the block.
    async fn merge_day(
        &self,
        tenant: &Tenant,
        day: Day,
        listing: &DayListing,
        plan: &DayPlan,
    ) -> Result<BlockId> {
        let mut skipped = Skipped::default();
        loop {
            let merged = self.merge_parts(tenant, day, listing, plan, &skipped).await;
            if let Some(made) = self.made_or_skip(tenant, merged, &mut skipped).await? {
                return Ok(made);
            }
        }
    }

    async fn merge_parts(
        &self,
        tenant: &Tenant,
        day: Day,
        listing: &DayListing,
        plan: &DayPlan,
        skipped: &Skipped,
    ) -> Result<BlockId, Failed> {
        let mut parts = Vec::new();
        let mut leaves: BTreeMap<Hour, BTreeSet<Ulid>> = BTreeMap::new();
        let mut of_hours: BTreeMap<Hour, BTreeSet<String>> = BTreeMap::new();
        let mut inputs = Vec::new();
        for (hour, ids) in &plan.hours {
            for block in ids {
                let names = of_hours.entry(*hour).or_default();
                names.insert(block.0.clone());
                let entry = listing.hours[hour].blocks.iter().find(|of| of.id == *block);
                let of_block = entry.into_iter().flat_map(|of| &of.leaves);
                leaves.entry(*hour).or_default().extend(of_block);
                self.parts(tenant, (*hour).into(), block, Hours::ALL, &mut parts)
                    .await?;
                inputs.push(block.0.clone());
            }
        }
        for (block, hours) in &plan.blocks {
            let entry = listing.blocks.iter().find(|of| of.id == *block);
            for (hour, of_block) in entry.into_iter().flat_map(|of| &of.leaves) {
                if hours.contains(*hour) {
                    leaves.entry(*hour).or_default().extend(of_block);
                    let names = of_hours.entry(*hour).or_default();
                    names.insert(block.0.clone());
                }
            }
            self.parts(tenant, day.into(), block, *hours, &mut parts)
                .await?;
            inputs.push(format!("{} {:06x}", block.0, hours.0));
        }
        inputs.sort();
        inputs.extend(skipped.inputs());
        let mut damaged: BTreeSet<Damaged> = skipped.damaged.iter().cloned().collect();
        damaged.extend(parts.iter().flat_map(|part| part.damaged().iter().cloned()));
        // Service by service, so that only one is in memory. The order of equal services stays that of reading.
        parts.sort_by(|a, b| a.service().cmp(b.service()));
        let mut merge = Merge::new(Resolution::Hours, inputs, &self.options)?;
        merge = self.leave_out_before(tenant, day, merge).await?;
        for part in parts {
            let at = part.place();
            if !skipped.contains(&at) {
                let added = self.add_part(tenant, merge, part).await;
                merge = added.map_err(at.fails())?;
            }
        }
        let finish = move || merge.finish(Vec::new());
        let Written {
            name,
            files,
            mut meta,
        } = blocking("write a block", finish).await??;
        meta.damaged = damaged.into_iter().collect();
        meta.hours = of_hours
            .into_iter()
            .map(|(hour, names)| {
                let segments = leaves.get(&hour).map_or(0, BTreeSet::len);
                let blocks = names.into_iter().collect();
                (hour.to_string(), HourMeta { segments, blocks })
            })
            .collect();
        self.write_segments(tenant, day, &name, &leaves).await?;
        self.put_block(tenant, day.into(), &name, files, &meta)
            .await?;
        Ok(name)
    }

    /// Leaves out the windows of the hour before the day. A window without a time of its own that was pushed twice
    /// around midnight is in both days, and belongs to the first hour.
    async fn leave_out_before(&self, tenant: &Tenant, day: Day, mut merge: Merge) -> Result<Merge> {
        let hour = Hour(day.first().0 - 1);
        let keys = &self.bucket.keys;
        let folders = [
            keys.segments(tenant, Some(hour)),
            keys.blocks(tenant, Some(hour)),
        ];
        let (hours, _) = self.bucket.listing(tenant, &folders).await?;
        let listing = hours.into_values().next().unwrap_or_default();
        let selection = select(&listing);
        for at in selection.blocks {
            let id = &listing.blocks[at].id;
            let meta = self
                .bucket
                .meta(tenant, hour, id)
                .await
                .map_err(read_error)?;
            for group in 0..meta.groups.len() {
                let block = (tenant, hour.into(), id);
                let table = |table| self.bucket.group(block, &meta, table, group);
                let (series, windows) =
                    futures_util::try_join!(table(Table::Series), table(Table::Windows))
                        .map_err(read_error)?;
                let leave_out = move || merge.leave_out(&series, &windows).map(|()| merge);
                merge = blocking("compare windows", leave_out).await??;
            }
        }
        for at in selection.segments {
            let name = listing.segments[at].name;
            let segment = self.bucket.segment(tenant, hour, name).await;
            let segment = segment.map_err(read_error)?;
            let leave_out = move || {
                for group in 0..segment.groups() {
                    let table = |table| segment.table(table, group);
                    merge.leave_out(&table(Table::Series)?, &table(Table::Windows)?)?;
                }
                Ok::<_, Error>(merge)
            };
            merge = blocking("compare windows", leave_out).await??;
        }
        Ok(merge)
    }

    /// Adds the row groups of a block.
    async fn parts(
        &self,
        tenant: &Tenant,
        period: Period,
        block: &BlockId,
        hours: Hours,
        parts: &mut Vec<Part>,
    ) -> Result<()> {
        let meta = self
            .bucket
            .meta(tenant, period, block)
            .await
            .map_err(read_error)?;
        parts.extend(Part::of_block(period, block, &meta, hours));
        Ok(())
    }

    pub(super) async fn add_part(
        &self,
        tenant: &Tenant,
        mut merge: Merge,
        part: Part,
    ) -> Result<Merge> {
        let table = |table| part.table(&self.bucket, tenant, table);
        let (series, windows) =
            futures_util::try_join!(table(Table::Series), table(Table::Windows))
                .map_err(read_error)?;
        let service = part.service().to_owned();
        let compare = move || {
            merge.finish_before(&service)?;
            let has_any = merge.has_any(&series, &windows)?;
            Ok::<_, Error>((merge, series, windows, has_any))
        };
        let (mut merge, series, windows, has_any) = blocking("compare windows", compare).await??;
        // The sums of an hour block are those of its cells, unless a window is in another block, too.
        let is_hour = matches!(part.holder, Holder::Block(Period::Hour(_), ..));
        let of = if is_hour && !has_any {
            Table::Sums
        } else {
            Table::Samples
        };
        let stacks = part.stacks(&self.bucket, tenant);
        let (values, stacks) = futures_util::try_join!(table(of), stacks).map_err(read_error)?;
        let values = match of {
            Table::Sums => TableValues::Sums(values),
            _ => TableValues::Samples(values),
        };
        let tables = Tables {
            series,
            windows,
            stacks,
            values,
            spans: None,
        };
        let add = move || merge.add(&tables, part.hours, true).map(|()| merge);
        blocking("merge a piece", add).await?
    }

    /// Writes the names of the segments of a day block.
    async fn write_segments(
        &self,
        tenant: &Tenant,
        day: Day,
        name: &BlockId,
        leaves: &BTreeMap<Hour, BTreeSet<Ulid>>,
    ) -> Result<()> {
        let names = |of: &BTreeSet<Ulid>| of.iter().map(ToString::to_string).collect();
        let stored = leaves
            .iter()
            .map(|(hour, of)| (hour.to_string(), names(of)));
        let stored: StoredLeaves = stored.collect();
        let text = serde_json::to_vec(&stored)
            .map_err(|error| Error::caused(ErrorKind::Internal, "cannot write names", error))?;
        let key = self.bucket.keys.block(tenant, day, name, SEGMENTS);
        self.bucket.put(&key, Bytes::from(text)).await
    }
}
