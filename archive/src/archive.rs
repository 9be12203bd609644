//! An archive: ingestion, queries and compaction on one bucket.

use crate::bucket::Bucket;
use crate::captures::Captures;
use crate::compact::{Compactor, LiveRules};
use crate::ingest::{self, Ingest, SymbolStore};
use crate::limits::LiveLimits;
use crate::metrics::{METRICS, MetricEntry, Metrics, register};
use crate::options::ArchiveOptions;
use crate::presence::Presence;
use crate::prices::Prices;
use crate::query::{self, Query};
use crate::recording::{RuleCollector, RuleRunner, RuleStore};
use crate::symbols::Symbols;
use axum::Router;
use davy_base::{Clock, Random, Timestamp};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The folder of the presence objects of those who evaluate rules.
const RULERS: &str = ".rulers";

/// An archive. Cheap to clone; clones share buffers, cache and metrics.
#[derive(Clone)]
pub struct Archive {
    ingest: Ingest,
    query: Query,
    compactor: Compactor,
    limits: LiveLimits,
    rules: RuleStore,
    /// Where the counters of rules are sent.
    remote_write: Option<String>,
    bucket: Arc<Bucket>,
    metrics: Metrics,
    prices: Arc<Prices>,
    clock: Clock,
    random: Arc<Mutex<Random>>,
}

impl Archive {
    /// Creates an archive and registers its metrics. Fails if `registry` already has metrics of
    /// these names.
    pub fn new(
        options: ArchiveOptions,
        registry: &prometheus::Registry,
    ) -> Result<Self, prometheus::Error> {
        let metrics = Metrics::new(registry)?;
        let bucket = Arc::new(Bucket::new(&options, metrics.clone()));
        let symbols = Symbols::new(&options, Arc::clone(&bucket), metrics.clone());
        let limits = LiveLimits::new(options.limits.clone(), metrics.clone());
        let (of, all, to) = (&options, &symbols, &bucket);
        let parts = || (Arc::clone(to), all.clone(), limits.clone());
        let archive = Self {
            ingest: Ingest::new(of.clone(), parts(), metrics.clone()),
            query: Query::new(of.clone(), parts(), metrics.clone()),
            compactor: Compactor::new(of.clone(), Arc::clone(to), metrics.clone()),
            rules: RuleStore::new(
                Arc::clone(&bucket),
                options.clock.clone(),
                options.recording_rules,
                options.recording_api,
            ),
            remote_write: options.recording_remote_write,
            limits,
            bucket,
            metrics,
            prices: Arc::new(options.prices),
            clock: options.clock,
            random: Arc::new(Mutex::new(options.random)),
        };
        archive.reloaded(true);
        Ok(archive)
    }

    /// States whether the configuration that was just read is valid.
    pub fn reloaded(&self, is_valid: bool) {
        self.metrics.reload_successful.set(i64::from(is_valid));
        if is_valid {
            let now = self.clock.now().millis() / 1_000;
            self.metrics.reload_success.set(now);
        }
    }

    /// Accepts pushes; [`Ingest::run`] is the member `archive.ingest`.
    pub fn ingest(&self) -> Ingest {
        self.ingest.clone()
    }

    /// Stores and describes the symbols of builds.
    pub fn symbols(&self) -> SymbolStore {
        SymbolStore::new(self.ingest.clone())
    }

    /// The recording rules.
    pub fn rules(&self) -> RuleStore {
        self.rules.clone()
    }

    /// Evaluates recording rules; [`RuleRunner::run`] is the member `archive.rules`. Registers the counters of rules.
    ///
    /// # Errors
    ///
    /// If they are registered already, or TLS of remote write cannot be configured.
    pub fn rule_runner(
        &self,
        registry: &prometheus::Registry,
    ) -> Result<RuleRunner, Box<dyn std::error::Error + Send + Sync>> {
        let counters = RuleCollector::default();
        registry.register(Box::new(counters.clone()))?;
        let entry = MetricEntry::named(METRICS, "davy_archive_rule_evaluations_total")?;
        let evaluations = prometheus::IntCounterVec::new(entry.opts(), entry.labels)?;
        let evaluations = register(registry, evaluations)?;
        let presence = self.presence(RULERS);
        let runner = RuleRunner::new(self.rules(), self.query(), presence, counters, evaluations);
        match &self.remote_write {
            None => Ok(runner),
            Some(url) => Ok(runner.with_remote_write(url.clone())?),
        }
    }

