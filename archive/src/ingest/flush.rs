//! The flush loop: writes open segments and answers the pushes that wait for them.

mod credit;

use credit::Credit;

use super::batches::{Batches, Sizes};
use super::memory::MemoryBudget;
use super::open::OpenSegments;
use crate::blocking::blocking;
use crate::bucket::Bucket;
use crate::error::Result;
use crate::format::segment;
use crate::key::{Hour, Tenant};
use crate::metrics::Metrics;
use crate::simulation::{Mutant, is_active};
use davy_base::{Clock, Random};
use futures_util::StreamExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

/// How long segments stay open when the process, or a client, is about to stop. Long enough for the last pushes of many
/// clients that stop at once to share a segment.
const HURRIED_INTERVAL: Duration = Duration::from_millis(50);

/// Segments that are written concurrently.
const WRITES: usize = 4;

/// Writes open segments to the bucket.
pub(super) struct Flusher {
    pub(super) clock: Clock,
    pub(super) bucket: Arc<Bucket>,
    pub(super) metrics: Metrics,
    pub(super) open: OpenSegments,
    pub(super) memory: MemoryBudget,
    /// Names of segments.
    pub(super) random: Mutex<Random>,
    /// Time between flushes under load; with few pushes, segments are written sooner.
    pub(super) interval: Duration,
    /// Memory of open segments that ends the interval early.
    pub(super) bytes: usize,
    /// Whether windows are accepted, for requests whose body is still arriving.
    pub(super) accepting: watch::Sender<bool>,
    /// Segments should be written before the interval ends.
    pub(super) due: Notify,
    /// A client is about to stop and waits for its last push.
    pub(super) hurried_push: Notify,
    /// The process is about to stop.
    pub(super) hurried: AtomicBool,
}

impl Flusher {
    /// Accepts windows and writes segments until `drain` is cancelled; then writes what is open and
    /// returns.
    pub(super) async fn run(&self, drain: CancellationToken) {
        self.accept(true);
        let _refuse = Refuse(self);
        let mut credit = Credit::new(self.interval, self.clock.monotonic());
        // In order, here and below, so that a simulated history can be repeated.
        while !drain.is_cancelled() {
            tokio::select! {
                biased;
                () = drain.cancelled() => break,
                () = self.open.begun() => {}
                () = self.due.notified() => {}
            }
            tokio::select! {
                biased;
                () = drain.cancelled() => break,
                () = self.due.notified() => {}
                () = self.clock.sleep(self.wait(&mut credit)) => {}
                () = self.hurried_push.notified() => {
                    tokio::select! {
                        biased;
                        () = drain.cancelled() => break,
                        () = self.due.notified() => {}
                        () = self.clock.sleep(HURRIED_INTERVAL) => {}
                    }
                }
            }
            credit.spend();
            self.flush().await;
        }
        self.accept(false);
        self.flush().await;
    }

    /// Writes all open segments and answers the pushes that wait for them.
    pub(super) async fn flush(&self) {
        let segments = self.open.take();
        if segments.is_empty() {
            return;
        }
        let started = self.clock.monotonic();
        let writes = segments
            .into_iter()
            .map(|((tenant, hour), segment)| async move {
                if is_active(Mutant::EarlyAcknowledgement) {
                    segment.finish(Ok(()));
                }
                let closing = Arc::clone(&segment);
                let result = self.write(&tenant, hour, move || closing.close()).await;
                if let Err(error) = &result {
                    self.metrics.flush_errors.inc();
                    tracing::error!(tenant = tenant.key(), %hour, %error, "cannot write segment");
                }
                let sizes = result.as_ref().cloned().unwrap_or_default();
                segment.finish(result.map(drop));
                self.memory.release(segment.bytes());
                ((tenant, hour), sizes)
            });
        let sizes = futures_util::stream::iter(writes)
            .buffer_unordered(WRITES)
            .collect()
            .await;
        self.open.expect_sizes(sizes);
        let taken = self.clock.monotonic().saturating_sub(started);
        self.metrics.flush_duration.observe(taken.as_secs_f64());
    }

    /// Writes what `batches` returns as a segment, and returns the sizes of its batches.
    pub(super) async fn write(
        &self,
        tenant: &Tenant,
        hour: Hour,
        batches: impl FnOnce() -> Result<Batches> + Send + 'static,
    ) -> Result<Sizes> {
        let encode = move || -> Result<_> {
            let batches = batches()?;
            // A push that opened the segment may not have added to it yet; it will open another one.
            if batches.windows() == 0 {
                return Ok(None);
            }
            let sizes = batches.sizes();
            Ok(Some((segment::encode(batches.into_batches())?, sizes)))
        };
        let Some(((bytes, _), sizes)) = blocking("encode a segment", encode).await?? else {
            return Ok(Sizes::default());
        };
        let name = {
            let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
            Ulid::from_parts(self.clock.now().millis() as u64, random.next_u128())
        };
        let size = bytes.len() as u64;
        let key = self.bucket.keys.segment(tenant, hour, name);
        self.bucket.put(&key, bytes).await?;
        self.metrics.flushed_bytes.inc_by(size);
        Ok(sizes)
    }

    fn accept(&self, accepting: bool) {
        self.open.accept(accepting);
        self.accepting.send_replace(accepting);
    }

    /// From now on segments are written almost immediately.
    pub(super) fn hurry(&self) {
        self.hurried.store(true, Ordering::Release);
        self.due.notify_one();
    }

    /// How long the segments stay open from now on.
    fn wait(&self, credit: &mut Credit) -> Duration {
        let wait = credit.wait(self.clock.monotonic());
        if self.hurried.load(Ordering::Acquire) {
            HURRIED_INTERVAL
        } else if self.open.bytes() >= self.bytes || self.open.is_empty() {
            Duration::ZERO
        } else {
            wait
        }
    }
}

/// Refuses pushes when the loop ends for any reason, a panic included: no flush would follow.
struct Refuse<'a>(&'a Flusher);

impl Drop for Refuse<'_> {
    fn drop(&mut self) {
        self.0.accept(false);
        // Dropping the segments answers the pushes that wait for them.
        for segment in self.0.open.take().into_values() {
            let _ = segment.close();
            self.0.memory.release(segment.bytes());
        }
    }
}
