//! The ingestion service: decodes pushes, adds them to open segments and waits for their write.

use super::add::add;
use super::batches::Batches;
use super::cardinality;
use super::decode::{self, Arrival, Decoded, decode};
use super::flush::Flusher;
use super::memory::{MemoryBudget, Reservation};
use super::open::{OpenSegments, Outcome};
use super::push::Push;
use crate::blocking::blocking;
use crate::bucket::Bucket;
use crate::error::{Error, ErrorKind, Result};
use crate::key::{Hour, Tenant};
use crate::limits::LiveLimits;
use crate::metrics::Metrics;
use crate::options::ArchiveOptions;
use crate::symbols::{Stored, Symbols, Upload};
use davy_base::Random;
use davy_profile::Limits;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::sync::CancellationToken;

struct Shared {
    options: ArchiveOptions,
    metrics: Metrics,
    memory: MemoryBudget,
    /// For the ids of arrivals.
    random: Mutex<Random>,
    flusher: Flusher,
    decoders: Semaphore,
    symbols: Symbols,
    limits: LiveLimits,
    /// One symbol index is converted at a time.
    converter: Semaphore,
}

/// Accepts pushes. Cheap to clone.
#[derive(Clone)]
pub struct Ingest(Arc<Shared>);

fn stopping() -> Error {
    Error::new(ErrorKind::Unavailable, "the archiver is stopping; retry")
}

impl Ingest {
    pub(crate) fn new(
        options: ArchiveOptions,
        (bucket, symbols, limits): (Arc<Bucket>, Symbols, LiveLimits),
        metrics: Metrics,
    ) -> Self {
        let mut random = options.random.clone();
        // The flusher continues the options' own sequence.
        let ids = Random::seeded(random.next_u64());
        let memory = MemoryBudget::new(options.buffer_bytes, metrics.buffered_bytes.clone());
        let flusher = Flusher {
            clock: options.clock.clone(),
            bucket,
            metrics: metrics.clone(),
            open: OpenSegments::new(memory.clone()),
            memory: memory.clone(),
            random: Mutex::new(random),
            interval: options.flush_interval,
            bytes: options.flush_bytes,
            accepting: watch::Sender::new(false),
            due: Notify::new(),
            hurried_push: Notify::new(),
            hurried: AtomicBool::new(false),
        };
        Self(Arc::new(Shared {
            random: Mutex::new(ids),
            decoders: Semaphore::new(options.decoders.max(1)),
            symbols,
            converter: Semaphore::new(1),
            limits,
            options,
            metrics,
            memory,
            flusher,
        }))
    }

