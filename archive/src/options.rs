//! What an archive is made with.

use crate::plan::Policy;
use davy_base::{Clock, Random};
use davy_profile::Limits;
use object_store::ObjectStore;
use std::sync::Arc;
use std::time::Duration;

/// Everything that an archive needs to know. The fields may be changed after [`ArchiveOptions::new`].
#[derive(Clone, Debug)]
pub struct ArchiveOptions {
    /// The bucket.
    pub bucket: Arc<dyn ObjectStore>,
    /// Path within the bucket.
    pub prefix: String,
    /// Time.
    pub clock: Clock,
    /// Randomness, for the names of segments.
    pub random: Random,
    /// How large one profile may be.
    pub profile: Limits,
    /// Bytes of one request's body, at most.
    pub body_bytes: usize,
    /// How long a body may send nothing.
    pub body_idle: Duration,
    /// How long a body may take.
    pub body_total: Duration,
    /// How long a window waits for company, at most.
    pub flush_interval: Duration,
    /// Open segments are written when they take this much memory together, which is about ten times
    /// the size of the objects.
    pub flush_bytes: usize,
    /// Bodies and open segments together may take this much memory; beyond, pushes get 429.
    pub buffer_bytes: usize,
    /// Profiles that are decoded at once.
    pub decoders: usize,
    /// Distinct label sets of one profile's samples; beyond, labels with the most values go.
    pub label_sets: usize,
    /// Windows that begin longer ago are refused.
    pub retention: Duration,
    /// Windows that begin further ahead are refused.
    pub future: Duration,
    /// How long one request to the bucket may take.
    pub bucket_timeout: Duration,
    /// Bytes of objects kept in memory for the next query.
    pub cache_bytes: usize,
    /// Queries that are worked on at once; more wait.
    pub queries: usize,
    /// Nodes of a query's tree; beyond, the smallest are folded into their parents.
    pub query_nodes: usize,
    /// Series of one answer; beyond, the smallest are left out and counted.
    pub query_series: usize,
    /// Points of one series.
    pub query_points: usize,
    /// Time between two looks of the compactor.
    pub compact_interval: Duration,
    /// When the compactor merges and deletes.
    pub policy: Policy,
    /// Rows that a merge holds in memory, at most.
    pub merge_rows: usize,
}

impl ArchiveOptions {
    /// The defaults on this bucket.
    pub fn new(bucket: Arc<dyn ObjectStore>) -> Self {
        Self {
            bucket,
            prefix: String::new(),
            clock: Clock::system(),
            random: Random::system(),
            profile: Limits::default(),
            body_bytes: 64 << 20,
            body_idle: Duration::from_secs(10),
            body_total: Duration::from_mins(1),
            flush_interval: Duration::from_secs(5),
            flush_bytes: 32 << 20,
            buffer_bytes: 128 << 20,
            decoders: 2,
            label_sets: 1_000,
            retention: Duration::from_hours(14 * 24),
            future: Duration::from_mins(10),
            bucket_timeout: Duration::from_secs(30),
            cache_bytes: 32 << 20,
            queries: 4,
            query_nodes: 1_000_000,
            query_series: 1_000,
            query_points: 11_000,
            compact_interval: Duration::from_secs(30),
            policy: Policy::default(),
            merge_rows: 2_000_000,
        }
    }
}
