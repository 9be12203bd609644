//! Figures for Prometheus: those that count for themselves, and those of members, which are read
//! from their usages when somebody asks.

mod families;
mod merge;

use crate::control::Control;
use davy_profiler::{Handle, Stats};
use futures_util::future::BoxFuture;
use prometheus::proto::MetricFamily;
use prometheus::{Counter, CounterVec, Gauge, Opts, Registry, TextEncoder};
use std::collections::HashMap;

/// Asks the child processes for their figures; each answers with its text.
pub type Children = Box<dyn Fn() -> BoxFuture<'static, Vec<String>> + Send + Sync>;

/// The registry of the process, and what is filled in at each reading.
pub struct Metrics {
    registry: Registry,
    process: String,
    profiler: Option<(Handle, Profiler)>,
    children: Option<Children>,
}

/// A registry whose every figure carries the name of the process.
pub fn registry(process: &str) -> Result<Registry, prometheus::Error> {
    let labels = HashMap::from([("process".to_owned(), process.to_owned())]);
    Registry::new_custom(None, Some(labels))
}

impl Metrics {
    /// Adds the process's own figures to a registry.
    pub fn new(
        registry: Registry,
        process: &str,
        profiler: Option<Handle>,
        children: Option<Children>,
    ) -> Result<Self, prometheus::Error> {
        registry.register(Box::new(
            prometheus::process_collector::ProcessCollector::for_self(),
        ))?;
        let profiler =
            profiler.map(|handle| Ok::<_, prometheus::Error>((handle, Profiler::new(&registry)?)));
        Ok(Self {
            registry,
            process: process.to_owned(),
            profiler: profiler.transpose()?,
            children,
        })
    }

    /// All figures of this process and of its children in Prometheus's text format.
    pub(crate) async fn text(&self, control: &Control) -> Result<String, prometheus::Error> {
        if let Some((handle, figures)) = &self.profiler {
            figures.set(&handle.stats());
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

/// The profiler counts for itself; these hold what it had counted at the last reading.
struct Profiler {
    samples: Counter,
    dropped: CounterVec,
    overhead: CounterVec,
    windows: Counter,
    spool_bytes: Gauge,
    ack_delay: Gauge,
    threads: Gauge,
}

impl Profiler {
    fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let name = |name: &str| format!("davy_profiler_{name}");
        let figures = Self {
            samples: Counter::new(name("samples_total"), "CPU samples taken")?,
            dropped: CounterVec::new(
                Opts::new(name("dropped_total"), "What the profiler dropped, by kind"),
                &["kind"],
            )?,
            overhead: CounterVec::new(
                Opts::new(
                    name("overhead_seconds_total"),
                    "CPU time of the profiler itself, by part",
                ),
                &["part"],
            )?,
            windows: Counter::new(
                name("windows_total"),
                "Windows that an archiver has acknowledged",
            )?,
            spool_bytes: Gauge::new(
                name("spool_bytes"),
                "Bytes that wait for their acknowledgement",
            )?,
            ack_delay: Gauge::new(
                name("ack_delay_seconds"),
                "From the end of the last acknowledged window to its acknowledgement",
            )?,
            threads: Gauge::new(name("threads"), "Threads that are sampled")?,
        };
        registry.register(Box::new(figures.samples.clone()))?;
        registry.register(Box::new(figures.dropped.clone()))?;
        registry.register(Box::new(figures.overhead.clone()))?;
        registry.register(Box::new(figures.windows.clone()))?;
        registry.register(Box::new(figures.spool_bytes.clone()))?;
        registry.register(Box::new(figures.ack_delay.clone()))?;
        registry.register(Box::new(figures.threads.clone()))?;
        Ok(figures)
    }

    fn set(&self, stats: &Stats) {
        let set = |counter: &Counter, value: f64| counter.inc_by((value - counter.get()).max(0.0));
        set(&self.samples, stats.samples as f64);
        set(&self.windows, stats.windows_pushed as f64);
        let dropped = &stats.dropped;
        for (kind, count) in [
            ("ring_full", dropped.ring_full),
            ("stray_signals", dropped.stray_signals),
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
        self.spool_bytes.set(stats.spool_bytes as f64);
        self.ack_delay
            .set(stats.ack_delay.unwrap_or_default().as_secs_f64());
        self.threads.set(stats.threads as f64);
    }
}
