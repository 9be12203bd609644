//! Requests to a bucket: attempts with time limits, retries, hedges, large objects, counts.

mod large;
mod read;
pub(crate) mod upload;

use crate::attempt::Attempt;
use crate::fault::{Fault, FaultKind, Stated};
use crate::health::Health;
use crate::hedge::Hedges;
use crate::meter::{Meter, RequestKind, Usage};
use crate::open::OpenBucket;
use crate::retry::{Budget, Failed, Policy, pause};
use crate::swift::DELETE_AFTER;
use crate::url::Scheme;
use bytes::Bytes;
use davy_base::{Clock, Random};
use davy_profile::units;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::path::Path;
use object_store::{Attribute, Attributes, ObjectMeta, ObjectStoreExt, PutOptions};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// Options of a [`Client`].
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Time limit of a request, including retries and pauses; longer for large objects.
    pub timeout: Duration,
    /// Time limit of one attempt; longer for large objects.
    pub attempt_timeout: Duration,
    /// Maximum number of attempts of one request to a remote store; 1 disables retries.
    pub attempts: u32,
    /// Whether slow reads are hedged.
    pub hedge: bool,
    /// Objects of more bytes are written in parts of this size.
    pub multipart_bytes: usize,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            attempt_timeout: Duration::from_secs(10),
            attempts: 4,
            hedge: true,
            multipart_bytes: 16 << 20,
        }
    }
}

/// Bytes a second below which an object store counts as not responding.
const SLOWEST: u64 = 1 << 20;
/// Retries that are allowed while nothing succeeds.
const RETRY_BURST: f64 = 20.0;
/// Retries as a share of successes.
const RETRY_SHARE: f64 = 0.1;

/// Sends requests to a bucket.
#[derive(Debug)]
pub struct Client {
    bucket: OpenBucket,
    options: ClientOptions,
    policy: Policy,
    clock: Clock,
    random: Mutex<Random>,
    meter: Arc<dyn Meter>,
    retries: Mutex<Budget>,
    hedges: Mutex<Hedges>,
    writes: Health,
}

/// Counts the HTTP requests of an attempt when it ends, also if it is cancelled.
struct Counted<'a> {
    meter: &'a dyn Meter,
    kind: RequestKind,
    key: &'a Path,
    attempt: Arc<Attempt>,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let requests = u64::from(self.attempt.requests().max(1));
        self.meter.requests(self.kind, self.key, requests);
        Usage::record_requests(requests);
    }
}

/// Locks a mutex whose holders never panic.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no panic while it is held")
}

/// Time to transfer this many bytes at the slowest acceptable rate.
fn transfer_time(bytes: u64) -> Duration {
    Duration::from_millis(bytes * 1_000 / SLOWEST)
}

impl Client {
    /// A client of a bucket.
    pub fn new(
        bucket: OpenBucket,
        options: ClientOptions,
        clock: Clock,
        random: Random,
        meter: Arc<dyn Meter>,
    ) -> Self {
        // A failed request to a folder is not retried, because it would fail again.
        let attempts = if bucket.url.scheme.is_remote() {
            options.attempts.max(1)
        } else {
            1
        };
        Self {
            policy: Policy {
                attempts,
                pause: Duration::from_millis(200),
                pause_max: Duration::from_secs(5),
            },
            bucket,
            options,
            clock,
            random: Mutex::new(random),
            meter,
            retries: Mutex::new(Budget::new(RETRY_BURST, RETRY_SHARE)),
            hedges: Mutex::new(Hedges::new()),
            writes: Health::default(),
        }
    }

    /// Whether writes succeed.
    pub fn writes(&self) -> &Health {
        &self.writes
    }

    /// The parsed URL of the bucket.
    pub fn bucket(&self) -> &OpenBucket {
        &self.bucket
    }

