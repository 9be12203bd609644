//! Requests of endpoints by duration, for the profile of requests that the profiler pushes.

use axum::http::StatusCode;
use davy_profile::durations::{self, BUCKETS};
use davy_profiler::{RequestBucket, RequestCounts};
use davy_tag::Tag;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

#[derive(Debug, Default)]
struct Bucket {
    requests: AtomicU64,
    errors: AtomicU64,
    nanos: AtomicU64,
}

/// The requests of one endpoint by duration.
#[derive(Debug)]
pub(super) struct Durations([Bucket; BUCKETS]);

impl Durations {
    /// Counts a request. A response with a status of 5xx is an error.
    pub(super) fn add(&self, status: StatusCode, duration: Duration) {
        let bucket = &self.0[durations::bucket(duration)];
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        bucket.nanos.fetch_add(nanos, Relaxed);
        bucket
            .errors
            .fetch_add(status.is_server_error().into(), Relaxed);
        bucket.requests.fetch_add(1, Relaxed);
    }
}

/// The requests of all endpoints by duration.
#[derive(Debug, Default)]
pub(super) struct AllDurations(Mutex<HashMap<(String, String), Arc<Durations>>>);

impl AllDurations {
    /// Those of one endpoint.
    pub(super) fn of(&self, member: &str, op: &str) -> Arc<Durations> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Durations(std::array::from_fn(|_| Bucket::default())));
        let of = all.entry((member.to_owned(), op.to_owned()));
        Arc::clone(of.or_insert_with(new))
    }

    /// What was counted since the start of the process.
    pub(super) fn read(&self) -> Vec<RequestCounts> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let read = |bucket: &Bucket| RequestBucket {
            requests: bucket.requests.load(Relaxed),
            errors: bucket.errors.load(Relaxed),
            nanos: bucket.nanos.load(Relaxed),
        };
        let counts = all.iter().map(|((member, op), durations)| RequestCounts {
            tag: Tag::new(member, op),
            buckets: std::array::from_fn(|at| read(&durations.0[at])),
        });
        counts.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_by_duration_and_server_errors_apart() {
        let all = AllDurations::default();
        let of = all.of("api", "ListAllJobs");
        of.add(StatusCode::OK, Duration::from_micros(120));
        of.add(StatusCode::NOT_FOUND, Duration::from_micros(130));
        of.add(StatusCode::BAD_GATEWAY, Duration::from_secs(100));
        let read = all.read();
        assert_eq!(read.len(), 1);
        assert_eq!(
            (read[0].tag.member(), read[0].tag.op()),
            ("api", "ListAllJobs")
        );
        let counted = |requests, errors, nanos| RequestBucket {
            requests,
            errors,
            nanos,
        };
        assert_eq!(read[0].buckets[1], counted(2, 0, 250_000));
        assert_eq!(read[0].buckets[BUCKETS - 1], counted(1, 1, 100_000_000_000));
        assert_eq!(read[0].buckets[0], RequestBucket::default());
    }
}
