//! What each metric of the archive is: name, type, labels and help text.

use prometheus::{HistogramOpts, Opts};

/// A metric family.
#[derive(Clone, Copy, Debug)]
pub struct MetricEntry {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: MetricKind,
    /// Its labels, besides `process`.
    pub labels: &'static [&'static str],
    /// Its help text.
    pub help: &'static str,
}

/// The type of a metric family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows, and starts at 0 with the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts of observations by size.
    Histogram,
}

impl MetricKind {
    /// Its name in `# TYPE`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl MetricEntry {
    /// The unit of its values, from its name.
    pub fn unit(&self) -> &'static str {
        let base = self.name.strip_suffix("_total").unwrap_or(self.name);
        if base.ends_with("_seconds") {
            "seconds"
        } else if base.ends_with("_bytes") {
            "bytes"
        } else {
            "count"
        }
    }

    /// The entry with this name.
    ///
    /// # Errors
    ///
    /// If there is none, so that every exported metric is documented.
    pub fn named(
        entries: &'static [MetricEntry],
        name: &str,
    ) -> Result<&'static Self, prometheus::Error> {
        let found = entries.iter().find(|entry| entry.name == name);
        found.ok_or_else(|| prometheus::Error::Msg(format!("metric {name} is not in METRICS")))
    }

    /// Name and help text.
    pub fn opts(&self) -> Opts {
        Opts::new(self.name, self.help)
    }

    /// Name, help text and upper bounds of the buckets.
    pub fn histogram_opts(&self, bounds: &[f64]) -> HistogramOpts {
        HistogramOpts::new(self.name, self.help).buckets(bounds.to_vec())
    }
}

