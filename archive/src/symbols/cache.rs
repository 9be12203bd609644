//! The functions at recently looked up addresses, in bounded memory.

use crate::format::symbols::{Chain, NamedFrame};
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};
use rustc_hash::FxBuildHasher;

/// An address of a build: the number of the symbols, and the address.
type Key = (u64, u64);

#[derive(Clone)]
struct Weights;

impl Weighter<Key, Chain> for Weights {
    fn weight(&self, _: &Key, chain: &Chain) -> u64 {
        bytes(chain) as u64
    }
}

/// Memory of an entry, in bytes. Texts that several entries share count for each.
fn bytes(chain: &[NamedFrame]) -> usize {
    let texts = chain.iter().map(|of| of.function.len() + of.file.len());
    96 + size_of_val(chain) + texts.sum::<usize>()
}

/// Functions by address; an empty chain means that there is none.
pub(super) struct ChainCache {
    chains: Cache<Key, Chain, Weights, FxBuildHasher, DefaultLifecycle<Key, Chain>>,
    limit: usize,
}

impl ChainCache {
    /// A cache of at most `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        let options = OptionsBuilder::new()
            .shards(1)
            .estimated_items_capacity(16_384)
            .weight_capacity(limit as u64)
            .build()
            .expect("every required option is set");
        let lifecycle = DefaultLifecycle::default();
        Self {
            chains: Cache::with_options(options, Weights, FxBuildHasher, lifecycle),
            limit,
        }
    }

    pub(super) fn get(&self, symbols: u64, address: u64) -> Option<Chain> {
        self.chains.get(&(symbols, address))
    }

    /// Caches the functions at an address, unless they take more than a quarter of the cache.
    pub(super) fn put(&self, symbols: u64, address: u64, chain: &Chain) {
        if bytes(chain) <= self.limit / 4 {
            self.chains.insert((symbols, address), Chain::clone(chain));
        }
    }

    /// Bytes in use.
    pub(super) fn bytes(&self) -> usize {
        usize::try_from(self.chains.weight()).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_stays_within_the_limit() {
        let cache = ChainCache::new(100_000);
        let frame = NamedFrame {
            function: "f".repeat(50).into(),
            file: "src/main.rs".into(),
            line: 1,
        };
        for address in 0..10_000 {
            cache.put(1, address, &vec![frame.clone(); 3].into());
            assert!(cache.bytes() <= 100_000);
        }
        assert!(cache.bytes() > 50_000);
        let large: Chain = vec![frame; 1_000].into();
        cache.put(1, 0, &large);
        assert!(cache.get(1, 0).is_none_or(|chain| chain.len() == 3));
    }
}
