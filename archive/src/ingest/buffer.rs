//! Open segments: filled by pushes, written by the flush loop, which then answers the pushes.

use super::add::add;
use super::decode::{self, Decoded, Push, decode};
use crate::bucket::Bucket;
use crate::error::{Error, ErrorKind, Result};
use crate::format::batch::Batch;
use crate::format::segment;
use crate::key::{Hour, Tenant};
use crate::metrics::Metrics;
use crate::options::ArchiveOptions;
use davy_base::Random;
use futures_util::StreamExt;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

/// How long a window waits for company when the process is about to stop.
const HURRIED_INTERVAL: Duration = Duration::from_millis(50);

/// How a segment ended: not yet, written, or why not.
type Outcome = Option<Result<(), String>>;

struct OpenSegment {
    batch: Batch,
    bytes: usize,
    outcome: watch::Sender<Outcome>,
}

#[derive(Default)]
struct Open {
    segments: BTreeMap<(Tenant, Hour), OpenSegment>,
    bytes: usize,
    /// Whether a flush loop runs that will write what is added.
    accepting: bool,
}

struct Shared {
    options: ArchiveOptions,
    bucket: Arc<Bucket>,
    metrics: Metrics,
    open: Mutex<Open>,
    /// Tells the requests whose body is still coming whether pushes are taken.
    accepting: watch::Sender<bool>,
    random: Mutex<Random>,
    /// Bytes of bodies and segments in memory.
    buffered: AtomicUsize,
    /// The first window has come into an empty buffer.
    begun: Notify,
    /// The buffer is large enough to be written.
    full: Notify,
    /// Windows no longer wait for company.
    hurried: AtomicBool,
    decoders: Semaphore,
}

/// Takes pushes. Cheap to clone.
#[derive(Clone)]
pub struct Ingest(Arc<Shared>);

/// Memory that is accounted for as long as this lives.
pub(super) struct Reservation {
    ingest: Ingest,
    bytes: usize,
}

impl Reservation {
    /// Accounts for more of a body that is still coming. A quarter of the buffers is left to small
    /// ones: large bodies that come slowly must not keep everybody else out.
    pub(super) fn grow_body(&mut self, bytes: usize) -> Result<()> {
        let limit = self.ingest.0.options.buffer_bytes;
        let before = self.ingest.0.buffered.load(Ordering::Acquire);
        if self.bytes + bytes > SMALL_BYTES && before + bytes > limit / 4 * 3 {
            return Err(full());
        }
        self.grow(bytes)
    }

    /// Accounts for more; refused when buffers are full.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<()> {
        let shared = &self.ingest.0;
        let before = shared.buffered.fetch_add(bytes, Ordering::AcqRel);
        self.bytes += bytes;
        shared.metrics.buffered_bytes.set((before + bytes) as i64);
        if before + bytes > shared.options.buffer_bytes {
            return Err(full());
        }
        Ok(())
    }
}

/// A body up to this size may use the last quarter of the buffers.
const SMALL_BYTES: usize = 1 << 20;

fn full() -> Error {
    Error::new(
        ErrorKind::Busy,
        "the buffers of this archiver are full; send it again in a second",
    )
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.ingest.release(self.bytes);
    }
}

impl Ingest {
    pub(crate) fn new(options: ArchiveOptions, bucket: Arc<Bucket>, metrics: Metrics) -> Self {
        Self(Arc::new(Shared {
            random: Mutex::new(options.random.clone()),
            decoders: Semaphore::new(options.decoders.max(1)),
            options,
            bucket,
            metrics,
            open: Mutex::default(),
            accepting: watch::Sender::new(false),
            buffered: AtomicUsize::new(0),
            begun: Notify::new(),
            full: Notify::new(),
            hurried: AtomicBool::new(false),
        }))
    }

