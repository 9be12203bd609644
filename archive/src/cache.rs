//! Recently read pieces of objects and what was decoded of them, in bounded memory. Objects never change, so a piece
//! never becomes stale.

use crate::format::tables::{Dictionary, SeriesTable, Values, WindowTable};
use bytes::Bytes;
use parquet::file::metadata::ParquetMetaData;
use quick_cache::sync::{Cache as PieceCache, DefaultLifecycle};
use quick_cache::{Equivalent, OptionsBuilder, Weighter};
use rustc_hash::FxBuildHasher;
use std::sync::Arc;

/// A cached piece.
#[derive(Clone)]
pub(crate) enum Entry {
    /// Bytes as stored.
    Bytes(Bytes),
    /// The meta object of a block.
    Meta(Arc<crate::format::block::Meta>),
    /// A Parquet footer.
    Footer(Arc<ParquetMetaData>),
    /// The series of a row group.
    Series(Arc<SeriesTable>),
    /// The windows of a row group.
    Windows(Arc<WindowTable>),
    /// The stacks of a row group.
    Stacks(Arc<Dictionary>),
    /// Values of a row group.
    Values(Arc<Values>),
}

/// The key of an object and the offset of the piece in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    object: String,
    at: u64,
}

/// A [`Key`] for look-ups; its hash is the same.
#[derive(Hash)]
struct KeyRef<'a> {
    object: &'a str,
    at: u64,
}

impl Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.at == key.at && self.object == key.object
    }
}

#[derive(Clone)]
struct Weights;

impl Weighter<Key, (Entry, usize)> for Weights {
    fn weight(&self, key: &Key, (_, bytes): &(Entry, usize)) -> u64 {
        (bytes + key.object.len() + 128) as u64
    }
}

/// Pieces with their sizes in bytes.
type Pieces =
    PieceCache<Key, (Entry, usize), Weights, FxBuildHasher, DefaultLifecycle<Key, (Entry, usize)>>;

/// Recently read pieces, up to a total of `limit` bytes.
pub(crate) struct Cache {
    pieces: Pieces,
    limit: usize,
}

impl Cache {
    /// A cache of at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        let options = OptionsBuilder::new()
            // With more shards a large piece would exceed the share of its shard.
            .shards(1)
            .estimated_items_capacity(4_096)
            .weight_capacity(limit as u64)
            .build()
            .expect("every required option is set");
        let pieces =
            PieceCache::with_options(options, Weights, FxBuildHasher, DefaultLifecycle::default());
        Self { pieces, limit }
    }

    /// The piece that begins at `at`, if it is cached.
    pub(crate) fn get(&self, object: &str, at: u64) -> Option<Entry> {
        self.pieces
            .get(&KeyRef { object, at })
            .map(|(entry, _)| entry)
    }

    /// Caches a piece of `bytes` bytes, unless it is larger than a quarter of the cache.
    pub(crate) fn put(&self, object: &str, at: u64, entry: Entry, bytes: usize) {
        if !self.can_hold(bytes as u64) {
            return;
        }
        let object = object.to_owned();
        self.pieces.insert(Key { object, at }, (entry, bytes));
    }

    /// Whether a piece of this size can be cached.
    pub(crate) fn can_hold(&self, bytes: u64) -> bool {
        bytes <= self.limit as u64 / 4
    }

    /// Forgets a piece.
    pub(crate) fn remove(&self, object: &str, at: u64) {
        self.pieces.remove(&KeyRef { object, at });
    }

    /// Bytes in use.
    pub(crate) fn bytes(&self) -> usize {
        usize::try_from(self.pieces.weight()).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry::Bytes(Bytes::new())
    }

    #[test]
    fn memory_stays_within_the_limit() {
        let cache = Cache::new(10_000);
        for at in 0..1_000 {
            cache.put("k", at, entry(), 1_000);
            assert!(cache.bytes() <= 10_000, "{}", cache.bytes());
        }
        assert!((0..1_000).any(|at| cache.get("k", at).is_some()));
        cache.put("large", 0, entry(), 9_000);
        assert!(cache.get("large", 0).is_none());
    }

    #[test]
    fn frequently_read_piece_survives_a_scan() {
        let cache = Cache::new(10_000);
        cache.put("hot", 0, entry(), 1_000);
        for at in 0..1_000 {
            assert!(cache.get("hot", 0).is_some(), "evicted by piece {at}");
            cache.put("cold", at, entry(), 1_000);
        }
        assert!(cache.get("hot", 1).is_none());
    }
}
