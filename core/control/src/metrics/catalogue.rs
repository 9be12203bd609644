//! Every metric that a process of Davy can export.

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

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> MetricEntry {
    entry(MetricKind::Counter, name, labels, help)
}

const fn gauge(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> MetricEntry {
    entry(MetricKind::Gauge, name, labels, help)
}

const fn histogram(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> MetricEntry {
    entry(MetricKind::Histogram, name, labels, help)
}

const OPERATION: &[&str] = &["member", "op"];

/// Every metric, by name.
pub const METRICS: &[MetricEntry] = &[
    gauge(
        "davy_archive_blocks",
        &[],
        "Blocks at the last run of the compactor.",
    ),
    counter(
        "davy_archive_bucket_errors_total",
        &["request"],
        "Failed requests to the bucket, by operation.",
    ),
    counter(
        "davy_archive_bucket_requests_total",
        &["request"],
        "Requests to the bucket, by operation.",
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
        "davy_archive_deleted_total",
        &["kind"],
        "Deleted segments and blocks that another block covers, by kind.",
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
    counter(
        "davy_archive_rejected_total",
        &["reason"],
        "Refused pushes, by reason.",
    ),
    counter(
        "davy_archive_repaired_total",
        &["what"],
        "Parts of accepted profiles that were truncated, escaped or skipped, by what they are.",
    ),
    gauge(
        "davy_archive_segments",
        &[],
        "Segments that no block covers, at the last run of the compactor.",
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
    counter("davy_archive_windows_total", &[], "Acknowledged windows."),
    gauge(
        "davy_db_connections",
        &["member", "state"],
        "Database connections in use, budget, and queries waiting for a connection, by state",
    ),
    counter("davy_db_errors_total", OPERATION, "Failed database queries"),
    counter("davy_db_queries_total", OPERATION, "Database queries"),
    histogram(
        "davy_db_query_duration_seconds",
        OPERATION,
        "Duration of queries, including the wait for a connection",
    ),
    gauge(
        "davy_db_up",
        &[],
        "1 while the database is reachable, otherwise 0",
    ),
    histogram(
        "davy_endpoint_duration_seconds",
        OPERATION,
        "Time from a request to the head of its response",
    ),
    gauge(
        "davy_endpoint_in_flight",
        OPERATION,
        "Requests whose response is not sent yet",
    ),
    counter(
        "davy_endpoint_refused_total",
        &["member", "op", "reason"],
        "Requests refused: endpoint disabled, limit reached, or slot time exceeded",
    ),
    counter(
        "davy_endpoint_requests_total",
        &["member", "op", "status"],
        "Requests answered",
    ),
    counter(
        "davy_http_refused_total",
        &["reason"],
        "Requests refused before routing, by reason",
    ),
    counter(
        "davy_member_alloc_bytes_total",
        OPERATION,
        "Bytes allocated",
    ),
    counter(
        "davy_member_cpu_seconds_total",
        OPERATION,
        "CPU time, measured at each poll",
    ),
    gauge(
        "davy_member_heap_bytes",
        OPERATION,
        "Live heap, estimated from samples",
    ),
    gauge(
        "davy_member_last_run_seconds",
        &["member"],
        "Unix time of the last successful run of the periodic member in the fleet, in seconds",
    ),
    counter(
        "davy_member_leaked_tasks_total",
        &["member"],
        "Tasks that outlived their member and were cancelled",
    ),
    histogram(
        "davy_member_poll_duration_seconds",
        OPERATION,
        "Duration of polls",
    ),
    counter("davy_member_restarts_total", &["member"], "Restarts"),
    gauge(
        "davy_member_run_duration_seconds",
        &["member", "outcome"],
        "Duration of the last run of the periodic member, by outcome",
    ),
    gauge("davy_member_tasks", OPERATION, "Live tasks"),
    gauge(
        "davy_member_up",
        &["member"],
        "1 while the member is ready, otherwise 0",
    ),
    gauge(
        "davy_profiler_ack_delay_seconds",
        &[],
        "Time from the end of the last acknowledged window to its acknowledgement",
    ),
    counter(
        "davy_profiler_dropped_total",
        &["kind"],
        "Samples, windows, tags and stacks dropped by the profiler, by kind",
    ),
    counter(
        "davy_profiler_overhead_seconds_total",
        &["part"],
        "CPU time of the profiler itself, by part",
    ),
    counter("davy_profiler_samples_total", &[], "CPU samples taken"),
    gauge(
        "davy_profiler_spool_bytes",
        &[],
        "Bytes of windows that are not acknowledged yet",
    ),
    gauge("davy_profiler_threads", &[], "Sampled threads"),
    gauge(
        "davy_profiler_threads_unsampled",
        &[],
        "Threads missing from the CPU profile; the log has the reason",
    ),
    counter(
        "davy_profiler_windows_total",
        &[],
        "Windows acknowledged by an archiver",
    ),
    counter(
        "process_cpu_seconds_total",
        &[],
        "Total user and system CPU time spent in seconds.",
    ),
    gauge(
        "process_max_fds",
        &[],
        "Maximum number of open file descriptors.",
    ),
    gauge("process_open_fds", &[], "Number of open file descriptors."),
    gauge(
        "process_resident_memory_bytes",
        &[],
        "Resident memory size in bytes.",
    ),
    gauge(
        "process_start_time_seconds",
        &[],
        "Start time of the process since unix epoch in seconds.",
    ),
    gauge(
        "process_threads",
        &[],
        "Number of OS threads in the process.",
    ),
    gauge(
        "process_virtual_memory_bytes",
        &[],
        "Virtual memory size in bytes.",
    ),
];
