//! Metrics of the stream.

use davy_archive::metrics::{METRICS, MetricEntry, register};
use prometheus::{Counter, GaugeVec, IntCounter, IntCounterVec, IntGauge, Registry};

#[derive(Clone)]
pub(crate) struct Metrics {
    pub(crate) connects: IntCounter,
    pub(crate) dropped: IntCounterVec,
    pub(crate) gap: Counter,
    pub(crate) last_line: GaugeVec,
    pub(crate) lines: IntCounterVec,
    pub(crate) listening: IntGauge,
    pub(crate) samples: IntCounterVec,
    pub(crate) windows: IntCounter,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let entry =
            |name: &str| MetricEntry::named(METRICS, &format!("davy_archive_arclamp_{name}"));
        let counters = |name| {
            let entry = entry(name)?;
            register(registry, IntCounterVec::new(entry.opts(), entry.labels)?)
        };
        let one = |name| register(registry, IntCounter::with_opts(entry(name)?.opts())?);
        let last_line = entry("last_line_timestamp_seconds")?;
        let last_line = GaugeVec::new(last_line.opts(), last_line.labels)?;
        let gap = Counter::with_opts(entry("gap_seconds_total")?.opts())?;
        let listening = IntGauge::with_opts(entry("listening")?.opts())?;
        Ok(Self {
            connects: one("connects_total")?,
            dropped: counters("dropped_lines_total")?,
            gap: register(registry, gap)?,
            last_line: register(registry, last_line)?,
            lines: counters("lines_total")?,
            listening: register(registry, listening)?,
            samples: counters("samples_total")?,
            windows: one("windows_total")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_of_the_catalogue_is_exported() {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).expect("new");
        for of in [&metrics.lines, &metrics.samples] {
            of.with_label_values(&["excimer"]).inc();
        }
        metrics
            .dropped
            .with_label_values(&["excimer", "malformed"])
            .inc();
        metrics.last_line.with_label_values(&["excimer"]).set(1.0);
        let families = registry.gather();
        let names: Vec<_> = families
            .iter()
            .map(prometheus::proto::MetricFamily::name)
            .collect();
        let listed = METRICS.iter().map(|entry| entry.name);
        let listed: Vec<_> = listed
            .filter(|name| name.starts_with("davy_archive_arclamp_"))
            .collect();
        assert_eq!(names, listed);
    }
}
