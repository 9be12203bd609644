//! Requests, errors and durations by operation, as a profile of each window.
//!
//! The program counts its requests, by the bucket of their duration ([`davy_profile::durations`]). The frame of a bucket is
//! the whole stack, so windows, hours and days of these profiles are merged like any other.

use crate::aggregate::Aggregate;
use davy_profile::durations::{self, BUCKETS};
use davy_tag::Tag;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// The requests of a tag whose durations are in one bucket, since the start of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestBucket {
    /// Requests.
    pub requests: u64,
    /// Those that failed.
    pub errors: u64,
    /// The sum of their durations, in nanoseconds.
    pub nanos: u64,
}

/// The requests of a tag since the start of the process.
#[derive(Clone, Copy, Debug)]
pub struct RequestCounts {
    /// Member and operation that answered them.
    pub tag: Tag,
    /// By duration; the index is that of [`davy_profile::durations::bucket`].
    pub buckets: [RequestBucket; BUCKETS],
}

/// Reads the counts of all tags. Must not block.
pub(crate) type RequestSource = Arc<dyn Fn() -> Vec<RequestCounts> + Send + Sync>;

/// The requests of a program, and what was counted at the end of the last window.
#[derive(Default)]
pub(crate) struct Requests {
    source: Option<RequestSource>,
    last: FxHashMap<Tag, [RequestBucket; BUCKETS]>,
}

impl Requests {
    /// Reads from this source from now on. What it has counted already belongs to the window that is open.
    pub(crate) fn set_source(&mut self, source: RequestSource) {
        self.source = Some(source);
        self.last.clear();
    }

    /// What was counted since the last call.
    pub(crate) fn take(&mut self) -> Aggregate {
        let mut aggregate = Aggregate::default();
        let counts = self.source.as_ref().map(|source| source());
        for RequestCounts { tag, buckets } in counts.into_iter().flatten() {
            let last = self
                .last
                .entry(tag)
                .or_insert([RequestBucket::default(); BUCKETS]);
            for (at, (now, before)) in buckets.iter().zip(last.iter()).enumerate() {
                let since = |now: u64, before: u64| {
                    i64::try_from(now.saturating_sub(before)).unwrap_or(i64::MAX)
                };
                let requests = since(now.requests, before.requests);
                if requests > 0 {
                    let frame = aggregate.named(&durations::name(at));
                    let values = [
                        since(now.nanos, before.nanos),
                        since(now.errors, before.errors),
                        requests,
                        0,
                    ];
                    aggregate.add(&[frame], false, tag, values);
                }
            }
            *last = buckets;
        }
        aggregate
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn each_request_is_in_one_window_under_its_tag_and_bucket() {
        let tag = Tag::new("requests", "List");
        let mut buckets = [RequestBucket::default(); BUCKETS];
        buckets[2] = RequestBucket {
            requests: 5,
            errors: 1,
            nanos: 900,
        };
        let counted = Arc::new(Mutex::new(vec![RequestCounts { tag, buckets }]));
        let mut requests = Requests::default();
        assert!(requests.take().samples.is_empty());
        let source = Arc::clone(&counted);
        requests.set_source(Arc::new(move || source.lock().expect("no panic").clone()));
        let values = |aggregate: &Aggregate| -> Vec<_> {
            let samples = aggregate.samples.iter();
            samples.map(|((_, tag), values)| (*tag, *values)).collect()
        };
        let first = requests.take();
        assert_eq!(values(&first), [(tag, [900, 1, 5, 0])]);
        assert_eq!(first.names, ["up to 200 us"]);
        assert!(requests.take().samples.is_empty());
        counted.lock().expect("no panic")[0].buckets[2].requests = 7;
        assert_eq!(values(&requests.take()), [(tag, [0, 0, 2, 0])]);
    }
}