const fn entry(
    kind: MetricKind,
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> MetricEntry {
    MetricEntry {
        name,
        kind,
        labels,
        help,
    }
}

/// A counter.
pub const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> MetricEntry {
    entry(MetricKind::Counter, name, labels, help)
}

/// A gauge.
pub const fn gauge(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> MetricEntry {
    entry(MetricKind::Gauge, name, labels, help)
}

/// A histogram.
pub const fn histogram(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> MetricEntry {
    entry(MetricKind::Histogram, name, labels, help)
}

/// Every metric of the archive, by name.
pub const METRICS: &[MetricEntry] = &[
    gauge(
        "davy_archive_archivers",
        &[],
        "Archivers that share the compaction of the bucket.",
    ),
    counter(
        "davy_archive_arclamp_connects_total",
        &[],
        "Subscriptions to Redis that succeeded; each after the first was preceded by a lost connection",
    ),
    counter(
        "davy_archive_arclamp_dropped_lines_total",
        &["channel", "reason"],
        "Lines that were not stored, by reason: malformed, too_long, backlog (the archiver did not accept windows for too long), refused (by the archiver), no_lease (the database could not be reached, so that another process may have counted them)",
    ),
    counter(
        "davy_archive_arclamp_gap_seconds_total",
        &[],
        "Time, at most, in which no process counted what was published, because of a lost connection, an unreachable database or a change of the process",
    ),
    gauge(
        "davy_archive_arclamp_last_line_timestamp_seconds",
        &["channel"],
        "Unix time of the last line of a channel, 0 if there was none",
    ),
    counter(
        "davy_archive_arclamp_lines_total",
        &["channel"],
        "Lines that were received",
    ),
    gauge(
        "davy_archive_arclamp_listening",
        &[],
        "1 in the process that is subscribed to the channels and has the lease, 0 in others",
    ),
    counter(
        "davy_archive_arclamp_samples_total",
        &["channel"],
        "Samples of the lines that were received: the sum of their counts",
    ),
    counter(
        "davy_archive_arclamp_windows_total",
        &[],
        "Windows that the archiver acknowledged",
    ),
    gauge(
        "davy_archive_blocks",
        &[],
        "Blocks at the last run of the compactor.",
    ),
    counter(
        "davy_archive_bucket_bytes_total",
        &["request", "level", "member"],
        "Bytes of objects read from and written to the bucket, by operation (get, put), level of the object and \
         member.",
    ),
    counter(
        "davy_archive_bucket_errors_total",
        &["request", "level", "reason"],
        "Requests to the bucket that failed permanently, by operation, level of the object and reason.",
    ),
    counter(
        "davy_archive_bucket_hedges_total",
        &["answer"],
        "Reads that were sent twice because the answer was late, by the answer that came first.",
    ),
    counter(
        "davy_archive_bucket_requests_total",
        &["request", "level", "member"],
        "Requests to the bucket, including retries and those for tokens, by operation, level of the object and \
         member.",
    ),
    counter(
        "davy_archive_bucket_retries_denied_total",
        &["request"],
        "Failed requests to the bucket that were not retried because the retry budget was spent, by operation.",
    ),
    counter(
        "davy_archive_bucket_retries_total",
        &["request", "reason"],
        "Retries of requests to the bucket, by operation and reason.",
    ),
    gauge(
        "davy_archive_buffered_bytes",
        &[],
        "Memory of request bodies and open segments.",
    ),
    gauge(
        "davy_archive_cache_bytes",
        &[],
        "Bytes of cached pieces of objects.",
    ),
    gauge(
        "davy_archive_cache_disk_bytes",
        &[],
        "Bytes of pieces of objects that are cached on disk.",
    ),
    counter(
        "davy_archive_cache_faults_total",
        &["reason"],
        "Pieces of objects that were damaged in the cache on disk (damaged) or could not be written to it (unwritten), \
         and pieces that were read again because they arrived damaged (reread).",
    ),
    counter(
        "davy_archive_cache_hits_total",
        &["tier"],
        "Reads of pieces of objects that a cache answered, by tier: memory or disk.",
    ),
    counter(
        "davy_archive_cache_misses_total",
        &[],
        "Reads of pieces of objects that the bucket answered.",
    ),
    gauge(
        "davy_archive_compaction_backlog",
        &["level"],
        "Hours, days and months that are due to be merged, by level.",
    ),
    gauge(
        "davy_archive_compaction_lag_seconds",
        &[],
        "Age of the oldest closed hour that still has uncompacted segments.",
    ),
    counter(
        "davy_archive_compactions_total",
        &["result"],
        "Merges, by result.",
    ),
    counter(
        "davy_archive_debug_files_total",
        &["source", "result"],
        "Debug files that were uploaded or fetched from debuginfod, by source (upload, debuginfod) and result.",
    ),
    counter(
        "davy_archive_deleted_total",
        &["kind"],
        "Deleted segments and blocks that another block covers or whose retention is over, by kind.",
    ),
    counter(
        "davy_archive_dropped_labels_total",
        &["reason"],
        "Dropped sample labels, by reason.",
    ),
    counter(
        "davy_archive_duplicate_windows_total",
        &[],
        "Windows dropped as duplicates of a window in the open segment.",
    ),
    histogram(
        "davy_archive_flush_duration_seconds",
        &[],
        "Time to encode and write the open segments of one flush.",
    ),
    counter(
        "davy_archive_flush_errors_total",
        &[],
        "Segments that could not be written.",
    ),
    counter(
        "davy_archive_flushed_bytes_total",
        &[],
        "Bytes of written segments.",
    ),
    counter(
        "davy_archive_ingest_bytes_total",
        &[],
        "Bytes of acknowledged profiles, as received.",
    ),
    counter(
        "davy_archive_limited_total",
        &["tenant", "limit"],
        "Pushes and queries that were refused because of a limit of their tenant, by tenant and limit; tenants without \
         limits of their own are counted together.",
    ),
    counter(
        "davy_archive_overflow_series_total",
        &["tenant"],
        "Series of pushed windows whose labels were replaced by (overflow) because of limits.series, by tenant; tenants \
         without limits of their own are counted together.",
    ),
    counter(
        "davy_archive_quarantined_total",
        &["reason"],
        "Damaged segments and row groups that were copied to the quarantine and left out of a merge, by reason.",
    ),
    gauge(
        "davy_archive_queries",
        &["state"],
        "Queries that are running or waiting, by state.",
    ),
    counter(
        "davy_archive_queries_cancelled_total",
        &[],
        "Queries whose client left before the response.",
    ),
    counter(
        "davy_archive_queries_refused_total",
        &[],
        "Queries that were refused because too many were waiting.",
    ),
    histogram(
        "davy_archive_query_duration_seconds",
        &["op"],
        "Duration of queries.",
    ),
    counter(
        "davy_archive_query_partial_total",
        &[],
        "Query results with missing data.",
    ),
    histogram(
        "davy_archive_query_wait_seconds",
        &[],
        "Time that queries waited until they ran.",
    ),
    counter(
        "davy_archive_rejected_total",
        &["reason"],
        "Refused pushes, by reason.",
    ),
    gauge(
        "davy_archive_reload_success_timestamp_seconds",
        &[],
        "Time of the last start or reload with a valid configuration, in seconds since the epoch.",
    ),
    gauge(
        "davy_archive_reload_successful",
        &[],
        "1 if the configuration was valid at the last start or reload, 0 if the previous one was kept.",
    ),
    counter(
        "davy_archive_render_bytes_total",
        &["kind"],
        "Bytes of flame graphs, folded logs and pages that were written, after compression, by kind.",
    ),
    counter(
        "davy_archive_render_deleted_total",
        &[],
        "Flame graphs, folded logs and pages that were deleted because of their age.",
    ),
    histogram(
        "davy_archive_render_duration_seconds",
        &["level"],
        "Time to render an hour or a day of a tenant, by level.",
    ),
    counter(
        "davy_archive_render_focus_lost_total",
        &["focus"],
        "Graphs of a focus that matched in the hour or day before and match nothing any more, by focus.",
    ),
    gauge(
        "davy_archive_render_lag_seconds",
        &[],
        "Time since the oldest hour or day closed that is due and not rendered.",
    ),
    gauge(
        "davy_archive_render_newest_seconds",
        &["level"],
        "End of the newest hour or day that has flame graphs, in seconds since 1970, by level.",
    ),
    counter(
        "davy_archive_render_objects_total",
        &["kind"],
        "Flame graphs, folded logs and pages that were written, by kind.",
    ),
    counter(
        "davy_archive_render_periods_total",
        &["level", "outcome"],
        "Hours and days that were rendered, by level and outcome.",
    ),
    counter(
        "davy_archive_repaired_total",
        &["what"],
        "Parts of accepted profiles that were truncated, escaped or skipped, by what they are.",
    ),
    counter(
        "davy_archive_rule_evaluations_total",
        &["result"],
        "Evaluations of recording rules: ok or failed; minutes that were skipped because nobody evaluated them for an hour \
         (skipped), and label sets beyond 200 of a rule (overflow).",
    ),
    counter(
        "davy_archive_scrape_bytes_total",
        &[],
        "Bytes of profiles that the scraper received, after decompression.",
    ),
    gauge(
        "davy_archive_scrape_scrapers",
        &[],
        "Scrapers that share the targets.",
    ),
    gauge(
        "davy_archive_scrape_sources_failing",
        &[],
        "Sources of targets (files, DNS names, URLs, clusters) that this process cannot read; the log says why.",
    ),
    gauge(
        "davy_archive_scrape_targets",
        &["state"],
        "Targets that were discovered (all), and those that this process scrapes (own), by state.",
    ),
    gauge(
        "davy_archive_scrape_up",
        &["job", "instance"],
        "1 if the last scrape of the target succeeded, 0 if it failed; only in the process that scrapes it.",
    ),
    counter(
        "davy_archive_scrapes_total",
        &["job", "result"],
        "Scraped profiles, by job and result: stored, missing (the target does not have it), failed, refused (by the archiver), late \
         (the scrapes before took too long).",
    ),
    gauge(
        "davy_archive_segments",
        &[],
        "Segments that no block covers, at the last run of the compactor.",
    ),
    counter(
        "davy_archive_spans_left_out_total",
        &[],
        "Samples of spans that merges left out because a block had too many of a service.",
    ),
    counter(
        "davy_archive_symbols_bytes_total",
        &[],
        "Bytes of stored symbols.",
    ),
    gauge(
        "davy_archive_symbols_cache_bytes",
        &[],
        "Memory of cached functions by address.",
    ),
    counter(
        "davy_archive_symbols_failures_total",
        &["reason"],
        "Symbols that could not be read, by reason.",
    ),
    counter(
        "davy_archive_symbols_lookups_total",
        &["result"],
        "Addresses of builds with symbols that queries and merges looked up, by result.",
    ),
    counter(
        "davy_archive_symbols_uploads_total",
        &["result"],
        "Uploads of symbol indices, by result.",
    ),
    counter(
        "davy_archive_tenant_bytes_total",
        &["tenant"],
        "Bytes of request bodies that the rate of their tenant admitted, by tenant; tenants without limits of their own \
         are counted together.",
    ),
    counter("davy_archive_windows_total", &[], "Acknowledged windows."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metric_without_an_entry_is_an_error() {
        let found = MetricEntry::named(METRICS, "davy_archive_windows_total");
        assert_eq!(found.expect("listed").help, "Acknowledged windows.");
        let error = MetricEntry::named(METRICS, "davy_archive_widows_total");
        assert_eq!(
            error.expect_err("not listed").to_string(),
            "Error: metric davy_archive_widows_total is not in METRICS"
        );
    }
}
