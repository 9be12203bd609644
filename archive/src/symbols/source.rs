//! Which builds have symbols.

use super::cache::ChainCache;
use super::missing::Missing;
use crate::bucket::{Bucket, ReadError};
use crate::error::{Error, Result};
use crate::format::symbols::SymbolsMeta;
use crate::key::{BuildKey, Tenant};
use crate::metrics::Metrics;
use crate::options::ArchiveOptions;
use davy_base::Clock;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};
use rustc_hash::FxBuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long it is believed that a build has no symbols. Another archiver may store them at any time.
pub(super) const MISSING: Duration = Duration::from_secs(2);
/// How long it is believed that the symbols of a build are not replaced.
pub(super) const PRESENT: Duration = Duration::from_secs(30);
/// How long symbols that could not be read are not tried again.
const FAILED: Duration = Duration::from_secs(5);
/// Memory of what is known of builds, in bytes.
const KNOWN_BYTES: u64 = 8 << 20;

/// The symbols of a build.
pub(super) struct Source {
    /// Different for each in this process.
    pub(super) number: u64,
    pub(super) tenant: Tenant,
    pub(super) build: BuildKey,
    pub(super) meta: SymbolsMeta,
}

/// Whether a build has symbols.
#[derive(Clone)]
pub(super) enum Known {
    /// It has symbols.
    Present(Arc<Source>),
    /// It has none.
    Missing,
    /// They could not be read.
    Failed(Error),
}

impl Known {
    fn lasts(&self) -> Duration {
        match self {
            Self::Present(_) => PRESENT,
            Self::Missing => MISSING,
            Self::Failed(_) => FAILED,
        }
    }
}

type Key = (Tenant, BuildKey);
/// Whether a build has symbols, and the monotonic time of that answer.
type Entry = (Known, Duration);

#[derive(Clone)]
struct Weights;

impl Weighter<Key, Entry> for Weights {
    fn weight(&self, (tenant, build): &Key, (known, _): &Entry) -> u64 {
        let meta = match known {
            Known::Present(source) => {
                let meta = &source.meta;
                256 + meta.build_id.len() + (meta.addresses.len() + meta.first_names.len()) * 48
            }
            Known::Missing => 0,
            Known::Failed(error) => error.message.len(),
        };
        (256 + tenant.key().len() + build.key().len() + meta) as u64
    }
}

pub(super) struct Shared {
    pub(super) bucket: Arc<Bucket>,
    pub(super) clock: Clock,
    pub(super) metrics: Metrics,
    pub(super) chains: ChainCache,
    /// Maximum size of a name, in bytes.
    pub(super) string: usize,
    known: Cache<Key, Entry, Weights, FxBuildHasher, DefaultLifecycle<Key, Entry>>,
    next: AtomicU64,
    pub(super) missing: Arc<Missing>,
}

/// The symbols of all builds. Cheap to clone; clones share caches.
#[derive(Clone)]
pub(crate) struct Symbols(pub(super) Arc<Shared>);

impl Symbols {
    pub(crate) fn new(options: &ArchiveOptions, bucket: Arc<Bucket>, metrics: Metrics) -> Self {
        let known = OptionsBuilder::new()
            .shards(1)
            .estimated_items_capacity(4_096)
            .weight_capacity(KNOWN_BYTES)
            .build()
            .expect("every required option is set");
        let lifecycle = DefaultLifecycle::default();
        Self(Arc::new(Shared {
            bucket,
            clock: options.clock.clone(),
            metrics,
            chains: ChainCache::new(options.symbol_cache_bytes),
            string: options.profile.string,
            known: Cache::with_options(known, Weights, FxBuildHasher, lifecycle),
            next: AtomicU64::new(0),
            missing: Arc::default(),
        }))
    }

    /// A number that changes when this process learns of other symbols.
    pub(crate) fn revision(&self) -> u64 {
        self.0.next.load(Ordering::Relaxed)
    }

    /// What is known of a build, if necessary after a request to the bucket.
    pub(super) async fn known(&self, tenant: &Tenant, build_id: &str) -> Known {
        let key = (tenant.clone(), BuildKey::of(build_id));
        let before = self.0.known.get(&key);
        if let Some((known, since)) = &before
            && self.0.clock.monotonic().saturating_sub(*since) < known.lasts()
        {
            return known.clone();
        }
        match self.current(tenant, &key.1).await {
            Ok(Some(meta)) if meta.build_id == build_id => {
                Known::Present(self.remember(tenant, key.1, meta))
            }
            Ok(None) => {
                self.0.missing.note(tenant, build_id);
                self.note(key, Known::Missing)
            }
            // A long build id whose key is that of another one.
            Ok(Some(_)) => self.note(key, Known::Missing),
            Err(error) => {
                self.failed(&error);
                self.note(key, Known::Failed(error))
            }
        }
    }

    /// The builds that queries miss.
    pub(crate) fn missing(&self) -> &Arc<Missing> {
        &self.0.missing
    }

    /// Forgets what is known of a build.
    pub(super) fn forget(&self, tenant: &Tenant, build: &BuildKey) {
        self.0.known.remove(&(tenant.clone(), build.clone()));
    }

    fn note(&self, key: Key, known: Known) -> Known {
        let now = self.0.clock.monotonic();
        self.0.known.insert(key, (known.clone(), now));
        known
    }

    /// Notes that symbols could not be read, so that they are not tried again for some time.
    pub(super) fn broken(&self, source: &Source, error: &Error) {
        self.failed(error);
        let key = (source.tenant.clone(), source.build.clone());
        self.note(key, Known::Failed(error.clone()));
    }

    fn failed(&self, error: &Error) {
        let reason = error.kind.code().reason;
        let failures = &self.0.metrics.symbol_failures;
        failures.with_label_values(&[reason]).inc();
    }

    /// The meta object of a build, from the bucket.
    pub(super) async fn current(
        &self,
        tenant: &Tenant,
        build: &BuildKey,
    ) -> Result<Option<SymbolsMeta>> {
        let bucket = &self.0.bucket;
        let key = bucket.keys.symbols(tenant, build);
        match bucket.get_current(&key).await {
            Ok(bytes) => SymbolsMeta::read(&bytes)
                .map(Some)
                .map_err(|error| error.within(&key)),
            Err(ReadError::Gone) => Ok(None),
            Err(ReadError::Failed(error)) => Err(error),
        }
    }

    /// Notes that a build has these symbols. What was cached of the same ones stays valid.
    pub(super) fn remember(
        &self,
        tenant: &Tenant,
        build: BuildKey,
        meta: SymbolsMeta,
    ) -> Arc<Source> {
        let key = (tenant.clone(), build.clone());
        let source = match self.0.known.get(&key) {
            Some((Known::Present(source), _)) if source.meta == meta => source,
            _ => Arc::new(Source {
                number: self.0.next.fetch_add(1, Ordering::Relaxed),
                tenant: tenant.clone(),
                build,
                meta,
            }),
        };
        self.note(key, Known::Present(Arc::clone(&source)));
        source
    }
}