    pub(super) fn options(&self) -> &ArchiveOptions {
        &self.0.options
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub(super) fn reserve(&self) -> Reservation {
        Reservation {
            ingest: self.clone(),
            bytes: 0,
        }
    }

    fn release(&self, bytes: usize) {
        let before = self.0.buffered.fetch_sub(bytes, Ordering::AcqRel);
        self.0
            .metrics
            .buffered_bytes
            .set((before - bytes.min(before)) as i64);
    }

    /// Takes profiles of one request: all or none. Returns when they are in the bucket.
    pub async fn push(&self, tenant: &Tenant, pushes: Vec<(String, Push)>) -> Result<()> {
        self.push_and(tenant, pushes, false).await
    }

    /// As [`Ingest::push`], for a client that is about to end: what is open is written at once.
    pub(super) async fn push_and(
        &self,
        tenant: &Tenant,
        pushes: Vec<(String, Push)>,
        hurry: bool,
    ) -> Result<()> {
        let shared = &self.0;
        let received: usize = pushes.iter().map(|(_, push)| push.body.len()).sum();
        let permit = shared.decoders.acquire().await;
        let permit =
            permit.map_err(|_| Error::new(ErrorKind::Unavailable, "the archiver is stopping"))?;
        let (this, owner) = (self.clone(), tenant.clone());
        let waiting = davy_tag::spawn_blocking(move || this.take(&owner, pushes)).await;
        drop(permit);
        let waiting = waiting
            .map_err(|_| Error::new(ErrorKind::Internal, "decoding failed unexpectedly"))??;
        let windows = waiting.len();
        if hurry {
            shared.full.notify_one();
        }
        for mut outcome in waiting {
            // The sender goes only after it has told the outcome.
            let outcome = outcome
                .wait_for(Option::is_some)
                .await
                .map(|outcome| (*outcome).clone());
            match outcome {
                Ok(Some(Ok(()))) => {}
                Ok(Some(Err(why))) => return Err(Error::new(ErrorKind::Unavailable, why)),
                Ok(None) | Err(_) => {
                    return Err(Error::new(
                        ErrorKind::Unavailable,
                        "the archiver is stopping",
                    ));
                }
            }
        }
        shared.metrics.ingest_bytes.inc_by(received as u64);
        shared.metrics.windows.inc_by(windows as u64);
        Ok(())
    }

    /// Decodes all, then adds all. Gives what tells of each window's segment.
    fn take(
        &self,
        tenant: &Tenant,
        pushes: Vec<(String, Push)>,
    ) -> Result<Vec<watch::Receiver<Outcome>>> {
        let shared = &self.0;
        let now = shared.options.clock.now();
        let mut left = shared.options.profile.bytes.saturating_mul(2);
        let several = pushes.len() > 1;
        let mut decoded: Vec<Decoded> = Vec::with_capacity(pushes.len());
        let mut series = decode::Shared::default();
        for (which, push) in pushes {
            let one = decode(
                push,
                &shared.options,
                &shared.metrics,
                now,
                &mut left,
                &mut series,
            );
            decoded.push(one.map_err(|error| if several { error.within(which) } else { error })?);
        }
        let mut open = shared.open.lock().unwrap_or_else(PoisonError::into_inner);
        if !open.accepting {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "ingestion is stopped on this archiver; push to another one",
            ));
        }
        let was_empty = open.segments.is_empty();
        let mut waiting = Vec::with_capacity(decoded.len());
        let mut grown = 0;
        for one in &decoded {
            let key = (tenant.clone(), Hour::of(one.start));
            let segment = open.segments.entry(key).or_insert_with(|| OpenSegment {
                batch: Batch::new(),
                bytes: 0,
                outcome: watch::Sender::new(None),
            });
            if !add(&mut segment.batch, one) {
                shared.metrics.duplicate_windows.inc();
            }
            let bytes = segment.batch.bytes();
            grown += bytes - segment.bytes.min(bytes);
            segment.bytes = bytes;
            waiting.push(segment.outcome.subscribe());
        }
        open.bytes += grown;
        shared.buffered.fetch_add(grown, Ordering::AcqRel);
        if was_empty {
            shared.begun.notify_one();
        }
        if open.bytes >= shared.options.flush_bytes {
            shared.full.notify_one();
        }
        Ok(waiting)
    }

    /// Writes all open segments and answers the pushes that wait for them.
    pub async fn flush(&self) {
        let shared = &self.0;
        let segments = {
            let mut open = shared.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.bytes = 0;
            std::mem::take(&mut open.segments)
        };
        if segments.is_empty() {
            return;
        }
        let started = shared.options.clock.monotonic();
        let writes = segments.into_iter().map(|((tenant, hour), segment)| async move {
            let OpenSegment { batch, bytes, outcome } = segment;
            let result = self.write(&tenant, hour, batch).await;
            if let Err(error) = &result {
                shared.metrics.flush_errors.inc();
                tracing::error!(tenant = tenant.key(), %hour, %error, "segment not written, its pushes get 503");
            }
            outcome.send_replace(Some(result.map_err(|error| error.message)));
            self.release(bytes);
        });
        futures_util::stream::iter(writes)
            .buffer_unordered(4)
            .for_each(|()| async {})
            .await;
        let taken = shared.options.clock.monotonic().saturating_sub(started);
        shared.metrics.flush_duration.observe(taken.as_secs_f64());
    }

    async fn write(&self, tenant: &Tenant, hour: Hour, batch: Batch) -> Result<()> {
        let shared = &self.0;
        let encoded = davy_tag::spawn_blocking(move || segment::encode(batch)).await;
        let (bytes, _) = encoded
            .map_err(|_| Error::new(ErrorKind::Internal, "encoding failed unexpectedly"))??;
        let name = {
            let mut random = shared.random.lock().unwrap_or_else(PoisonError::into_inner);
            Ulid::from_parts(
                shared.options.clock.now().millis() as u64,
                random.next_u128(),
            )
        };
        let size = bytes.len() as u64;
        shared
            .bucket
            .put(&shared.bucket.keys.segment(tenant, hour, name), bytes)
            .await?;
        shared.metrics.flushed_bytes.inc_by(size);
        Ok(())
    }

    fn accept(&self, accepting: bool) {
        self.0
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .accepting = accepting;
        self.0.accepting.send_replace(accepting);
    }

    /// Returns when pushes are not taken.
    pub(super) async fn stopped(&self) {
        let mut accepting = self.0.accepting.subscribe();
        // The sender lives as long as this does.
        let _ = accepting.wait_for(|accepting| !accepting).await;
    }

    /// Whether pushes are taken.
    pub fn is_accepting(&self) -> bool {
        self.0
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .accepting
    }

    /// Windows that wait for their segment to be written.
    pub fn open_windows(&self) -> usize {
        let open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.segments
            .values()
            .map(|segment| segment.batch.windows.len())
            .sum()
    }

    /// Takes pushes and writes segments until told to stop; then writes what is open, answers the
    /// waiting pushes and returns. Pushes that come later get 503.
    pub async fn run(self, drain: CancellationToken) {
        self.accept(true);
        let _refuse = Refuse(&self);
        let shared = &self.0;
        while !drain.is_cancelled() {
            tokio::select! {
                () = drain.cancelled() => break,
                () = shared.begun.notified() => {}
                () = shared.full.notified() => {}
            }
            tokio::select! {
                () = drain.cancelled() => {}
                () = shared.full.notified() => {}
                () = tokio::time::sleep(self.wait()) => {}
            }
            if drain.is_cancelled() {
                break;
            }
            self.flush().await;
        }
        self.accept(false);
        self.flush().await;
    }

    /// From now on a window is written almost at once: the process is about to stop, and those that
    /// push their last windows should not wait for company that won't come.
    pub fn hurry(&self) {
        self.0.hurried.store(true, Ordering::Release);
        self.0.full.notify_one();
    }

    /// How long to wait for company: nothing where there is enough already.
    fn wait(&self) -> Duration {
        if self.0.hurried.load(Ordering::Acquire) {
            return HURRIED_INTERVAL;
        }
        let open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.bytes >= self.0.options.flush_bytes || open.segments.is_empty() {
            Duration::ZERO
        } else {
            self.0.options.flush_interval
        }
    }
}

/// Refuses pushes when the loop ends, however it ends; nobody would write them.
struct Refuse<'a>(&'a Ingest);

impl Drop for Refuse<'_> {
    fn drop(&mut self) {
        self.0.accept(false);
        let mut open = self.0.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        // Dropping the senders answers the pushes that wait.
        let left: usize = std::mem::take(&mut open.segments)
            .into_values()
            .map(|segment| segment.bytes)
            .sum();
        open.bytes = 0;
        drop(open);
        self.0.release(left);
    }
}
