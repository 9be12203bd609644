//! The cache of decoded tables of blocks.

use super::Bucket;
use crate::cache::Entry;
use crate::format::Table;
use crate::format::block::Meta;
use crate::key::{BlockId, Period, Tenant};
use davy_bucket::Usage;

/// A row group of a table of a block, of which something is decoded.
pub(crate) struct GroupOf<'a> {
    pub(crate) tenant: &'a Tenant,
    pub(crate) period: Period,
    pub(crate) id: &'a BlockId,
    pub(crate) meta: &'a Meta,
    pub(crate) table: Table,
    pub(crate) group: usize,
    /// Which of several things that are decoded of it; below 64.
    pub(crate) variant: u8,
}

impl GroupOf<'_> {
    /// The key of the file, and an offset that no piece of it has.
    fn place(&self, bucket: &Bucket) -> (String, u64) {
        let file = self.table.file();
        let key = bucket.keys.block(self.tenant, self.period, self.id, &file);
        let at = u64::from(self.variant + 1) << 56 | self.group as u64;
        (key.into(), at)
    }
}

impl Bucket {
    /// What was decoded, if it is cached.
    pub(crate) fn decoded(&self, of: &GroupOf<'_>) -> Option<Entry> {
        let (key, at) = of.place(self);
        let found = self.cache.get(&key, at)?;
        let file = of.meta.file(of.table).ok()?;
        let (start, end, _) = file.groups.get(of.group)?;
        Usage::record_hit((end - start) as usize);
        self.metrics.cache_hits.with_label_values(&["memory"]).inc();
        Some(found)
    }

    /// Caches what was decoded, which takes this number of bytes.
    pub(crate) fn keep_decoded(&self, of: &GroupOf<'_>, entry: Entry, bytes: usize) {
        let (key, at) = of.place(self);
        self.cache.put(&key, at, entry, bytes);
        self.metrics.cache_bytes.set(self.cache.bytes() as i64);
    }
}
