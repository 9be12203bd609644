//! Month blocks.

use super::compactor::{Compactor, Done, read_error};
use super::expire::Outcome;
use super::merge::{Merge, Resolution, TableValues, Tables};
use super::part::Part;
use super::presence::Share;
use super::quarantine::{Failed, Skipped};
use crate::blocking::blocking;
use crate::error::Result;
use crate::format::Table;
use crate::format::block::{Damaged, Written};
use crate::key::{BlockId, Day, Month, Tenant};
use crate::plan::month::{MonthPlan, plan_month};
use crate::rule::day::{DayListing, Hours};
use davy_base::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

impl Compactor {
    /// Merges and expires a share of the months of a tenant, of which `days` were listed at a time. `is_complete` is
    /// whether all of their blocks could be read. Returns the number of months that were due to be merged.
    ///
    /// All months of an archive that has no month blocks yet are due for so long that each archiver may merge each of them.
    /// So each begins with others, and merges one in a round: the next round does not repeat what others have merged.
    pub(super) async fn months(
        &self,
        tenant: &Tenant,
        share: &Share,
        (days, listed, is_complete): (&BTreeMap<Day, DayListing>, Timestamp, bool),
        done: &mut Done,
    ) -> Result<i64> {
        let mut due = 0;
        let (months, faults) = self.bucket.months(tenant, days).await?;
        for fault in faults {
            tracing::warn!(fault, "unreadable month block left out of compaction");
        }
        let policy = &self.options.policy;
        let levels = self.options.levels.with_accepted(self.options.retention);
        let mut own = BTreeMap::new();
        for (month, mut listing) in months {
            if !is_complete {
                // The month block may be all that can be read of a day.
                listing.outdated.clear();
            }
            let plan = plan_month(&listing, month, listed, policy, &levels);
            let key = format!("{}/{month}", tenant.key());
            if !plan.merge.is_empty() {
                due += 1;
                if share.contains(&key, plan.since, listed) {
                    own.insert((share.order(&key), month), plan.merge.clone());
                }
            }
            if !share.contains(&key, month.end().plus(policy.month_settle), listed) {
                continue;
            }
            self.delete_months(tenant, month, &plan, done).await;
            for expired in self.expire_month(tenant, month, &listing, false).await {
                match expired.outcome {
                    Outcome::Deleted => done.deleted += 1,
                    Outcome::Failed(error) => done.failed.push(format!("{month}: {error}")),
                    Outcome::Kept | Outcome::Due => {}
                }
            }
        }
        for ((_, month), days) in own.into_iter().take(share.long_due()) {
            let merged = self.merge_month(tenant, month, &days).await;
            let outcome = if merged.is_ok() { "done" } else { "failed" };
            let of = self.metrics.compactions.with_label_values(&[outcome]);
            of.inc();
            match merged {
                Ok(_) => done.merged += 1,
                Err(error) => {
                    tracing::warn!(tenant = tenant.key(), %month, %error, "merge failed");
                    done.failed.push(format!("{month}: {error}"));
                }
            }
        }
        Ok(due)
    }

    /// Deletes the month blocks that another one has replaced.
    async fn delete_months(
        &self,
        tenant: &Tenant,
        month: Month,
        plan: &MonthPlan,
        done: &mut Done,
    ) {
        let replaced = plan.delete.iter().map(|block| (block, "month"));
        let unfinished = plan.unfinished.iter().map(|block| (block, "unfinished"));
        for (block, kind) in replaced.chain(unfinished) {
            match self.delete_block(tenant, month.into(), block).await {
                Ok(()) => {
                    self.metrics.deleted.with_label_values(&[kind]).inc();
                    done.deleted += 1;
                }
                Err(error) => done.failed.push(format!("{month}: {error}")),
            }
        }
    }

    /// Merges day blocks into a month block. Row groups that are damaged are left out and noted in the block.
    async fn merge_month(
        &self,
        tenant: &Tenant,
        month: Month,
        days: &BTreeMap<Day, BlockId>,
    ) -> Result<BlockId> {
        let mut skipped = Skipped::default();
        loop {
            let merged = self.merge_days(tenant, month, days, &skipped).await;
            if let Some(made) = self.made_or_skip(tenant, merged, &mut skipped).await? {
                return Ok(made);
            }
        }
    }

    async fn merge_days(
        &self,
        tenant: &Tenant,
        month: Month,
        days: &BTreeMap<Day, BlockId>,
        skipped: &Skipped,
    ) -> Result<BlockId, Failed> {
        let mut parts = Vec::new();
        for (day, block) in days {
            let meta = self.bucket.meta(tenant, *day, block).await;
            let meta = meta.map_err(read_error)?;
            parts.extend(Part::of_block((*day).into(), block, &meta, Hours::ALL));
        }
        let mut inputs: Vec<String> = days.values().map(|block| block.0.clone()).collect();
        inputs.sort();
        inputs.extend(skipped.inputs());
        let mut damaged: BTreeSet<Damaged> = skipped.damaged.iter().cloned().collect();
        damaged.extend(parts.iter().flat_map(|part| part.damaged().iter().cloned()));
        // Service by service, so that only one is in memory. The order of equal services stays that of the days.
        parts.sort_by(|a, b| a.service().cmp(b.service()));
        let mut merge = Merge::new(Resolution::Days, inputs, &self.options)?;
        for part in parts {
            let at = part.place();
            if !skipped.contains(&at) {
                let added = self.add_sums(tenant, merge, part).await;
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
        let named = days.iter();
        meta.days = named
            .map(|(day, block)| (day.to_string(), block.0.clone()))
            .collect();
        self.put_block(tenant, month.into(), &name, files, &meta)
            .await?;
        Ok(name)
    }

    /// Adds the sums of a row group of a day block.
    pub(super) async fn add_sums(
        &self,
        tenant: &Tenant,
        mut merge: Merge,
        part: Part,
    ) -> Result<Merge> {
        let table = |table| part.table(&self.bucket, tenant, table);
        let (series, windows, stacks, sums) = futures_util::try_join!(
            table(Table::Series),
            table(Table::Windows),
            part.stacks(&self.bucket, tenant),
            table(Table::Sums),
        )
        .map_err(read_error)?;
        let tables = Tables {
            series,
            windows,
            stacks,
            values: TableValues::Sums(sums),
            spans: None,
        };
        let add = move || {
            merge.finish_before(part.service())?;
            merge.add(&tables, part.hours, true).map(|()| merge)
        };
        blocking("merge a piece", add).await?
    }
}