    pub(super) fn options(&self) -> &ArchiveOptions {
        &self.0.options
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub(super) fn limits(&self) -> &LiveLimits {
        &self.0.limits
    }

    /// Maximum size of a request body, in bytes.
    pub fn body_bytes(&self) -> usize {
        self.0.options.body_bytes
    }

    /// Maximum size of all profiles of a request, unpacked, in bytes.
    pub fn unpacked_bytes(&self) -> usize {
        self.0.options.profile.bytes.saturating_mul(2)
    }

    /// Limits of one profile.
    pub fn profile_limits(&self) -> Limits {
        self.0.options.profile
    }

    /// Counts a refused push by the reason of its error.
    pub fn count_refusal(&self, error: &Error) {
        let reason = error.kind.code().reason;
        self.0.metrics.rejected.with_label_values(&[reason]).inc();
    }

    pub(super) fn symbols(&self) -> &Symbols {
        &self.0.symbols
    }

    /// Stores a symbol index. `reservation` is that of its bytes.
    pub(super) async fn store_symbols(
        &self,
        tenant: &Tenant,
        upload: Upload,
        mut reservation: Reservation,
    ) -> Result<Stored> {
        let converter = &self.0.converter;
        let _permit = converter.acquire().await.map_err(|_| stopping())?;
        let grow = move |bytes| reservation.grow(bytes);
        self.0.symbols.store(tenant, upload, grow).await
    }

    pub(super) fn reserve(&self) -> Reservation {
        self.0.memory.reserve()
    }

    /// Stores the profiles of one request. Returns when all of them are in the bucket, with what the
    /// response should say besides. If one is invalid, none is stored.
    pub async fn push(&self, tenant: &Tenant, pushes: Vec<(String, Push)>) -> Result<Vec<String>> {
        self.push_and(tenant, pushes, false).await
    }

    /// [`Ingest::push`] for a client that is about to exit: with `hurry`, the segment is written almost immediately.
    pub(super) async fn push_and(
        &self,
        tenant: &Tenant,
        pushes: Vec<(String, Push)>,
        hurry: bool,
    ) -> Result<Vec<String>> {
        let shared = &self.0;
        let received: usize = pushes.iter().map(|(_, push)| push.body.len()).sum();
        let permit = shared.decoders.acquire().await.map_err(|_| stopping())?;
        let (this, owner) = (self.clone(), tenant.clone());
        let added = blocking("decode a push", move || this.add(&owner, pushes)).await;
        drop(permit);
        let added = added?.inspect_err(|error| shared.limits.count(tenant, error));
        let (outcomes, notes) = added?;
        let windows = outcomes.len();
        if hurry {
            shared.flusher.hurried_push.notify_one();
        }
        for mut outcome in outcomes {
            match outcome.wait_for(Option::is_some).await.as_deref() {
                Ok(Some(result)) => result.clone()?,
                // The segment was dropped without a write.
                Ok(None) | Err(_) => return Err(stopping()),
            }
        }
        shared.metrics.ingest_bytes.inc_by(received as u64);
        shared.metrics.windows.inc_by(windows as u64);
        Ok(notes)
    }

    /// Stores a profile in a segment of its own, and returns when it is in the bucket. For large profiles that this
    /// process imports: they do not share a dictionary of stacks with others, and need no flush loop. The caller bounds
    /// the memory of what it stores at a time.
    pub async fn store(&self, tenant: &Tenant, push: Push) -> Result<()> {
        let shared = &self.0;
        let (this, owner) = (self.clone(), tenant.clone());
        let decode = move || this.decoded(&owner, vec![(String::new(), push)]);
        let (all, _) = blocking("decode a profile", decode).await??;
        for one in all {
            let hour = Hour::of(one.start);
            let batches = move || {
                let mut batches = Batches::default();
                let service = one.source.service();
                batches.add(service, |batch| {
                    add(batch, &one);
                });
                Ok(batches)
            };
            shared.flusher.write(tenant, hour, batches).await?;
            shared.metrics.windows.inc();
        }
        Ok(())
    }

    /// Decodes all profiles, then adds all. Returns where the outcome of each window's segment will
    /// appear, and what the response should say.
    fn add(
        &self,
        tenant: &Tenant,
        pushes: Vec<(String, Push)>,
    ) -> Result<(Vec<watch::Receiver<Outcome>>, Vec<String>)> {
        let shared = &self.0;
        let (decoded, notes) = self.decoded(tenant, pushes)?;
        let flusher = &shared.flusher;
        let mut outcomes = Vec::with_capacity(decoded.len());
        for one in &decoded {
            let fill = |batch: &mut _| {
                if !add(batch, one) {
                    shared.metrics.duplicate_windows.inc();
                }
            };
            let service = one.source.service();
            outcomes.push(
                flusher
                    .open
                    .add(tenant, Hour::of(one.start), service, fill)?,
            );
        }
        if flusher.open.bytes() >= shared.options.flush_bytes {
            flusher.due.notify_one();
        }
        Ok((outcomes, notes))
    }

    /// Decodes all profiles, and applies the limits of the tenant. Returns what the response should say, too.
    fn decoded(
        &self,
        tenant: &Tenant,
        pushes: Vec<(String, Push)>,
    ) -> Result<(Vec<Decoded>, Vec<String>)> {
        let shared = &self.0;
        let now = shared.options.clock.now();
        // The limit of the archive is not one that an operator can raise for a tenant.
        let own = Some(shared.limits.of(tenant).profile_bytes);
        let own = own.filter(|bytes| *bytes < shared.options.profile.bytes);
        let profile_bytes = own.unwrap_or(usize::MAX);
        let mut left = self.unpacked_bytes();
        let several = pushes.len() > 1;
        let mut decoded: Vec<Decoded> = Vec::with_capacity(pushes.len());
        let mut notes = Vec::new();
        let mut series = decode::SeriesLabels::default();
        for (which, push) in pushes {
            let mut random = shared.random.lock().unwrap_or_else(PoisonError::into_inner);
            let arrival = Arrival {
                now,
                id: random.next_u128(),
            };
            drop(random);
            let one = decode(
                push,
                &shared.options,
                &shared.metrics,
                arrival,
                (&mut left, profile_bytes),
                &mut series,
            );
            let one = one.map_err(|error| if several { error.within(which) } else { error })?;
            decoded.extend(one.profiles);
            notes.extend(one.note);
        }
        // Before the first is added, because a push is refused as a whole.
        for one in &mut decoded {
            cardinality::limit_series(&shared.limits, tenant, one)?;
        }
        Ok((decoded, notes))
    }

    /// Writes all open segments and answers the pushes that wait for them.
    pub async fn flush(&self) {
        self.0.flusher.flush().await;
    }

    /// Returns when pushes are no longer accepted.
    pub(super) async fn stopped(&self) {
        let mut accepting = self.0.flusher.accepting.subscribe();
        // The sender exists as long as `self`, so this cannot fail.
        let _ = accepting.wait_for(|accepting| !accepting).await;
    }

    /// Whether pushes are accepted.
    pub fn is_accepting(&self) -> bool {
        self.0.flusher.open.is_accepting()
    }

    /// Number of windows that wait for their segment to be written.
    pub fn open_windows(&self) -> usize {
        self.0.flusher.open.windows()
    }

    /// Accepts pushes and writes segments until `drain` is cancelled; then writes what is open,
    /// answers the waiting pushes and returns. Later pushes get 503.
    pub async fn run(self, drain: CancellationToken) {
        tokio::select! {
            biased;
            () = self.0.flusher.run(drain) => {}
            () = self.0.flusher.bucket.probe_failing_writes(&self.0.options.clock) => {}
        }
    }

    /// From now on segments are written almost immediately, because the process is about to stop
    /// and the last pushes should not wait for a whole flush interval.
    pub fn hurry(&self) {
        self.0.flusher.hurry();
    }
}
