//! The pieces of all days, without hours whose blocks hold the same window twice.

use super::choice::{DayChoice, Reason, choose as choose_day};
use crate::blocking::blocking;
use crate::bucket::{Bucket, ReadError};
use crate::error::{Error, ErrorKind, Result};
use crate::format::Table;
use crate::format::batch::WindowId;
use crate::format::tables::{SeriesTable, WindowTable};
use crate::key::{BlockId, Hour, Period, Tenant};
use crate::rule::select;
use rustc_hash::FxHashSet;
use std::collections::BTreeMap;

/// The published pieces of a tenant, and the hours that are left out.
pub(super) struct Chosen {
    pub(super) pieces: Vec<(Period, BlockId)>,
    pub(super) left_out: BTreeMap<Hour, Reason>,
    pub(super) faults: Vec<String>,
}

/// The version of the oldest blocks that have the tables of today.
const FIRST_VERSION: u32 = 2;

/// Chooses the pieces of a tenant.
pub(super) async fn choose(bucket: &Bucket, tenant: &Tenant) -> Result<Chosen> {
    let folders = bucket.levels(tenant);
    let (days, faults) = bucket.days(tenant, &folders, Hour::EVER).await?;
    let mut chosen = Chosen {
        pieces: Vec::new(),
        left_out: BTreeMap::new(),
        faults,
    };
    // Windows of the published blocks of the last hour.
    let mut before: Option<(Hour, FxHashSet<WindowId>)> = None;
    let mut yesterday: Option<crate::rule::day::DayListing> = None;
    for (day, listing) in days {
        let DayChoice {
            day: block,
            hours,
            left_out,
        } = choose_day(&listing);
        chosen.left_out.extend(left_out);
        if let Some(block) = block {
            chosen.pieces.push((day.into(), block));
        }
        for (hour, ids) in hours {
            let last = Hour(hour.0 - 1);
            let known = match before.take() {
                Some((of, known)) if of == last => known,
                _ if hour == day.first() => {
                    let pieces = yesterday.as_ref().and_then(|of| of.hours.get(&last));
                    let ids = pieces.map(|pieces| {
                        let selected = select(pieces).blocks;
                        selected.into_iter().map(|at| pieces.blocks[at].id.clone())
                    });
                    let ids: Vec<BlockId> = ids.into_iter().flatten().collect();
                    of_blocks(bucket, tenant, last, &ids).await?.0
                }
                _ => FxHashSet::default(),
            };
            let mut is_current = true;
            for id in &ids {
                let meta = bucket.meta(tenant, hour, id).await.map_err(gone)?;
                is_current &= meta.version >= FIRST_VERSION;
            }
            if !is_current {
                chosen.left_out.insert(hour, Reason::Version);
                continue;
            }
            let (windows, is_distinct) = of_blocks(bucket, tenant, hour, &ids).await?;
            if !is_distinct || !known.is_disjoint(&windows) {
                chosen.left_out.insert(hour, Reason::Overlapping);
                continue;
            }
            let pieces = ids.into_iter().map(|id| (hour.into(), id));
            chosen.pieces.extend(pieces);
            before = Some((hour, windows));
        }
        yesterday = Some(listing);
    }
    Ok(chosen)
}

/// The error of a piece that could not be read.
pub(super) fn gone(error: ReadError) -> Error {
    match error {
        ReadError::Failed(error) => error,
        ReadError::Gone => Error::new(
            ErrorKind::Unavailable,
            "a block was deleted while it was read; repeat the command",
        ),
    }
}

/// The windows of hour blocks, and whether no two blocks hold the same one.
async fn of_blocks(
    bucket: &Bucket,
    tenant: &Tenant,
    hour: Hour,
    ids: &[BlockId],
) -> Result<(FxHashSet<WindowId>, bool)> {
    let (mut all, mut is_distinct) = (FxHashSet::default(), true);
    for id in ids {
        let meta = bucket.meta(tenant, hour, id).await.map_err(gone)?;
        for group in 0..meta.groups.len() {
            let block = (tenant, hour.into(), id);
            let table = |table| bucket.group(block, &meta, table, group);
            let (series, windows) =
                futures_util::try_join!(table(Table::Series), table(Table::Windows))
                    .map_err(gone)?;
            let read = move || {
                let windows = WindowTable::read(&windows, &SeriesTable::read(&series)?)?;
                for window in &windows.rows {
                    is_distinct &= all.insert(window.id);
                }
                Ok::<_, Error>((all, is_distinct))
            };
            (all, is_distinct) = blocking("compare windows", read).await??;
        }
    }
    Ok((all, is_distinct))
}
