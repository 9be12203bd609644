//! Metrics in Prometheus's text format: those of a registry, and those of members, which are read from
//! their usage at each scrape.

pub(crate) mod catalogue;
mod cgroups;
mod families;
mod merge;
mod workload;

use catalogue::entry;
pub use catalogue::metrics;
pub use davy_archive::metrics::MetricEntry;

use crate::control::Control;
use davy_archive::metrics::register;
use davy_profiler::{Handle, Stats};
use futures_util::future::BoxFuture;
use prometheus::proto::MetricFamily;
use prometheus::{Counter, CounterVec, Gauge, Registry, TextEncoder};
use std::collections::HashMap;

/// Scrapes the child processes; returns the text of each that responds.
pub type Children = Box<dyn Fn() -> BoxFuture<'static, Vec<String>> + Send + Sync>;

/// The metrics of a process and its children.
pub struct Metrics {
    registry: Registry,
    process: String,
    profiler: Option<(Handle, ProfilerMetrics)>,
    children: Option<Children>,
}

/// A registry that adds the label `process` to every metric.
pub fn registry(process: &str) -> Result<Registry, prometheus::Error> {
    let labels = HashMap::from([("process".to_owned(), process.to_owned())]);
    Registry::new_custom(None, Some(labels))
}

impl Metrics {
    /// Registers the metrics of the unix process and of the profiler.
    pub fn new(
        registry: Registry,
        process: &str,
        profiler: Option<Handle>,
        children: Option<Children>,
    ) -> Result<Self, prometheus::Error> {
        registry.register(Box::new(
            prometheus::process_collector::ProcessCollector::for_self(),
        ))?;
        let profiler = profiler
            .map(|handle| Ok::<_, prometheus::Error>((handle, ProfilerMetrics::new(&registry)?)));
        Ok(Self {
            registry,
            process: process.to_owned(),
            profiler: profiler.transpose()?,
            children,
        })
    }

    /// The metrics of this process and its children in Prometheus's text format.
    pub(crate) async fn text(&self, control: &Control) -> Result<String, prometheus::Error> {
        if let Some((handle, metrics)) = &self.profiler {
            metrics.set(&handle.stats());
        }
        let mut families: Vec<MetricFamily> = self.registry.gather();
        let report = control.report();
        let mut own = families::of_members(control, &report, &self.process).await?;
        cgroups::add(&mut own, &report)?;
        workload::add(&mut own, control, &report).await?;
        families.extend(own.into_vec());
        let own = TextEncoder::new().encode_to_string(&families)?;
        let Some(children) = &self.children else {
            return Ok(own);
        };
        let texts = children().await;
        Ok(merge::merge(std::iter::once(own).chain(texts)))
    }
}

/// The statistics of the profiler at the last scrape.
struct ProfilerMetrics {
    samples: Counter,
    dropped: CounterVec,
    overhead: CounterVec,
    windows: Counter,
    spool_bytes: Gauge,
    ack_delay: Gauge,
    threads: Gauge,
    threads_unsampled: Gauge,
}

impl ProfilerMetrics {
    fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name| register(registry, Counter::with_opts(entry(name)?.opts())?);
        let gauge = |name| register(registry, Gauge::with_opts(entry(name)?.opts())?);
        let counters = |name| {
            let entry = entry(name)?;
            register(registry, CounterVec::new(entry.opts(), entry.labels)?)
        };
        Ok(Self {
            samples: counter("davy_profiler_samples_total")?,
            dropped: counters("davy_profiler_dropped_total")?,
            overhead: counters("davy_profiler_overhead_seconds_total")?,
            windows: counter("davy_profiler_windows_total")?,
            spool_bytes: gauge("davy_profiler_spool_bytes")?,
            ack_delay: gauge("davy_profiler_ack_delay_seconds")?,
            threads: gauge("davy_profiler_threads")?,
            threads_unsampled: gauge("davy_profiler_threads_unsampled")?,
        })
    }

    fn set(&self, stats: &Stats) {
        let set = |counter: &Counter, value: f64| counter.inc_by((value - counter.get()).max(0.0));
        set(&self.samples, stats.samples as f64);
        set(&self.windows, stats.windows_pushed as f64);
        let dropped = &stats.dropped;
        for (kind, count) in [
            ("ring_full", dropped.ring_full),
            ("foreign_signals", dropped.foreign_signals),
            ("windows_overflow", dropped.windows_overflow),
            ("windows_refused", dropped.windows_refused),
            ("tags", dropped.tags),
            ("heap_live", stats.heap.live_dropped),
            ("heap_stacks", stats.heap.stacks_dropped),
        ] {
            set(&self.dropped.with_label_values(&[kind]), count as f64);
        }
        set(
            &self.overhead.with_label_values(&["handler"]),
            stats.handler_seconds,
        );
        set(
            &self.overhead.with_label_values(&["threads"]),
            stats.thread_seconds,
        );
        set(
            &self.overhead.with_label_values(&["children"]),
            stats.symbol_children_seconds,
        );
        self.spool_bytes.set(stats.spool_bytes as f64);
        self.ack_delay
            .set(stats.ack_delay.unwrap_or_default().as_secs_f64());
        self.threads.set(stats.threads as f64);
        self.threads_unsampled.set(stats.threads_unsampled as f64);
    }
}
