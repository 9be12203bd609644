//! An archive: its parts on one bucket.

use crate::bucket::Bucket;
use crate::compact::Compactor;
use crate::ingest::{self, Ingest};
use crate::metrics::Metrics;
use crate::options::ArchiveOptions;
use crate::query::{self, Query};
use axum::Router;
use std::sync::Arc;

/// An archive. Cheap to clone; clones share buffers, cache and metrics.
#[derive(Clone)]
pub struct Archive {
    ingest: Ingest,
    query: Query,
    compactor: Compactor,
    bucket: Arc<Bucket>,
}

impl Archive {
    /// An archive on a bucket; its metrics go into `registry`, which must not have them already.
    pub fn new(
        options: ArchiveOptions,
        registry: &prometheus::Registry,
    ) -> Result<Self, prometheus::Error> {
        let metrics = Metrics::new(registry)?;
        let bucket = Arc::new(Bucket::new(
            Arc::clone(&options.bucket),
            &options.prefix,
            options.bucket_timeout,
            options.cache_bytes,
            metrics.clone(),
        ));
        Ok(Self {
            ingest: Ingest::new(options.clone(), Arc::clone(&bucket), metrics.clone()),
            query: Query::new(options.clone(), Arc::clone(&bucket), metrics.clone()),
            compactor: Compactor::new(options, Arc::clone(&bucket), metrics),
            bucket,
        })
    }

    /// Takes pushes; [`Ingest::run`] is the member `archive.ingest`.
    pub fn ingest(&self) -> Ingest {
        self.ingest.clone()
    }

    /// Compacts; [`Compactor::run`] is the member `archive.compactor`.
    pub fn compactor(&self) -> Compactor {
        self.compactor.clone()
    }

    /// Answers queries.
    pub fn query(&self) -> Query {
        self.query.clone()
    }

    /// The bucket.
    pub fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// The routes that agents push to.
    pub fn ingest_router(&self) -> Router {
        ingest::router(self.ingest.clone())
    }

    /// The routes of `/api/v1/profiles`.
    pub fn query_router(&self) -> Router {
        query::router(self.query.clone())
    }
}

/// Every route: method, path, and the operation's name in toggles, metrics, profiles and OpenAPI.
pub const OPERATIONS: &[(&str, &str, &str)] = &[
    ("POST", "/ingest", "Ingest"),
    ("POST", "/pyroscope/ingest", "Ingest"),
    ("POST", "/push.v1.PusherService/Push", "Push"),
    ("GET", "/api/v1/profiles/types", "ListProfileTypes"),
    ("GET", "/api/v1/profiles/labels", "ListProfileLabels"),
    ("GET", "/api/v1/profiles/series", "QuerySeries"),
    ("GET", "/api/v1/profiles/flamegraph", "QueryFlamegraph"),
    ("GET", "/api/v1/profiles/diff", "QueryDiff"),
    ("GET", "/api/v1/profiles/top", "QueryTop"),
    ("GET", "/api/v1/profiles/pprof", "QueryPprof"),
    ("GET", "/api/v1/profiles/folded", "QueryFolded"),
    ("GET", "/api/v1/profiles/svg", "QuerySvg"),
];
