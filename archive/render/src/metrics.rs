//! Metrics of a renderer. Their descriptions are in the catalogue of the archive.

use davy_archive::metrics::{METRICS, MetricEntry};
use prometheus::{HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry};

/// Upper bounds of the histogram buckets of durations, in seconds.
const BOUNDS_SECONDS: [f64; 10] = [0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0];

#[derive(Clone)]
pub(crate) struct Metrics {
    pub(crate) bytes: IntCounterVec,
    pub(crate) deleted: IntCounter,
    pub(crate) duration: HistogramVec,
    pub(crate) focus_lost: IntCounterVec,
    pub(crate) lag: IntGauge,
    pub(crate) newest: IntGaugeVec,
    pub(crate) objects: IntCounterVec,
    pub(crate) periods: IntCounterVec,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let entry =
            |name: &str| MetricEntry::named(METRICS, &format!("davy_archive_render_{name}"));
        let counters = |name| {
            let entry = entry(name)?;
            IntCounterVec::new(entry.opts(), entry.labels)
        };
        let duration = entry("duration_seconds")?;
        let newest = entry("newest_seconds")?;
        let metrics = Self {
            bytes: counters("bytes_total")?,
            deleted: IntCounter::with_opts(entry("deleted_total")?.opts())?,
            duration: HistogramVec::new(duration.histogram_opts(&BOUNDS_SECONDS), duration.labels)?,
            focus_lost: counters("focus_lost_total")?,
            lag: IntGauge::with_opts(entry("lag_seconds")?.opts())?,
            newest: IntGaugeVec::new(newest.opts(), newest.labels)?,
            objects: counters("objects_total")?,
            periods: counters("periods_total")?,
        };
        registry.register(Box::new(metrics.bytes.clone()))?;
        registry.register(Box::new(metrics.deleted.clone()))?;
        registry.register(Box::new(metrics.duration.clone()))?;
        registry.register(Box::new(metrics.focus_lost.clone()))?;
        registry.register(Box::new(metrics.lag.clone()))?;
        registry.register(Box::new(metrics.newest.clone()))?;
        registry.register(Box::new(metrics.objects.clone()))?;
        registry.register(Box::new(metrics.periods.clone()))?;
        Ok(metrics)
    }
}
