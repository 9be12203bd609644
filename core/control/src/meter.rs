//! Reads the usage of every operation of this process.
//!
//! Metrics, the API, `davy top` and the page all show what the meter reads: poll accounting and the
//! sampled live heap, the statistics of endpoints, and those of database queries.

use crate::endpoints::{DURATION_BOUNDS_SECONDS, Endpoints};
use crate::usage::Usage;
use davy_base::Clock;
use davy_profiler::Handle as Profiler;
use davy_store::Store;
use davy_tag::POLL_BOUNDS_SECONDS;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The counts of one operation at one time, from which rates are computed.
#[derive(Clone, Debug, Default)]
struct Counts {
    cpu_nanos: u64,
    alloc_bytes: u64,
    tasks: u64,
    polls: u64,
    poll_buckets: Vec<u64>,
    requests: u64,
    refused: u64,
    in_flight: i64,
    request_buckets: Vec<u64>,
    db_queries: u64,
    db_seconds: f64,
    heap_bytes: u64,
}

type Reading = BTreeMap<(String, String), Counts>;

/// Readings kept. Rates are over all of them: enough to be smooth, few enough to be current.
const READINGS_MAX: usize = 6;
/// The least time between two kept readings.
const STEP: Duration = Duration::from_secs(1);

/// Reads the usage of this process.
pub(crate) struct Meter {
    clock: Clock,
    endpoints: Option<Arc<Endpoints>>,
    store: Option<Store>,
    profiler: Option<Profiler>,
    readings: Mutex<VecDeque<(Duration, Reading)>>,
}

/// Usage by member and operation.
pub(crate) type UsageByOperation = BTreeMap<(String, String), Usage>;

impl Meter {
    pub(crate) fn new(
        clock: Clock,
        endpoints: Option<Arc<Endpoints>>,
        store: Option<Store>,
        profiler: Option<Profiler>,
    ) -> Self {
        let meter = Self {
            clock,
            endpoints,
            store,
            profiler,
            readings: Mutex::default(),
        };
        meter.read();
        meter
    }

    /// The current usage.
    pub(crate) fn read(&self) -> UsageByOperation {
        let now = self.clock.monotonic();
        let (reading, rate_bytes) = self.counts();
        let mut readings = self.readings.lock().unwrap_or_else(PoisonError::into_inner);
        let nothing = (now, Reading::new());
        let (then, before) = readings.front().unwrap_or(&nothing);
        let span = now.saturating_sub(*then).as_secs_f64();
        let none = Counts::default();
        let usages = reading
            .iter()
            .map(|(key, counts)| {
                let before = before.get(key).unwrap_or(&none);
                (key.clone(), usage(counts, before, span, rate_bytes))
            })
            .collect();
        let is_new = readings
            .back()
            .is_none_or(|(at, _)| now.saturating_sub(*at) >= STEP);
        if is_new {
            readings.push_back((now, reading));
        }
        if readings.len() > READINGS_MAX {
            readings.pop_front();
        }
        usages
    }

    fn counts(&self) -> (Reading, u64) {
        let mut reading = Reading::new();
        let mut update = |member: &str, op: &str, add: &mut dyn FnMut(&mut Counts)| {
            let key = (member.to_owned(), op.to_owned());
            add(reading.entry(key).or_default());
        };
        let usages = davy_tag::usage();
        let untagged = davy_tag::untagged_cpu_nanos(&usages);
        update("", "", &mut |counts| counts.cpu_nanos = untagged);
        for usage in usages {
            update(usage.tag.member(), usage.tag.op(), &mut |counts| {
                counts.cpu_nanos = usage.cpu_nanos;
                counts.alloc_bytes = usage.allocated_bytes;
                counts.tasks = usage.tasks;
                counts.polls = usage.polls;
                counts.poll_buckets = usage.poll_buckets.to_vec();
            });
        }
        if let Some(profiler) = &self.profiler {
            // Not part of the process's own CPU time.
            let nanos = (profiler.stats().symbol_children_seconds * 1e9) as u64;
            update("profiler", "symbolize", &mut |counts| {
                counts.cpu_nanos += nanos;
            });
        }
        let heap = self.profiler.as_ref().map(Profiler::live_heap);
        let rate_bytes = heap.as_ref().map_or(0, |heap| heap.rate_bytes);
        for live in heap.into_iter().flat_map(|heap| heap.tags) {
            update(live.tag.member(), live.tag.op(), &mut |counts| {
                counts.heap_bytes = live.bytes;
            });
        }
        let endpoints = self.endpoints.iter();
        for (member, op, statistics) in endpoints.flat_map(|endpoints| endpoints.statistics()) {
            update(&member, &op, &mut |counts| {
                counts.requests = statistics.requests;
                counts.refused = statistics.refused;
                counts.in_flight = statistics.in_flight;
                counts.request_buckets.clone_from(&statistics.buckets);
            });
        }
        let stores = self.store.iter();
        for queries in stores.flat_map(|store| store.stats().queries) {
            update(&queries.member, &queries.op, &mut |counts| {
                counts.db_queries += queries.queries;
                counts.db_seconds += queries.seconds;
            });
        }
        (reading, rate_bytes)
    }
}

