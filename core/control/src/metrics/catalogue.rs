//! The metrics that a process of Davy exports, besides those of the archive.

use davy_archive::metrics::{MetricEntry, counter, gauge, histogram};

const OPERATION: &[&str] = &["member", "op"];

/// Every metric of a process, by name, without those of the archive.
const OWN: &[MetricEntry] = &[
    gauge(
        "davy_build_wait_seconds",
        &[],
        "Age of the build that has waited for a worker for longest; 0 without one",
    ),
    gauge(
        "davy_builds",
        &["state"],
        "Builds that wait for a worker (pending) or run (started)",
    ),
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
    gauge(
        "davy_gc_backlog",
        &["member", "state"],
        "Rows that the next run of a collector changes (due), and that workers have to destroy (doomed); counted up to 100,000",
    ),
    counter(
        "davy_gc_marked_total",
        &["member", "outcome"],
        "Rows that a collector changed: doomed containers and volumes, timed out ones, removed rows, moved builds and workers",
    ),
    gauge(
        "davy_gc_oldest_doomed_seconds",
        &["member"],
        "Time since the oldest container or volume that is not destroyed yet was marked; 0 without one",
    ),
    counter(
        "davy_gc_swept_total",
        &["member"],
        "Containers and volumes that workers have destroyed, by the collector that marked them",
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
        "davy_member_cgroup_cpu_seconds_total",
        &["member"],
        "CPU time of the cgroup of the child process that the member supervises, since its last start",
    ),
    counter(
        "davy_member_cgroup_io_bytes_total",
        &["member", "direction"],
        "Bytes that the cgroup of the child process read from or wrote to block devices",
    ),
    gauge(
        "davy_member_cgroup_memory_bytes",
        &["member"],
        "Memory of the cgroup of the child process, caches of files included",
    ),
    gauge(
        "davy_member_cgroup_memory_max_bytes",
        &["member"],
        "Limit of the memory of the child process; absent without one",
    ),
    gauge(
        "davy_member_cgroup_pids",
        &["member"],
        "Processes and threads of the cgroup of the child process",
    ),
    counter(
        "davy_member_cgroup_pressure_seconds_total",
        &["member", "resource"],
        "Time in which at least one process of the cgroup waited for cpu, memory or io; only with cgroup v2",
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
    counter(
        "davy_member_oom_kills_total",
        &["member"],
        "Processes of the child process's cgroup that the kernel killed because memory ran out",
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
    gauge(
        "davy_worker_containers",
        &["worker"],
        "Containers in the last report of the worker; a worker can have 250",
    ),
    gauge(
        "davy_worker_destroys",
        &["worker", "state"],
        "Destroys of the worker in flight, and those that exceeded their deadline (hung)",
    ),
    gauge(
        "davy_worker_disk_bytes",
        &["worker"],
        "Size of the file system of the worker's folder",
    ),
    gauge(
        "davy_worker_disk_free_bytes",
        &["worker"],
        "Free bytes of the file system of the worker's folder",
    ),
    gauge(
        "davy_worker_foreign_handles",
        &["worker"],
        "1 if the last report of the worker named handles of other workers, otherwise 0",
    ),
    gauge(
        "davy_worker_report_age_seconds",
        &["worker"],
        "Time since the last accepted report of the worker",
    ),
    histogram(
        "davy_worker_sync_duration_seconds",
        &["outcome"],
        "Duration of the transaction of a worker's report, by outcome",
    ),
    gauge(
        "davy_worker_volumes",
        &["worker"],
        "Volumes in the last report of the worker",
    ),
    gauge("davy_workers", &["state"], "Workers by state"),
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

/// Every metric that a process of Davy can export, by name.
pub fn metrics() -> impl Iterator<Item = &'static MetricEntry> {
    // All names of the archive begin with `davy_archive_`, which comes before every other name.
    davy_archive::metrics::METRICS.iter().chain(OWN)
}

/// The entry of a metric of the process.
pub(crate) fn entry(name: &str) -> Result<&'static MetricEntry, prometheus::Error> {
    MetricEntry::named(OWN, name)
}
