//! The parts of a scan that are read from month blocks.

use super::ahead::ReadAhead;
use super::load::Loader;
use super::part::BlockRef;
use super::unread::Unread;
use super::{Scan, Visitor};
use crate::error::Result;
use crate::key::Month;
use crate::rule::day::Hours;
use crate::rule::month::MonthBlock;
use futures_util::StreamExt;
use std::collections::{BTreeMap, BTreeSet};

impl Scan<'_> {
    /// Shows the groups of month blocks, and returns the visitor and the months of which nothing was counted because a
    /// block was deleted or is damaged. Their days can be read instead.
    pub(super) async fn months<V: Visitor>(
        &mut self,
        blocks: &BTreeMap<Month, MonthBlock>,
        mut visitor: V,
    ) -> Result<(V, BTreeSet<Month>)> {
        let (bucket, ask) = (&self.query.bucket, self.ask);
        let (mut unread, mut counted) = (BTreeSet::new(), BTreeSet::new());
        let (mut metas, mut parts, mut months) = (Vec::new(), Vec::new(), Vec::new());
        for (month, block) in blocks {
            let Ok(meta) = bucket.meta(&ask.tenant, *month, &block.id).await else {
                unread.insert(*month);
                continue;
            };
            let of_block = BlockRef((*month).into(), &block.id, &meta)
                .parts((Some(Hours::ALL), false), |of| ask.may_select(&of.services));
            months.extend(of_block.iter().map(|_| *month));
            parts.extend(of_block);
            metas.push((*month, meta));
        }
        // Parts of blocks have an hour of their own.
        let any = crate::key::Hour(0);
        // The groups of all months together, so that several are read at once. Each gives one result.
        let loaded = Loader::new(bucket, ask).load_all::<V>(any, parts);
        let mut all = ReadAhead::of(loaded.zip(futures_util::stream::iter(months)));
        while let Some((loaded, month)) = all.next().await {
            if unread.contains(&month) {
                continue;
            }
            match &loaded {
                Ok(Some(_)) => drop(counted.insert(month)),
                Err(Unread::Skipped(_)) if !counted.contains(&month) => {
                    unread.insert(month);
                    continue;
                }
                _ => {}
            }
            let shown;
            (visitor, shown) = all.during(self.group(loaded, visitor)).await?;
            match shown {
                Ok(()) => self.visited += 1,
                Err(error) => self.unreadable(&month, error),
            }
        }
        for (month, meta) in metas.iter().filter(|(of, _)| !unread.contains(of)) {
            self.damaged(month, meta);
        }
        Ok((visitor, unread))
    }
}