    /// One attempt. The future must not be polled outside of it: the record of its HTTP requests is a task-local.
    async fn attempt<T>(
        &self,
        kind: RequestKind,
        key: &Path,
        limit: Duration,
        request: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, (Fault, Option<Duration>)> {
        let attempt = Arc::new(Attempt::default());
        let _counted = Counted {
            meter: &*self.meter,
            kind,
            key,
            attempt: Arc::clone(&attempt),
        };
        match self.clock.timeout(limit, attempt.record(request)).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                let fault = Fault::of(error, &attempt, &self.bucket.url);
                Err((fault, attempt.retry_after()))
            }
            Err(_) => Err((Fault::timed_out(limit, &self.bucket.url), None)),
        }
    }

    /// Attempts a request of about `bytes` bytes until it succeeds, fails permanently, or its time limit is reached.
    async fn request<T, F>(
        &self,
        kind: RequestKind,
        key: &Path,
        bytes: u64,
        make: impl Fn() -> F,
    ) -> Result<T, Fault>
    where
        F: Future<Output = object_store::Result<T>>,
    {
        let slack = transfer_time(bytes);
        let limit = self.options.attempt_timeout.min(self.options.timeout) + slack;
        // Boxed, because callers await several requests in one future.
        let attempt = || self.attempt(kind, key, limit, make());
        Box::pin(self.repeat(kind, key, slack, attempt)).await
    }

    async fn repeat<T, F>(
        &self,
        kind: RequestKind,
        key: &Path,
        slack: Duration,
        attempt: impl Fn() -> F,
    ) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, (Fault, Option<Duration>)>>,
    {
        let end = self.clock.monotonic() + self.options.timeout + slack;
        let mut number = 0;
        loop {
            number += 1;
            let (fault, retry_after) = match attempt().await {
                Ok(value) => {
                    locked(&self.retries).earn();
                    return Ok(value);
                }
                Err(failed) => failed,
            };
            let failed = Failed {
                kind: fault.kind,
                number,
                retry_after,
                left: end.saturating_sub(self.clock.monotonic()),
            };
            let unit = locked(&self.random).unit();
            let Some(pause) = pause(&self.policy, &failed, unit) else {
                return Err(self.give_up(kind, key, fault, number));
            };
            if !locked(&self.retries).spend() {
                self.meter.retry_denied(kind);
                return Err(self.give_up(kind, key, fault, number));
            }
            self.meter.retried(kind, failed.kind);
            self.clock.sleep(pause).await;
        }
    }

    fn give_up(&self, kind: RequestKind, key: &Path, fault: Fault, attempts: u32) -> Fault {
        if fault.kind != FaultKind::NotFound {
            self.meter.failed(kind, key, fault.kind);
        }
        match attempts {
            1 => fault,
            _ => fault.with(&format!(" (after {attempts} attempts)")),
        }
    }

    /// Writes an object.
    pub async fn put(&self, key: &Path, bytes: Bytes) -> Result<(), Fault> {
        let size = bytes.len() as u64;
        let put = match &self.bucket.multipart {
            Some(parts) if bytes.len() > self.options.multipart_bytes => {
                self.put_large(&**parts, key, bytes).await
            }
            _ => self.put_whole(key, bytes, &Attributes::new()).await,
        };
        self.record_put(key, size, put)
    }

    /// Writes an object that expires after some time if the object store supports it: Swift does, by `X-Delete-After`.
    /// Elsewhere the object stays. It is never written in parts, because these would expire separately.
    pub async fn put_expiring(
        &self,
        key: &Path,
        bytes: Bytes,
        after: Duration,
    ) -> Result<(), Fault> {
        let mut attributes = Attributes::new();
        if self.bucket.url.scheme == Scheme::Swift {
            let seconds = after.as_secs().max(1).to_string();
            attributes.insert(Attribute::Metadata(DELETE_AFTER.into()), seconds.into());
        }
        let size = bytes.len() as u64;
        let put = self.put_whole(key, bytes, &attributes).await;
        self.record_put(key, size, put)
    }

    /// Writes an object that a web server can pass on to browsers: with its media type and its encoding, where the store
    /// keeps such attributes. A folder does not. It is never written in parts.
    pub async fn put_served(
        &self,
        key: &Path,
        bytes: Bytes,
        (media_type, encoding): (&'static str, Option<&'static str>),
    ) -> Result<(), Fault> {
        let mut attributes = Attributes::new();
        if self.bucket.url.scheme != Scheme::File {
            attributes.insert(Attribute::ContentType, media_type.into());
            if let Some(encoding) = encoding {
                attributes.insert(Attribute::ContentEncoding, encoding.into());
            }
        }
        let size = bytes.len() as u64;
        let put = self.put_whole(key, bytes, &attributes).await;
        self.record_put(key, size, put)
    }

    async fn put_whole(
        &self,
        key: &Path,
        bytes: Bytes,
        attributes: &Attributes,
    ) -> Result<(), Fault> {
        let store = &self.bucket.store;
        let put = || async {
            let options = PutOptions {
                attributes: attributes.clone(),
                ..PutOptions::default()
            };
            store
                .put_opts(key, bytes.clone().into(), options)
                .await
                .map(drop)
        };
        self.request(RequestKind::Put, key, bytes.len() as u64, put)
            .await
    }

    fn record_put(&self, key: &Path, size: u64, put: Result<(), Fault>) -> Result<(), Fault> {
        match &put {
            Ok(()) => {
                self.meter.bytes(RequestKind::Put, key, size);
                Usage::record_written(size);
                self.writes.succeeded();
            }
            Err(fault) => self.writes.failed(self.clock.now(), fault),
        }
        put
    }

    /// Deletes an object; succeeds if it does not exist.
    pub async fn delete(&self, key: &Path) -> Result<(), Fault> {
        let store = &self.bucket.store;
        let deleted = self
            .request(RequestKind::Delete, key, 0, || store.delete(key))
            .await;
        match deleted {
            Err(fault) if fault.kind == FaultKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Deletes objects with as few requests as the object store permits. Objects that do not exist count as deleted.
    pub async fn delete_many(&self, keys: &[Path]) -> Result<(), Fault> {
        let Some(first) = keys.first() else {
            return Ok(());
        };
        let store = &self.bucket.store;
        self.request(RequestKind::Delete, first, 0, || async {
            let keys: Vec<object_store::Result<Path>> = keys.iter().cloned().map(Ok).collect();
            let mut results = store.delete_stream(futures_util::stream::iter(keys).boxed());
            while let Some(result) = results.next().await {
                match result {
                    Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        })
        .await
    }

    /// The objects below a folder; none if it does not exist.
    pub async fn list(&self, folder: &Path) -> Result<Vec<ObjectMeta>, Fault> {
        let listed = Box::pin(self.repeat(RequestKind::List, folder, Duration::ZERO, || {
            let pages = self.bucket.store.list(Some(folder));
            self.attempt(
                RequestKind::List,
                folder,
                self.options.timeout,
                self.collect(pages),
            )
        }))
        .await;
        match listed {
            Err(fault) if fault.kind == FaultKind::NotFound => Ok(Vec::new()),
            other => other,
        }
    }

    /// Collects a stream; an error if it stalls.
    async fn collect<T>(
        &self,
        mut stream: BoxStream<'static, object_store::Result<T>>,
    ) -> object_store::Result<Vec<T>> {
        let mut all = Vec::new();
        let limit = self.options.attempt_timeout;
        loop {
            match self.clock.timeout(limit, stream.next()).await {
                Ok(Some(item)) => all.push(item?),
                Ok(None) => return Ok(all),
                Err(_) => return Err(stopped(limit)),
            }
        }
    }

    /// The names of the folders in a folder; none if it does not exist.
    pub async fn folders(&self, folder: &Path) -> Result<Vec<String>, Fault> {
        let store = &self.bucket.store;
        let listed = self
            .request(RequestKind::List, folder, 0, || {
                store.list_with_delimiter(Some(folder))
            })
            .await;
        match listed {
            Ok(listed) => Ok(listed
                .common_prefixes
                .iter()
                .filter_map(|path| Some(path.parts().next_back()?.as_ref().to_owned()))
                .collect()),
            Err(fault) if fault.kind == FaultKind::NotFound => Ok(Vec::new()),
            Err(fault) => Err(fault),
        }
    }
}

/// The error of a response that stopped before its end.
fn stopped(limit: Duration) -> object_store::Error {
    let limit = units::duration(limit);
    Stated::error(FaultKind::TimedOut, format!("response stalled for {limit}"))
}
