//! The archive's metrics.

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
};

/// The archive's metrics.
#[derive(Clone)]
pub(crate) struct Metrics {
    pub(crate) ingest_bytes: IntCounter,
    pub(crate) windows: IntCounter,
    pub(crate) duplicate_windows: IntCounter,
    pub(crate) rejected: IntCounterVec,
    pub(crate) dropped_labels: IntCounterVec,
    pub(crate) repaired: IntCounterVec,
    pub(crate) buffered_bytes: IntGauge,
    pub(crate) flush_duration: Histogram,
    pub(crate) flush_errors: IntCounter,
    pub(crate) flushed_bytes: IntCounter,
    pub(crate) segments: IntGauge,
    pub(crate) blocks: IntGauge,
    pub(crate) compaction_lag: IntGauge,
    pub(crate) compactions: IntCounterVec,
    pub(crate) deleted: IntCounterVec,
    pub(crate) query_duration: HistogramVec,
    pub(crate) query_partial: IntCounter,
    pub(crate) cache_bytes: IntGauge,
    pub(crate) symbol_uploads: IntCounterVec,
    pub(crate) symbol_bytes: IntCounter,
    pub(crate) symbol_lookups: IntCounterVec,
    pub(crate) symbol_cache_bytes: IntGauge,
    pub(crate) symbol_failures: IntCounterVec,
    pub(crate) bucket_requests: IntCounterVec,
    pub(crate) bucket_errors: IntCounterVec,
}

impl Metrics {
    /// Creates and registers the metrics.
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| {
            let metric = IntCounter::new(format!("davy_archive_{name}"), help)?;
            registry.register(Box::new(metric.clone()))?;
            Ok::<_, prometheus::Error>(metric)
        };
        let counters = |name: &str, help: &str, label: &str| {
            let metric =
                IntCounterVec::new(Opts::new(format!("davy_archive_{name}"), help), &[label])?;
            registry.register(Box::new(metric.clone()))?;
            Ok::<_, prometheus::Error>(metric)
        };
        let gauge = |name: &str, help: &str| {
            let metric = IntGauge::new(format!("davy_archive_{name}"), help)?;
            registry.register(Box::new(metric.clone()))?;
            Ok::<_, prometheus::Error>(metric)
        };
        let buckets = vec![
            0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
        ];
        let flush_duration = Histogram::with_opts(
            HistogramOpts::new(
                "davy_archive_flush_duration_seconds",
                "Time to encode and write the open segments of one flush.",
            )
            .buckets(buckets.clone()),
        )?;
        registry.register(Box::new(flush_duration.clone()))?;
        let query_duration = HistogramVec::new(
            HistogramOpts::new(
                "davy_archive_query_duration_seconds",
                "Duration of queries.",
            )
            .buckets(buckets),
            &["op"],
        )?;
        registry.register(Box::new(query_duration.clone()))?;
        Ok(Self {
            ingest_bytes: counter(
                "ingest_bytes_total",
                "Bytes of acknowledged profiles, as received.",
            )?,
            windows: counter("windows_total", "Acknowledged windows.")?,
            duplicate_windows: counter(
                "duplicate_windows_total",
                "Windows dropped as duplicates of a window in the open segment.",
            )?,
            rejected: counters("rejected_total", "Refused pushes, by reason.", "reason")?,
            dropped_labels: counters(
                "dropped_labels_total",
                "Dropped sample labels, by reason.",
                "reason",
            )?,
            repaired: counters(
                "repaired_total",
                "Parts of accepted profiles that were truncated, escaped or skipped, by what they are.",
                "what",
            )?,
            buffered_bytes: gauge(
                "buffered_bytes",
                "Memory of request bodies and open segments.",
            )?,
            flush_duration,
            flush_errors: counter("flush_errors_total", "Segments that could not be written.")?,
            flushed_bytes: counter("flushed_bytes_total", "Bytes of written segments.")?,
            segments: gauge(
                "segments",
                "Segments that no block covers, at the last run of the compactor.",
            )?,
            blocks: gauge("blocks", "Blocks at the last run of the compactor.")?,
            compaction_lag: gauge(
                "compaction_lag_seconds",
                "Age of the oldest closed hour that still has uncompacted segments.",
            )?,
            compactions: counters("compactions_total", "Merges, by result.", "result")?,
            deleted: counters(
                "deleted_total",
                "Deleted segments and blocks that another block covers, by kind.",
                "kind",
            )?,
            query_duration,
            query_partial: counter("query_partial_total", "Query results with missing data.")?,
            cache_bytes: gauge("cache_bytes", "Bytes of cached pieces of objects.")?,
            symbol_uploads: counters(
                "symbols_uploads_total",
                "Uploads of symbol indices, by result.",
                "result",
            )?,
            symbol_bytes: counter("symbols_bytes_total", "Bytes of stored symbols.")?,
            symbol_lookups: counters(
                "symbols_lookups_total",
                "Addresses of builds with symbols that queries and merges looked up, by result.",
                "result",
            )?,
            symbol_cache_bytes: gauge(
                "symbols_cache_bytes",
                "Memory of cached functions by address.",
            )?,
            symbol_failures: counters(
                "symbols_failures_total",
                "Symbols that could not be read, by reason.",
                "reason",
            )?,
            bucket_requests: counters(
                "bucket_requests_total",
                "Requests to the bucket, by operation.",
                "request",
            )?,
            bucket_errors: counters(
                "bucket_errors_total",
                "Failed requests to the bucket, by operation.",
                "request",
            )?,
        })
    }
}
