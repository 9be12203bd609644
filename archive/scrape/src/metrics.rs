//! Metrics of a scraper. Their descriptions are in the catalogue of the archive.

use davy_archive::metrics::{METRICS, MetricEntry, register};
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry};

#[derive(Clone)]
pub(crate) struct Metrics {
    pub(crate) bytes: IntCounter,
    pub(crate) scrapers: IntGauge,
    pub(crate) sources_failing: IntGauge,
    pub(crate) targets: IntGaugeVec,
    pub(crate) up: IntGaugeVec,
    pub(crate) scrapes: IntCounterVec,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let entry = |name: &str| MetricEntry::named(METRICS, &format!("davy_archive_{name}"));
        let gauges = |name| {
            let entry = entry(name)?;
            register(registry, IntGaugeVec::new(entry.opts(), entry.labels)?)
        };
        let gauge = |name| register(registry, IntGauge::with_opts(entry(name)?.opts())?);
        let scrapes = entry("scrapes_total")?;
        Ok(Self {
            bytes: register(
                registry,
                IntCounter::with_opts(entry("scrape_bytes_total")?.opts())?,
            )?,
            scrapers: gauge("scrape_scrapers")?,
            sources_failing: gauge("scrape_sources_failing")?,
            targets: gauges("scrape_targets")?,
            up: gauges("scrape_up")?,
            scrapes: register(
                registry,
                IntCounterVec::new(scrapes.opts(), scrapes.labels)?,
            )?,
        })
    }
}
