//! What is counted of requests: for metrics by the [`Meter`], and for one query or merge by a [`Usage`].

use crate::fault::FaultKind;
use object_store::path::Path;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// The kind of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequestKind {
    /// Reads an object or a range of it.
    Get,
    /// Writes an object or a part of it.
    Put,
    /// Lists names.
    List,
    /// Deletes objects.
    Delete,
    /// Asks for the size and the time of an object.
    Head,
}

impl RequestKind {
    /// The value of the label `request` in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Put => "put",
            Self::List => "list",
            Self::Delete => "delete",
            Self::Head => "head",
        }
    }
}

/// Receives counts. The level of an object follows from its key.
pub trait Meter: fmt::Debug + Send + Sync {
    /// HTTP requests of an attempt, those for tokens and further pages included; 1 for folders and memory.
    fn requests(&self, kind: RequestKind, key: &Path, requests: u64);
    /// A request that failed permanently.
    fn failed(&self, kind: RequestKind, key: &Path, reason: FaultKind);
    /// An attempt that is retried.
    fn retried(&self, kind: RequestKind, reason: FaultKind);
    /// An attempt that is not retried because the budget is spent.
    fn retry_denied(&self, kind: RequestKind);
    /// A read that was sent twice; `won` if the second answer came first.
    fn hedged(&self, won: bool);
    /// Bytes of objects that were written (put) or read (get).
    fn bytes(&self, kind: RequestKind, key: &Path, bytes: u64);
}

/// Counts nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoMeter;

impl Meter for NoMeter {
    fn requests(&self, _: RequestKind, _: &Path, _: u64) {}
    fn failed(&self, _: RequestKind, _: &Path, _: FaultKind) {}
    fn retried(&self, _: RequestKind, _: FaultKind) {}
    fn retry_denied(&self, _: RequestKind) {}
    fn hedged(&self, _: bool) {}
    fn bytes(&self, _: RequestKind, _: &Path, _: u64) {}
}

/// Requests and bytes of one query or merge. Cheap to clone; clones count together.
#[derive(Clone, Debug, Default)]
pub struct Usage(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    requests: AtomicU64,
    bytes: AtomicU64,
    hits: AtomicU64,
    hit_bytes: AtomicU64,
    decoded_bytes: AtomicU64,
    written_bytes: AtomicU64,
    /// The enclosing usage, which also counts everything that this one counts.
    outer: OnceLock<Usage>,
}

tokio::task_local! {
    static CURRENT: Usage;
}

impl Usage {
    /// Runs a future and counts its requests here and in the usage of the caller. Tasks that the future spawns are
    /// counted only if they are wrapped as well.
    pub async fn count<F: Future>(&self, future: F) -> F::Output {
        if let Some(outer) = Self::current().filter(|outer| !outer.is_within(self)) {
            let _ = self.0.outer.set(outer);
        }
        CURRENT.scope(self.clone(), future).await
    }

    /// This usage and its enclosing usages, innermost first.
    fn all(&self) -> impl Iterator<Item = &Arc<Counts>> {
        std::iter::successors(Some(self), |of| of.0.outer.get()).map(|of| &of.0)
    }

    /// Whether it is `other` or `other` encloses it.
    fn is_within(&self, other: &Self) -> bool {
        self.all().any(|of| Arc::ptr_eq(of, &other.0))
    }

    /// Adds to a count of the current task.
    fn add(to: impl Fn(&Counts) -> &AtomicU64, count: u64) {
        let _ = CURRENT.try_with(|usage| {
            for counts in usage.all() {
                to(counts).fetch_add(count, Ordering::Relaxed);
            }
        });
    }

    /// The usage that counts the current task.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// Requests to the object store, including retries and hedges.
    pub fn requests(&self) -> u64 {
        self.0.requests.load(Ordering::Relaxed)
    }

    /// Bytes read from the object store.
    pub fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// Reads that were served from a cache.
    pub fn hits(&self) -> u64 {
        self.0.hits.load(Ordering::Relaxed)
    }

    /// Bytes that were served from a cache.
    pub fn hit_bytes(&self) -> u64 {
        self.0.hit_bytes.load(Ordering::Relaxed)
    }

    /// Counts a read that was served from a cache.
    pub fn record_hit(bytes: usize) {
        Self::add(|counts| &counts.hits, 1);
        Self::add(|counts| &counts.hit_bytes, bytes as u64);
    }

    /// Bytes that were read, from the object store or a cache, and decompressed.
    pub fn decoded_bytes(&self) -> u64 {
        self.0.decoded_bytes.load(Ordering::Relaxed)
    }

    /// Counts bytes that are about to be decompressed, by their size afterwards.
    pub fn record_decoded(bytes: u64) {
        Self::add(|counts| &counts.decoded_bytes, bytes);
    }

    /// Bytes written to the object store.
    pub fn written_bytes(&self) -> u64 {
        self.0.written_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn record_written(bytes: u64) {
        Self::add(|counts| &counts.written_bytes, bytes);
    }

    pub(crate) fn record_requests(requests: u64) {
        Self::add(|counts| &counts.requests, requests);
    }

    pub(crate) fn record_bytes(bytes: u64) {
        Self::add(|counts| &counts.bytes, bytes);
    }
}
