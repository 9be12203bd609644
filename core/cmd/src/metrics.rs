//! Figures for Prometheus that are read when somebody asks: members, the profiler, the process.

use davy_profiler::{Handle, Stats};
use davy_runtime::{State, States};
use prometheus::{Counter, CounterVec, Gauge, IntGaugeVec, Opts, Registry, TextEncoder};

/// The registry of the process, and what is filled in at each reading.
pub(crate) struct Metrics {
    registry: Registry,
    up: IntGaugeVec,
    profiler: Option<(Handle, Profiler)>,
}

impl Metrics {
    /// Adds the process's own figures to a registry.
    pub(crate) fn new(
        registry: Registry,
        profiler: Option<Handle>,
    ) -> Result<Self, prometheus::Error> {
        let up = IntGaugeVec::new(
            Opts::new("davy_member_up", "1 while the member is ready, otherwise 0"),
            &["member"],
        )?;
        registry.register(Box::new(up.clone()))?;
        registry.register(Box::new(
            prometheus::process_collector::ProcessCollector::for_self(),
        ))?;
        let profiler =
            profiler.map(|handle| Ok::<_, prometheus::Error>((handle, Profiler::new(&registry)?)));
        Ok(Self {
            registry,
            up,
            profiler: profiler.transpose()?,
        })
    }

    /// All figures in Prometheus's text format.
    pub(crate) fn text(&self, states: &States) -> Result<String, prometheus::Error> {
        for member in states.all() {
            self.up
                .with_label_values(&[&member.name])
                .set(i64::from(member.state == State::Ready));
        }
        if let Some((handle, figures)) = &self.profiler {
            figures.set(&handle.stats());
        }
        TextEncoder::new().encode_to_string(&self.registry.gather())
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
