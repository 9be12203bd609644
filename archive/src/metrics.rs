//! The archive's metrics.

mod catalogue;

pub use catalogue::{METRICS, MetricEntry, MetricKind, counter, gauge, histogram};

use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry,
};

/// Upper bounds of the histogram buckets of durations, in seconds.
const BOUNDS_SECONDS: [f64; 12] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

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
    pub(crate) compaction_backlog: IntGaugeVec,
    pub(crate) archivers: IntGauge,
    pub(crate) compactions: IntCounterVec,
    pub(crate) deleted: IntCounterVec,
    pub(crate) quarantined: IntCounterVec,
    pub(crate) spans_left_out: IntCounter,
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
    pub(crate) bucket_retries: IntCounterVec,
    pub(crate) bucket_retries_denied: IntCounterVec,
    pub(crate) bucket_hedges: IntCounterVec,
    pub(crate) bucket_bytes: IntCounterVec,
    pub(crate) cache_hits: IntCounterVec,
    pub(crate) cache_faults: IntCounterVec,
    pub(crate) cache_disk_bytes: IntGauge,
    pub(crate) cache_misses: IntCounter,
    pub(crate) limited: IntCounterVec,
    pub(crate) overflow_series: IntCounterVec,
    pub(crate) tenant_bytes: IntCounterVec,
    pub(crate) queries: IntGaugeVec,
    pub(crate) queries_cancelled: IntCounter,
    pub(crate) queries_refused: IntCounter,
    pub(crate) query_wait: Histogram,
    pub(crate) reload_successful: IntGauge,
    pub(crate) reload_success: IntGauge,
}

impl Metrics {
    /// Creates and registers the metrics.
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let entry = |name: &str| MetricEntry::named(METRICS, &format!("davy_archive_{name}"));
        let counter = |name| register(registry, IntCounter::with_opts(entry(name)?.opts())?);
        let gauge = |name| register(registry, IntGauge::with_opts(entry(name)?.opts())?);
        let counters = |name| {
            let entry = entry(name)?;
            register(registry, IntCounterVec::new(entry.opts(), entry.labels)?)
        };
        let gauges = |name| {
            let entry = entry(name)?;
            register(registry, IntGaugeVec::new(entry.opts(), entry.labels)?)
        };
        let flush_duration = entry("flush_duration_seconds")?.histogram_opts(&BOUNDS_SECONDS);
        let flush_duration = register(registry, Histogram::with_opts(flush_duration)?)?;
        let queries = entry("query_duration_seconds")?;
        let query_duration = queries.histogram_opts(&BOUNDS_SECONDS);
        let query_duration =
            register(registry, HistogramVec::new(query_duration, queries.labels)?)?;
        let query_wait = entry("query_wait_seconds")?.histogram_opts(&BOUNDS_SECONDS);
        let query_wait = register(registry, Histogram::with_opts(query_wait)?)?;
        Ok(Self {
            ingest_bytes: counter("ingest_bytes_total")?,
            windows: counter("windows_total")?,
            duplicate_windows: counter("duplicate_windows_total")?,
            rejected: counters("rejected_total")?,
            dropped_labels: counters("dropped_labels_total")?,
            repaired: counters("repaired_total")?,
            buffered_bytes: gauge("buffered_bytes")?,
            flush_duration,
            flush_errors: counter("flush_errors_total")?,
            flushed_bytes: counter("flushed_bytes_total")?,
            segments: gauge("segments")?,
            blocks: gauge("blocks")?,
            compaction_lag: gauge("compaction_lag_seconds")?,
            compaction_backlog: gauges("compaction_backlog")?,
            archivers: gauge("archivers")?,
            compactions: counters("compactions_total")?,
            deleted: counters("deleted_total")?,
            quarantined: counters("quarantined_total")?,
            spans_left_out: counter("spans_left_out_total")?,
            query_duration,
            query_partial: counter("query_partial_total")?,
            cache_bytes: gauge("cache_bytes")?,
            symbol_uploads: counters("symbols_uploads_total")?,
            symbol_bytes: counter("symbols_bytes_total")?,
            symbol_lookups: counters("symbols_lookups_total")?,
            symbol_cache_bytes: gauge("symbols_cache_bytes")?,
            symbol_failures: counters("symbols_failures_total")?,
            bucket_requests: counters("bucket_requests_total")?,
            bucket_errors: counters("bucket_errors_total")?,
            bucket_retries: counters("bucket_retries_total")?,
            bucket_retries_denied: counters("bucket_retries_denied_total")?,
            bucket_hedges: counters("bucket_hedges_total")?,
            bucket_bytes: counters("bucket_bytes_total")?,
            cache_hits: counters("cache_hits_total")?,
            cache_faults: counters("cache_faults_total")?,
            cache_disk_bytes: gauge("cache_disk_bytes")?,
            cache_misses: counter("cache_misses_total")?,
            limited: counters("limited_total")?,
            overflow_series: counters("overflow_series_total")?,
            tenant_bytes: counters("tenant_bytes_total")?,
            queries: gauges("queries")?,
            queries_cancelled: counter("queries_cancelled_total")?,
            queries_refused: counter("queries_refused_total")?,
            query_wait,
            reload_successful: gauge("reload_successful")?,
            reload_success: gauge("reload_success_timestamp_seconds")?,
        })
    }
}

/// Registers a metric and returns it.
pub fn register<T: Collector + Clone + 'static>(
    registry: &Registry,
    metric: T,
) -> Result<T, prometheus::Error> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}
