//! Successors of blocks, without the series that rules have expired. [`crate::plan::rules`] argues why they are read and
//! when their predecessors are deleted.

use super::compactor::{Compactor, read_error};
use super::merge::{HasExpired, Merge, Resolution};
use super::part::Part;
use super::quarantine::{Failed, Skipped};
use super::rewrite::inputs;
use crate::blocking::blocking;
use crate::bucket::ReadError;
use crate::error::{Error, Result};
use crate::format::Table;
use crate::format::block::{Damaged, Meta, Written};
use crate::format::tables::SeriesTable;
use crate::key::{BlockId, Day, Period, SEGMENTS, Tenant};
use crate::plan::rules::{Class, TenantRules};
use crate::rule::day::Hours;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A block to replace.
pub(super) struct Predecessor<'a> {
    pub(super) tenant: &'a Tenant,
    pub(super) period: Period,
    pub(super) id: &'a BlockId,
    /// Whether it has values by window or hour.
    pub(super) has_samples: bool,
    /// The classes of series that have expired.
    pub(super) classes: &'a BTreeSet<Class>,
    pub(super) rules: &'a TenantRules,
}

/// What of a block has expired.
pub(super) struct Weight {
    /// Number of series.
    pub(super) series: usize,
    /// Their share of the size of the block, by their number in each row group.
    pub(super) bytes: u64,
}

impl Predecessor<'_> {
    /// Whether a series has expired.
    fn has_expired(&self) -> HasExpired {
        let (rules, classes) = (self.rules.clone(), self.classes.clone());
        Arc::new(move |series, source| {
            classes.contains(&rules.class(|label| series.label(label, source)))
        })
    }

    fn inputs(&self, writer: &str, skipped: &Skipped) -> Result<Vec<String>> {
        inputs(writer, self.id, skipped, |number| {
            let classes = self.classes.iter().map(|class| self.rules.input(*class));
            classes.chain([format!("name {number}")]).collect()
        })
    }
}

impl Compactor {
    /// Writes the successor of a block; `None` if no series would be left.
    pub(super) async fn succeed(&self, of: &Predecessor<'_>) -> Result<Option<BlockId>> {
        let meta = self.bucket.meta(of.tenant, of.period, of.id).await;
        let meta = meta.map_err(read_error)?;
        let mut skipped = Skipped::default();
        loop {
            let mut is_empty = false;
            let made = self.succeed_parts(of, &meta, &skipped, &mut is_empty).await;
            if is_empty {
                return Ok(None);
            }
            let made = self.made_or_skip(of.tenant, made, &mut skipped).await?;
            if made.is_some() {
                return Ok(made);
            }
        }
    }

    async fn succeed_parts(
        &self,
        of: &Predecessor<'_>,
        meta: &Arc<Meta>,
        skipped: &Skipped,
        is_empty: &mut bool,
    ) -> Result<BlockId, Failed> {
        let inputs = of.inputs(&self.options.writer, skipped)?;
        let resolution = match of.period {
            Period::Hour(_) => Resolution::Windows,
            // Those of months have none: they are merged again from their days.
            Period::Day(_) | Period::Month(_) => Resolution::Hours,
        };
        let mut merge = Merge::new(resolution, inputs, &self.options)?;
        merge.leave_out_series(of.has_expired());
        let mut parts = Part::of_block(of.period, of.id, meta, Hours::ALL);
        parts.retain(|part| !skipped.contains(&part.place()));
        parts.sort_by(|a, b| a.service().cmp(b.service()));
        for part in parts {
            let at = part.place();
            let added = match of.period {
                Period::Hour(_) => self.add_tables(of.tenant, merge, part).await,
                Period::Day(_) if of.has_samples => self.add_part(of.tenant, merge, part).await,
                Period::Day(_) | Period::Month(_) => self.add_sums(of.tenant, merge, part).await,
            };
            merge = added.map_err(at.fails())?;
        }
        let damaged = meta.damaged.iter().chain(&skipped.damaged).cloned();
        let segments = meta.segments.clone();
        let written = blocking("write a block", move || merge.finish(segments)).await??;
        if written.meta.groups.is_empty() {
            *is_empty = true;
            return Ok(written.name);
        }
        Ok(self
            .put_successor(of, meta, written, damaged.collect())
            .await?)
    }

    async fn put_successor(
        &self,
        of: &Predecessor<'_>,
        meta: &Meta,
        written: Written,
        damaged: Vec<Damaged>,
    ) -> Result<BlockId> {
        let Written {
            name,
            mut files,
            meta: mut made,
        } = written;
        made.damaged = damaged;
        made.hours.clone_from(&meta.hours);
        if let Period::Day(day) = of.period {
            self.copy_segments(of.tenant, day, of.id, &name).await?;
        }
        if !of.has_samples {
            // Sums of the day are all that there is, so values by hour would be wrong.
            let is_by_hour = |table: Table| matches!(table, Table::Samples | Table::Totals);
            for (table, _) in files.extract_if(.., |(table, _)| is_by_hour(*table)) {
                made.tables.remove(table.name());
            }
        }
        self.put_block(of.tenant, of.period, &name, files, &made)
            .await?;
        Ok(name)
    }

    /// Copies the names of the segments of a day block.
    async fn copy_segments(
        &self,
        tenant: &Tenant,
        day: Day,
        from: &BlockId,
        to: &BlockId,
    ) -> Result<()> {
        let key = |block| self.bucket.keys.block(tenant, day, block, SEGMENTS);
        let names = self.bucket.get_current(&key(from)).await;
        let names = names.map_err(read_error)?;
        self.bucket.put(&key(to), names).await
    }

    /// What of a block has expired.
    pub(super) async fn weigh(&self, of: &Predecessor<'_>) -> Result<Weight, ReadError> {
        let block = (of.tenant, of.period, of.id);
        let meta = self.bucket.meta(of.tenant, of.period, of.id).await?;
        let has_expired = of.has_expired();
        let mut weight = Weight {
            series: 0,
            bytes: 0,
        };
        for (at, group) in meta.groups.iter().enumerate() {
            let classes = group
                .services
                .iter()
                .flat_map(|of_group| of.rules.classes(of_group));
            if !classes.into_iter().any(|class| of.classes.contains(&class)) {
                continue;
            }
            let table = self.bucket.group(block, &meta, Table::Series, at).await?;
            let has_expired = Arc::clone(&has_expired);
            let count = move || {
                let series = SeriesTable::read(&table)?;
                let rows = series.rows.iter();
                let expired =
                    rows.filter(|row| has_expired(row, &series.sources[row.source as usize]));
                Ok::<_, Error>((expired.count(), series.rows.len()))
            };
            let (expired, all) = blocking("count series", count).await??;
            let bytes: u64 = meta
                .tables
                .values()
                .filter_map(|file| file.groups.get(at))
                .map(|(start, end, _)| end - start)
                .sum();
            weight.series += expired;
            weight.bytes += bytes * expired as u64 / all.max(1) as u64;
        }
        Ok(weight)
    }
}
