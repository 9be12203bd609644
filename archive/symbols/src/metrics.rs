//! Metrics of debug files. Their descriptions are in the catalogue of the archive.

use davy_archive::metrics::{METRICS, MetricEntry, register};
use prometheus::{IntCounterVec, Registry};

#[derive(Clone)]
pub(crate) struct Metrics {
    /// By source and result.
    pub(crate) files: IntCounterVec,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let files = MetricEntry::named(METRICS, "davy_archive_debug_files_total")?;
        Ok(Self {
            files: register(registry, IntCounterVec::new(files.opts(), files.labels)?)?,
        })
    }
}
