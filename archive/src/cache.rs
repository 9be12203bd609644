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

    /// The bytes of an object, which are loaded once, however many ask for them at the same time, and cached.
    pub(crate) async fn get_or_load<E>(
        &self,
        object: &str,
        load: impl Future<Output = Result<Bytes, E>>,
    ) -> Result<Bytes, E> {
        let object = object.to_owned();
        let key = Key { object, at: 0 };
        let load = async {
            let bytes = load.await?;
            let size = bytes.len();
            Ok((Entry::Bytes(bytes), size))
        };
        match self.pieces.get_or_insert_async(&key, load).await? {
            (Entry::Bytes(bytes), _) => Ok(bytes),
            // Only bytes are cached at the start of an object, except of meta objects.
            _ => Ok(Bytes::new()),
        }
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

    #[tokio::test]
    async fn object_that_several_read_at_once_is_loaded_once() {
        let cache = Cache::new(10_000);
        let loads = std::cell::Cell::new(0);
        let load = || async {
            loads.set(loads.get() + 1);
            tokio::task::yield_now().await;
            Ok::<_, ()>(Bytes::from_static(b"bytes"))
        };
        let read = || cache.get_or_load("k", load());
        let all = futures_util::future::join_all([read(), read(), read()]).await;
        assert_eq!(all, vec![Ok(Bytes::from_static(b"bytes")); 3]);
        assert_eq!(loads.get(), 1);
        let failed = cache.get_or_load("other", async { Err("no") }).await;
        assert_eq!(failed, Err("no"));
        let again = cache.get_or_load("other", load()).await;
        assert_eq!((again.is_ok(), loads.get()), (true, 2));
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
