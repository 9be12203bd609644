//! Metrics in Prometheus's text format: those of a registry, and those of members, which are read from
//! their usage at each scrape.

mod catalogue;
mod families;
mod merge;

pub use catalogue::{METRICS, MetricEntry, MetricKind};

use crate::control::Control;
use davy_profiler::{Handle, Stats};
use futures_util::future::BoxFuture;
use prometheus::proto::MetricFamily;
use prometheus::{Counter, CounterVec, Gauge, Opts, Registry, TextEncoder};
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
        families.extend(families::of_members(control, &self.process).await);
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
        let name = |name: &str| format!("davy_profiler_{name}");
        let metrics = Self {
            samples: Counter::new(name("samples_total"), "CPU samples taken")?,
            dropped: CounterVec::new(
                Opts::new(
                    name("dropped_total"),
                    "Samples, windows, tags and stacks dropped by the profiler, by kind",
                ),
                &["kind"],
            )?,
            overhead: CounterVec::new(
                Opts::new(
                    name("overhead_seconds_total"),
                    "CPU time of the profiler itself, by part",
                ),
                &["part"],
            )?,
            windows: Counter::new(name("windows_total"), "Windows acknowledged by an archiver")?,
            spool_bytes: Gauge::new(
                name("spool_bytes"),
                "Bytes of windows that are not acknowledged yet",
            )?,
            ack_delay: Gauge::new(
                name("ack_delay_seconds"),
                "Time from the end of the last acknowledged window to its acknowledgement",
            )?,
            threads: Gauge::new(name("threads"), "Sampled threads")?,
            threads_unsampled: Gauge::new(
                name("threads_unsampled"),
                "Threads missing from the CPU profile; the log has the reason",
            )?,
        };
        registry.register(Box::new(metrics.samples.clone()))?;
        registry.register(Box::new(metrics.dropped.clone()))?;
        registry.register(Box::new(metrics.overhead.clone()))?;
        registry.register(Box::new(metrics.windows.clone()))?;
        registry.register(Box::new(metrics.spool_bytes.clone()))?;
        registry.register(Box::new(metrics.ack_delay.clone()))?;
        registry.register(Box::new(metrics.threads.clone()))?;
        registry.register(Box::new(metrics.threads_unsampled.clone()))?;
        Ok(metrics)
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
