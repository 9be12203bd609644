//! What one attempt of a request did: HTTP requests, and the status of the last response. The HTTP client writes
//! it, and the code that made the attempt reads it; object_store's errors state neither.

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// The record of an attempt.
#[derive(Debug, Default)]
pub(crate) struct Attempt {
    requests: AtomicU32,
    /// 0 before the first response.
    status: AtomicU32,
    /// Seconds plus one; 0 if the last response did not say.
    retry_after: AtomicU64,
    unreachable: AtomicBool,
}

tokio::task_local! {
    static CURRENT: Arc<Attempt>;
}

impl Attempt {
    /// Runs a future, and records its HTTP requests here.
    pub(crate) async fn record<F: Future>(self: &Arc<Self>, future: F) -> F::Output {
        CURRENT.scope(Arc::clone(self), future).await
    }

    /// HTTP requests so far.
    pub(crate) fn requests(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }

    /// The status of the last response.
    pub(crate) fn status(&self) -> Option<StatusCode> {
        StatusCode::from_u16(self.status.load(Ordering::Relaxed) as u16).ok()
    }

    /// How long the object store asked to wait before a retry.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let seconds = self.retry_after.load(Ordering::Relaxed).checked_sub(1)?;
        Some(Duration::from_secs(seconds))
    }

    /// Whether the last connection attempt failed.
    pub(crate) fn is_unreachable(&self) -> bool {
        self.unreachable.load(Ordering::Relaxed)
    }
}

pub(crate) fn record_request() {
    let _ = CURRENT.try_with(|attempt| {
        attempt.requests.fetch_add(1, Ordering::Relaxed);
        attempt.status.store(0, Ordering::Relaxed);
        attempt.retry_after.store(0, Ordering::Relaxed);
        attempt.unreachable.store(false, Ordering::Relaxed);
    });
}

pub(crate) fn record_response(status: StatusCode, headers: &HeaderMap) {
    let _ = CURRENT.try_with(|attempt| {
        attempt
            .status
            .store(u32::from(status.as_u16()), Ordering::Relaxed);
        let seconds = headers
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok());
        if let Some(seconds) = seconds {
            attempt
                .retry_after
                .store(seconds.saturating_add(1), Ordering::Relaxed);
        }
    });
}

pub(crate) fn record_unreachable() {
    let _ = CURRENT.try_with(|attempt| attempt.unreachable.store(true, Ordering::Relaxed));
}
