//! Pieces of objects that were read lately, in bounded memory. Objects never change, so a piece
//! never gets stale.

use bytes::Bytes;
use parquet::file::metadata::ParquetMetaData;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A piece that is kept.
#[derive(Clone)]
pub(crate) enum Entry {
    /// Bytes as stored.
    Bytes(Bytes),
    /// The meta object of a block.
    Meta(Arc<crate::format::block::Meta>),
    /// A footer.
    Footer(Arc<ParquetMetaData>),
}

#[derive(Default)]
struct Inner {
    entries: FxHashMap<(String, u64), (Entry, usize, u64)>,
    /// Keys by when they were last used.
    order: BTreeMap<u64, (String, u64)>,
    clock: u64,
    bytes: usize,
}

/// Pieces by the object's key and the piece's first byte; the least recently used goes first.
pub(crate) struct Cache {
    inner: Mutex<Inner>,
    limit: usize,
}

impl Cache {
    /// At most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            inner: Mutex::default(),
            limit,
        }
    }

    /// A piece, if it is there.
    pub(crate) fn get(&self, key: &str, at: u64) -> Option<Entry> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let inner = &mut *inner;
        let (entry, _, used) = inner.entries.get_mut(&(key.to_owned(), at))?;
        inner.clock += 1;
        if let Some(name) = inner.order.remove(used) {
            inner.order.insert(inner.clock, name);
        }
        *used = inner.clock;
        Some(entry.clone())
    }

    /// Keeps a piece that takes `bytes`; pieces above a quarter of the limit are not kept.
    pub(crate) fn put(&self, key: &str, at: u64, entry: Entry, bytes: usize) {
        let bytes = bytes + key.len() * 2 + 128;
        if bytes > self.limit / 4 {
            return;
        }
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let inner = &mut *inner;
        inner.clock += 1;
        let name = (key.to_owned(), at);
        inner.order.insert(inner.clock, name.clone());
        if let Some((_, old, used)) = inner.entries.insert(name, (entry, bytes, inner.clock)) {
            inner.order.remove(&used);
            inner.bytes -= old;
        }
        inner.bytes += bytes;
        while inner.bytes > self.limit {
            let Some((_, oldest)) = inner.order.pop_first() else {
                break;
            };
            if let Some((_, freed, _)) = inner.entries.remove(&oldest) {
                inner.bytes -= freed;
            }
        }
    }

    /// Bytes kept now.
    pub(crate) fn bytes(&self) -> usize {
        self.inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_goes_first_and_the_bound_holds() {
        let cache = Cache::new(10_000);
        for key in 0..8 {
            cache.put("k", key, Entry::Bytes(Bytes::new()), 1_000);
        }
        assert!(cache.get("k", 0).is_some());
        cache.put("k", 8, Entry::Bytes(Bytes::new()), 1_500);
        assert!(cache.get("k", 0).is_some());
        assert!(cache.get("k", 1).is_none());
        assert!(cache.bytes() <= 10_000);
        cache.put("large", 0, Entry::Bytes(Bytes::new()), 9_000);
        assert!(cache.get("large", 0).is_none());
    }
}
