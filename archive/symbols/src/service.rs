//! What uploads and fetches share.

use crate::answers::Answers;
use crate::metrics::Metrics;
use crate::options::DebugFileOptions;
use crate::spool::Spool;
use davy_archive::Archive;
use davy_archive::ingest::SymbolStore;
use prometheus::Registry;
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;

/// Uploads that are received concurrently; further ones get 429.
const UPLOADS: usize = 4;

pub(crate) struct Shared {
    pub(crate) symbols: SymbolStore,
    pub(crate) spool: Spool,
    pub(crate) urls: Vec<String>,
    pub(crate) client: reqwest::Client,
    pub(crate) metrics: Metrics,
    /// One child at a time.
    pub(crate) indexer: Semaphore,
    pub(crate) uploads: Semaphore,
    /// Builds that are not fetched again for some time.
    pub(crate) answers: Mutex<Answers>,
}

/// Takes debug files of uploads and from debuginfod. Cheap to clone.
#[derive(Clone)]
pub struct DebugFiles(pub(crate) Arc<Shared>);

impl DebugFiles {
    /// For this archive.
    ///
    /// # Errors
    ///
    /// If the metrics are registered already or TLS cannot be configured.
    pub fn new(
        archive: &Archive,
        options: DebugFileOptions,
        registry: &Registry,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let symbols = archive.symbols();
        let spool = Spool::new(options.folder, options.file_bytes);
        spool.clean(symbols.clock().now());
        Ok(Self(Arc::new(Shared {
            symbols,
            spool,
            urls: options.debuginfod_urls,
            client: davy_bucket::web_client()?,
            metrics: Metrics::new(registry)?,
            indexer: Semaphore::new(1),
            uploads: Semaphore::new(UPLOADS),
            answers: Mutex::default(),
        })))
    }

    /// Whether there is a server to fetch from.
    pub fn fetches(&self) -> bool {
        !self.0.urls.is_empty()
    }

    pub(crate) fn count(&self, source: &str, result: &str) {
        let files = &self.0.metrics.files;
        files.with_label_values(&[source, result]).inc();
    }
}