fn usage(now: &Counts, before: &Counts, span: f64, rate_bytes: u64) -> Usage {
    let rate = |now: u64, before: u64| {
        if span > 0.0 {
            now.saturating_sub(before) as f64 / span
        } else {
            0.0
        }
    };
    Usage {
        cpu_seconds: now.cpu_nanos as f64 / 1e9,
        cpu: rate(now.cpu_nanos, before.cpu_nanos) / 1e9,
        heap_bytes: now.heap_bytes,
        heap_error_bytes: (rate_bytes as f64 * now.heap_bytes as f64).sqrt() as u64,
        alloc_bytes: now.alloc_bytes,
        alloc_bytes_per_second: rate(now.alloc_bytes, before.alloc_bytes),
        tasks: now.tasks,
        polls: now.polls,
        poll_p99_seconds: p99(
            &POLL_BOUNDS_SECONDS,
            &now.poll_buckets,
            &before.poll_buckets,
        ),
        requests: now.requests,
        requests_per_second: rate(now.requests, before.requests),
        request_p99_seconds: p99(
            &DURATION_BOUNDS_SECONDS,
            &now.request_buckets,
            &before.request_buckets,
        ),
        in_flight: now.in_flight,
        refused: now.refused,
        db_queries: now.db_queries,
        db_seconds: now.db_seconds,
    }
}

/// The factor by which a percentile above the last bound is reported larger than that bound, so that
/// the two can be distinguished.
const ABOVE_LAST_BOUND: f64 = 1.001;

/// The 99th percentile of what was counted since `before`, as the upper bound of its bucket; 0 if
/// nothing was counted.
fn p99(bounds: &[f64], now: &[u64], before: &[u64]) -> f64 {
    let counted: Vec<u64> = now
        .iter()
        .enumerate()
        .map(|(index, count)| count.saturating_sub(before.get(index).copied().unwrap_or(0)))
        .collect();
    let total: u64 = counted.iter().sum();
    if total == 0 {
        return 0.0;
    }
    let rank = (total * 99).div_ceil(100);
    let mut below = 0;
    for (index, count) in counted.iter().enumerate() {
        below += count;
        if below >= rank {
            let last = bounds.last().copied().unwrap_or(0.0);
            return bounds
                .get(index)
                .copied()
                .unwrap_or(last * ABOVE_LAST_BOUND);
        }
    }
    0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_near(found: f64, expected: f64) {
        assert!(
            (found - expected).abs() < 1e-12,
            "expected {expected}, got {found}"
        );
    }

    #[test]
    fn p99_is_the_upper_bound_of_its_bucket_since_the_last_reading() {
        let bounds = [0.001, 0.01, 0.1];
        assert_near(p99(&bounds, &[99, 1, 0, 0], &[]), 0.001);
        assert_near(p99(&bounds, &[98, 2, 0, 0], &[]), 0.01);
        assert_near(p99(&bounds, &[98, 2, 0, 0], &[98, 0, 0, 0]), 0.01);
        assert_near(p99(&bounds, &[0, 0, 5, 0], &[]), 0.1);
        assert_near(p99(&bounds, &[0, 0, 0, 5], &[]), 0.100_1);
        assert_near(p99(&bounds, &[7, 0, 0, 0], &[7, 0, 0, 0]), 0.0);
    }

    #[test]
    fn rates_are_since_the_last_reading_and_heap_error_grows_with_the_square_root() {
        let before = Counts {
            cpu_nanos: 1_000_000_000,
            ..Counts::default()
        };
        let now = Counts {
            cpu_nanos: 3_000_000_000,
            heap_bytes: 64 << 20,
            ..Counts::default()
        };
        let usage = usage(&now, &before, 4.0, 512 << 10);
        assert_near(usage.cpu_seconds, 3.0);
        assert_near(usage.cpu, 0.5);
        // sqrt(512 KiB * 64 MiB) = 5.66 MiB
        assert_eq!(usage.heap_error_bytes >> 10, 5_792);
    }
}
