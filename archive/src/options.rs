//! Options of an archive.

use crate::limits::LimitTable;
use crate::plan::Policy;
use crate::plan::retention::Retention;
use crate::plan::rules::RetentionRule;
use crate::prices::Prices;
use crate::recording_rule::RecordingRule;
use davy_base::{Clock, Random};
use davy_bucket::{ClientOptions, DiskCache, OpenBucket};
use davy_profile::Limits;
use object_store::ObjectStore;
use std::sync::Arc;
use std::time::Duration;

/// Options of an archive. Start from [`ArchiveOptions::new`] and change fields.
#[derive(Clone, Debug)]
pub struct ArchiveOptions {
    /// The bucket.
    pub bucket: Arc<dyn ObjectStore>,
    /// What `bucket` was opened from: its interface for large objects, and its URL for error messages.
    /// Without it, requests are not retried.
    pub opened: Option<OpenBucket>,
    /// Prefix of all keys in the bucket, such as `davy/prod`.
    pub prefix: String,
    /// Source of time and timers.
    pub clock: Clock,
    /// Source of randomness, for the names of segments.
    pub random: Random,
    /// Limits of one profile.
    pub profile: Limits,
    /// Maximum size of a request body, in bytes.
    pub body_bytes: usize,
    /// How long a request body may pause.
    pub body_idle: Duration,
    /// How long the whole request body may take.
    pub body_total: Duration,
    /// How long an open segment collects windows before it is written.
    pub flush_interval: Duration,
    /// Memory of all open segments, in bytes, at which they are written before the interval ends;
    /// about ten times the size of the objects.
    pub flush_bytes: usize,
    /// Memory of request bodies and open segments, in bytes, above which pushes get 429.
    pub buffer_bytes: usize,
    /// Maximum number of pushes that are decoded concurrently.
    pub decoders: usize,
    /// Maximum number of label sets of one profile's samples; above it, the labels with the most
    /// values are dropped.
    pub label_sets: usize,
    /// Maximum age of a pushed window.
    pub retention: Duration,
    /// How long each level is kept; windows for at least a day longer than they are accepted.
    pub levels: Retention,
    /// Which series are kept shorter or longer, until the rules are replaced.
    pub retention_rules: Vec<RetentionRule>,
    /// How far in the future a pushed window may begin.
    pub future: Duration,
    /// Time limits, retries and parts of requests to the bucket.
    pub requests: ClientOptions,
    /// What the provider of the bucket charges.
    pub prices: Prices,
    /// Size of the cache of object pieces, in bytes.
    pub cache_bytes: usize,
    /// Cache of object pieces on disk, for what is no longer in memory.
    pub disk: Option<DiskCache>,
    /// Maximum size of a symbol index after decompression, in bytes.
    pub symbol_index_bytes: usize,
    /// Size of the cache of functions by build and address, in bytes.
    pub symbol_cache_bytes: usize,
    /// The limits of tenants, until they are replaced.
    pub limits: LimitTable,
    /// Maximum number of queries that run concurrently; more wait.
    pub queries: usize,
    /// Maximum number of queries that wait.
    pub queued_queries: usize,
    /// Maximum number of nodes of a merged tree; above it, the smallest are folded into their
    /// parents.
    pub query_nodes: usize,
    /// Maximum number of series of one response; above it, the smallest are left out and counted.
    pub query_series: usize,
    /// Maximum number of points of one series.
    pub query_points: usize,
    /// Time between two rounds of the compactor.
    pub compact_interval: Duration,
    /// Recording rules of the configuration.
    pub recording_rules: Vec<RecordingRule>,
    /// Whether recording rules can be stored in the bucket.
    pub recording_api: bool,
    /// The URL to which the counters of recording rules are sent by remote write of Prometheus, if any.
    pub recording_remote_write: Option<String>,
    /// Version of the writer, which is part of the names of blocks: another version writes other blocks from the same
    /// inputs.
    pub writer: String,
    /// When the compactor merges and deletes.
    pub policy: Policy,
    /// Maximum number of rows that a merge holds in memory.
    pub merge_rows: usize,
    /// Memory of the services that a merge holds in memory, in bytes.
    pub merge_bytes: usize,
    /// Maximum number of values of spans that a block has of a service; above it, whole traces are left out.
    pub span_rows: usize,
}

impl ArchiveOptions {
    /// The defaults, with a bucket that was opened by its URL, and the prefix in it.
    pub fn of(opened: OpenBucket) -> Self {
        Self {
            prefix: opened.url.prefix.clone(),
            opened: Some(opened.clone()),
            ..Self::new(opened.store)
        }
    }

    /// The defaults, with this bucket.
    pub fn new(bucket: Arc<dyn ObjectStore>) -> Self {
        Self {
            bucket,
            opened: None,
            prefix: String::new(),
            clock: Clock::system(),
            random: Random::system(),
            profile: Limits::default(),
            body_bytes: 64 << 20,
            body_idle: Duration::from_secs(10),
            body_total: Duration::from_mins(1),
            flush_interval: Duration::from_secs(5),
            flush_bytes: 32 << 20,
            buffer_bytes: 128 << 20,
            decoders: 2,
            label_sets: 1_000,
            retention: Duration::from_hours(14 * 24),
            levels: Retention::default(),
            retention_rules: Vec::new(),
            future: Duration::from_mins(10),
            requests: ClientOptions::default(),
            prices: Prices::default(),
            cache_bytes: 32 << 20,
            disk: None,
            symbol_index_bytes: 256 << 20,
            symbol_cache_bytes: 32 << 20,
            limits: LimitTable::default(),
            queries: 4,
            queued_queries: 64,
            query_nodes: 1_000_000,
            query_series: 1_000,
            query_points: 11_000,
            compact_interval: Duration::from_secs(30),
            recording_rules: Vec::new(),
            recording_api: false,
            recording_remote_write: None,
            writer: env!("CARGO_PKG_VERSION").to_owned(),
            policy: Policy::default(),
            merge_rows: 2_000_000,
            merge_bytes: 64 << 20,
            span_rows: 1 << 20,
        }
    }
}