    /// The presence of a member that shares work through the bucket. `folder` begins with a dot.
    pub fn presence(&self, folder: &'static str) -> Presence {
        let own = format!("{:032x}", self.random_bits());
        Presence::new(Arc::clone(&self.bucket), self.clock.clone(), folder, own)
    }

    /// Merges segments into blocks; [`Compactor::run`] is the member `archive.compactor`.
    pub fn compactor(&self) -> Compactor {
        self.compactor.clone()
    }

    /// Captures of heaps.
    pub fn captures(&self) -> Captures {
        let random = Arc::clone(&self.random);
        Captures::new(Arc::clone(&self.bucket), self.clock.clone(), random)
    }

    /// Answers queries.
    pub fn query(&self) -> Query {
        self.query.clone()
    }

    /// The limits of tenants, which can be replaced at any time.
    pub fn limits(&self) -> &LiveLimits {
        &self.limits
    }

    /// The rules of retention, which can be replaced at any time.
    pub fn retention_rules(&self) -> &LiveRules {
        self.compactor.rules()
    }

    /// The time.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The time of the monotonic clock.
    pub(crate) fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    /// What the provider of the bucket charges.
    pub(crate) fn prices(&self) -> &Prices {
        &self.prices
    }

    /// Random bits.
    pub(crate) fn random_bits(&self) -> u128 {
        // No holder panics.
        let random = self.random.lock();
        random.unwrap_or_else(PoisonError::into_inner).next_u128()
    }

    /// The bucket.
    pub fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// The routes that agents push to, and those of `/api/v1/symbols`.
    pub fn ingest_router(&self) -> Router {
        ingest::router(self.ingest.clone())
    }

    /// The routes of `/api/v1/profiles`.
    pub fn query_router(&self) -> Router {
        query::router(self.query.clone())
    }
}

/// Method and path of every route, those of davy-connect included, and the name of its operation in toggles, metrics,
/// profiles and OpenAPI.
pub const OPERATIONS: &[(&str, &str, &str)] = &[
    ("POST", "/ingest", "Ingest"),
    ("POST", "/pyroscope/ingest", "Ingest"),
    ("POST", "/push.v1.PusherService/Push", "Push"),
    ("POST", "/v1development/profiles", "ExportProfiles"),
    (
        "POST",
        "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/{method}",
        "ExportProfiles",
    ),
    ("GET", "/api/v1/symbols", "ListSymbols"),
    ("GET", "/api/v1/symbols/{build_id}", "GetSymbols"),
    ("PUT", "/api/v1/symbols/{build_id}", "PutSymbols"),
    (
        "POST",
        "/debuginfo.v1alpha1.DebuginfoService/{method}",
        "DebuginfoService",
    ),
    (
        "POST",
        "/debuginfo.v1alpha1.DebuginfoService/Upload/{build_id}",
        "UploadDebugFile",
    ),
    ("GET", "/api/v1/archive", "GetArchive"),
    ("GET", "/api/v1/profiles/types", "ListProfileTypes"),
    ("GET", "/api/v1/profiles/labels", "ListProfileLabels"),
    ("GET", "/api/v1/profiles/series", "QuerySeries"),
    ("GET", "/api/v1/profiles/flamegraph", "QueryFlamegraph"),
    ("GET", "/api/v1/profiles/diff", "QueryDiff"),
    ("GET", "/api/v1/profiles/top", "QueryTop"),
    ("GET", "/api/v1/profiles/changes", "QueryChanges"),
    ("GET", "/api/v1/profiles/pprof", "QueryPprof"),
    ("GET", "/api/v1/profiles/folded", "QueryFolded"),
    ("GET", "/api/v1/profiles/svg", "QuerySvg"),
    (
        "GET",
        "/querier.v1.QuerierService/{method}",
        "QuerierService",
    ),
    (
        "POST",
        "/querier.v1.QuerierService/{method}",
        "QuerierService",
    ),
    (
        "POST",
        "/settings.v1.SettingsService/{method}",
        "SettingsService",
    ),
    (
        "POST",
        "/settings.v1.RecordingRulesService/{method}",
        "RecordingRulesService",
    ),
    ("POST", "/version.v1.Version/{method}", "VersionService"),
    (
        "POST",
        "/capabilities.v1.FeatureFlagsService/{method}",
        "FeatureFlagsService",
    ),
    ("GET", "/pyroscope/render", "Render"),
    ("GET", "/pyroscope/render-diff", "RenderDiff"),
    ("GET", "/pyroscope/label-values", "ListLabelValues"),
];
