//! Reads every byte of a segment or a block.

use super::totals::Totals;
use crate::blocking::blocking;
use crate::bucket::{Bucket, ReadError};
use crate::error::{Error, Result};
use crate::format::Table;
use crate::format::columns::Group;
use crate::format::segment::Segment;
use crate::format::tables::{Dictionary, SeriesTable, SpanTable, StackTables, Values, WindowTable};
use crate::key::{BlockId, Hour, Period, Tenant};
use crate::spans::Only;
use std::sync::Arc;
use ulid::Ulid;

/// The tables of a row group.
struct Tables {
    series: Group,
    windows: Group,
    stacks: StackTables,
    samples: Option<Group>,
    sums: Option<Group>,
    totals: Option<Group>,
    spans: Option<Group>,
}

/// Number of windows and rows, as found.
#[derive(Default)]
struct Found {
    windows: usize,
    rows: usize,
}

/// Reads a segment into `totals`.
pub(super) async fn segment(
    bucket: &Bucket,
    tenant: &Tenant,
    hour: Hour,
    name: Ulid,
    totals: &mut Totals,
) -> Result<(), ReadError> {
    let segment: Segment = bucket.segment(tenant, hour, name).await?;
    let stated = (segment.directory.windows, segment.directory.rows);
    let mut all = Found::default();
    for at in 0..segment.groups() {
        let tables = Tables {
            series: segment.table(Table::Series, at)?,
            windows: segment.table(Table::Windows, at)?,
            stacks: segment.stacks(at)?,
            samples: Some(segment.table(Table::Samples, at)?),
            sums: None,
            totals: None,
            spans: if segment.has(Table::Spans) {
                Some(segment.table(Table::Spans, at)?)
            } else {
                None
            },
        };
        let found = group(tables, totals).await?;
        all.windows += found.windows;
        all.rows += found.rows;
    }
    Ok(compare(stated, &all)?)
}

/// Reads a block into `totals`. A day block may be without values by hour, and a month block has none.
pub(super) async fn block(
    bucket: &Bucket,
    tenant: &Tenant,
    period: Period,
    id: &BlockId,
    has_samples: bool,
    totals: &mut Totals,
) -> Result<(), ReadError> {
    let meta = bucket.meta(tenant, period, id).await?;
    for (index, stated) in meta.groups.iter().enumerate() {
        let table = |table| bucket.group((tenant, period, id), &meta, table, index);
        let stacks = bucket.stacks((tenant, period, id), &meta, index);
        let optional = async |of: Table, is_there: bool| {
            if is_there {
                table(of).await.map(Some)
            } else {
                Ok(None)
            }
        };
        let (series, windows, stacks, samples, sums, of_windows, spans) = futures_util::try_join!(
            table(Table::Series),
            table(Table::Windows),
            stacks,
            optional(Table::Samples, has_samples),
            table(Table::Sums),
            optional(Table::Totals, meta.has(Table::Totals)),
            optional(Table::Spans, meta.has(Table::Spans))
        )?;
        let tables = Tables {
            series,
            windows,
            stacks,
            samples,
            sums: Some(sums),
            totals: of_windows,
            spans,
        };
        let found = group(tables, totals).await?;
        let rows = if has_samples { stated.rows } else { found.rows };
        compare((stated.windows, rows), &found)?;
    }
    match meta.damaged.first() {
        None => Ok(()),
        Some(of) => Err(Error::corrupt(format!(
            "{} inputs were damaged, among them {}: {}",
            meta.damaged.len(),
            of.key,
            of.reason
        ))
        .into()),
    }
}

fn compare((windows, rows): (usize, usize), found: &Found) -> Result<()> {
    for (what, stated, found) in [
        ("windows", windows, found.windows),
        ("rows", rows, found.rows),
    ] {
        if stated != found {
            let text = format!("{found} {what} found, {stated} stated");
            return Err(Error::corrupt(text));
        }
    }
    Ok(())
}

/// Reads a row group.
async fn group(tables: Tables, totals: &mut Totals) -> Result<Found> {
    let mut of = std::mem::take(totals);
    let read = move || {
        let series = SeriesTable::read(&tables.series)?;
        let windows = WindowTable::read(&tables.windows, &series)?;
        let dictionary = Arc::new(Dictionary::read(&tables.stacks)?);
        let samples = tables
            .samples
            .map(|samples| Values::samples(&samples, &series, &windows, Some(&dictionary)));
        let samples = samples.transpose()?;
        let sums = tables
            .sums
            .map(|sums| Values::sums(&sums, &series, Some(&dictionary)));
        let sums = sums.transpose()?;
        let totals_by_window = tables
            .totals
            .map(|totals| Values::totals(&totals, &series, &windows));
        let totals_by_window = totals_by_window.transpose()?;
        let total = |values: &Values| -> i128 {
            values.values.iter().map(|value| i128::from(*value)).sum()
        };
        for (what, one, other) in [
            ("sums differ from the samples", &samples, &sums),
            (
                "totals differ from the samples",
                &samples,
                &totals_by_window,
            ),
            ("totals differ from the sums", &sums, &totals_by_window),
        ] {
            if let (Some(one), Some(other)) = (one, other)
                && total(one) != total(other)
            {
                return Err(Error::corrupt(format!("the {what}")));
            }
        }
        if let (Some(spans), Some(samples)) = (&tables.spans, &samples) {
            let all = Only::default();
            let spans = SpanTable::read(spans, &series, &windows, Some(&dictionary), &all)?;
            if total(&spans.values()) > total(samples) {
                return Err(Error::corrupt("spans have more than the samples"));
            }
        }
        let found = Found {
            windows: windows
                .rows
                .iter()
                .map(|window| window.count as usize)
                .sum(),
            rows: samples.as_ref().map_or(0, |samples| samples.values.len()),
        };
        if let Some(samples) = &samples {
            of.add(&series, &windows, samples);
        }
        if let Some(sums) = &sums {
            of.add_sums(&series, &windows, sums);
        }
        if let (None, Some(totals)) = (&samples, &totals_by_window) {
            of.add_days(&series, &windows, totals);
        }
        Ok((of, found))
    };
    let (read, found) = blocking("verify a row group", read).await??;
    *totals = read;
    Ok(found)
}
