//! What members and operations cost, and the meter that reads it.
//!
//! There is one source of figures: poll accounting and sampled live heap of this process, the
//! figures of its endpoints and of its database queries. Metrics, the API, `davy top` and the page
//! all show what the meter reads.

use crate::endpoints::{DURATION_BOUNDS_SECONDS, Endpoints};
use davy_base::Clock;
use davy_profiler::Handle as Profiler;
use davy_store::Store;
use davy_tag::POLL_BOUNDS_SECONDS;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What one operation, one member or a sum of them costs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// CPU time since the start of the process, in seconds.
    pub cpu_seconds: f64,
    /// CPU time of the last seconds by their length: 1 is one core.
    pub cpu: f64,
    /// Live heap in bytes, estimated from samples.
    pub heap_bytes: u64,
    /// Standard error of `heap_bytes`, in bytes.
    pub heap_error_bytes: u64,
    /// Bytes allocated since the start, exactly.
    pub alloc_bytes: u64,
    /// Bytes allocated in a second of the last ones.
    pub alloc_bytes_per_second: f64,
    /// Tasks alive.
    pub tasks: u64,
    /// Polls since the start.
    pub polls: u64,
    /// 99 of 100 polls of the last seconds took at most this long, in seconds.
    pub poll_p99_seconds: f64,
    /// Requests answered since the start, refused ones included.
    pub requests: u64,
    /// Requests in a second of the last ones.
    pub requests_per_second: f64,
    /// 99 of 100 requests of the last seconds took at most this long, in seconds.
    pub request_p99_seconds: f64,
    /// Requests under way.
    pub in_flight: i64,
    /// Requests refused by a toggle or a limit since the start.
    pub refused: u64,
    /// Database queries since the start.
    pub db_queries: u64,
    /// Time that they took, in seconds.
    pub db_seconds: f64,
}

impl Usage {
    /// Adds what another part costs. Quantiles don't add up: the larger one stays.
    pub fn add(&mut self, other: &Self) {
        self.cpu_seconds += other.cpu_seconds;
        self.cpu += other.cpu;
        self.heap_bytes += other.heap_bytes;
        // Independent errors add up in their squares.
        self.heap_error_bytes =
            (self.heap_error_bytes as f64).hypot(other.heap_error_bytes as f64) as u64;
        self.alloc_bytes += other.alloc_bytes;
        self.alloc_bytes_per_second += other.alloc_bytes_per_second;
        self.tasks += other.tasks;
        self.polls += other.polls;
        self.poll_p99_seconds = self.poll_p99_seconds.max(other.poll_p99_seconds);
        self.requests += other.requests;
        self.requests_per_second += other.requests_per_second;
        self.request_p99_seconds = self.request_p99_seconds.max(other.request_p99_seconds);
        self.in_flight += other.in_flight;
        self.refused += other.refused;
        self.db_queries += other.db_queries;
        self.db_seconds += other.db_seconds;
    }
}

/// Counts of one operation at one time, from which rates are made.
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

/// Rates are over the last few readings, so that they neither jump nor lag.
const READINGS: usize = 6;
/// Readings are at least so far apart.
const STEP: Duration = Duration::from_secs(1);

/// Reads the usages of this process.
pub(crate) struct Meter {
    clock: Clock,
    endpoints: Arc<Endpoints>,
    store: Store,
    profiler: Option<Profiler>,
    readings: Mutex<VecDeque<(Duration, Reading)>>,
}

/// Usages by member and operation.
pub(crate) type Usages = BTreeMap<(String, String), Usage>;

impl Meter {
    pub(crate) fn new(
        clock: Clock,
        endpoints: Arc<Endpoints>,
        store: Store,
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

    /// The usages now.
    pub(crate) fn read(&self) -> Usages {
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
        if readings.len() > READINGS {
            readings.pop_front();
        }
        usages
    }

    fn counts(&self) -> (Reading, u64) {
        let mut reading = Reading::new();
        let mut of = |member: &str, op: &str, add: &mut dyn FnMut(&mut Counts)| {
            let key = (member.to_owned(), op.to_owned());
            add(reading.entry(key).or_default());
        };
        let usages = davy_tag::usages();
        let untagged = davy_tag::untagged_cpu_nanos(&usages);
        of("", "", &mut |counts| counts.cpu_nanos = untagged);
        for usage in usages {
            of(usage.tag.member(), usage.tag.op(), &mut |counts| {
                counts.cpu_nanos = usage.cpu_nanos;
                counts.alloc_bytes = usage.allocated_bytes;
                counts.tasks = usage.tasks;
                counts.polls = usage.polls;
                counts.poll_buckets = usage.poll_buckets.to_vec();
            });
        }
        let heap = self.profiler.as_ref().map(Profiler::live_heap);
        let rate_bytes = heap.as_ref().map_or(0, |heap| heap.rate_bytes);
        for live in heap.into_iter().flat_map(|heap| heap.tags) {
            of(live.tag.member(), live.tag.op(), &mut |counts| {
                counts.heap_bytes = live.bytes;
            });
        }
        for (member, op, figures) in self.endpoints.all_figures() {
            of(&member, &op, &mut |counts| {
                counts.requests = figures.requests;
                counts.refused = figures.refused;
                counts.in_flight = figures.in_flight;
                counts.request_buckets.clone_from(&figures.buckets);
            });
        }
        for queries in self.store.figures().queries {
            of(&queries.member, &queries.op, &mut |counts| {
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

/// How much more than the last bound stands for whatever lies above it.
const BEYOND: f64 = 1.001;

/// The upper bound of the bucket that holds the 99th of 100, of what came since `before`. What lies
/// above the last bound is given as a thousandth more than that, so that it can be told from what lies
/// below.
fn p99(bounds: &[f64], now: &[u64], before: &[u64]) -> f64 {
    let came: Vec<u64> = now
        .iter()
        .enumerate()
        .map(|(index, count)| count.saturating_sub(before.get(index).copied().unwrap_or(0)))
        .collect();
    let total: u64 = came.iter().sum();
    if total == 0 {
        return 0.0;
    }
    let rank = (total * 99).div_ceil(100);
    let mut below = 0;
    for (index, count) in came.iter().enumerate() {
        below += count;
        if below >= rank {
            let last = bounds.last().copied().unwrap_or(0.0);
            return bounds.get(index).copied().unwrap_or(last * BEYOND);
        }
    }
    0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-12, "{found}, not {expected}");
    }

    #[test]
    fn the_99th_of_100_is_the_bound_of_its_bucket_among_what_came_since() {
        let bounds = [0.001, 0.01, 0.1];
        assert_near(p99(&bounds, &[99, 1, 0, 0], &[]), 0.001);
        assert_near(p99(&bounds, &[98, 2, 0, 0], &[]), 0.01);
        assert_near(p99(&bounds, &[98, 2, 0, 0], &[98, 0, 0, 0]), 0.01);
        assert_near(p99(&bounds, &[0, 0, 5, 0], &[]), 0.1);
        assert_near(p99(&bounds, &[0, 0, 0, 5], &[]), 0.100_1);
        assert_near(p99(&bounds, &[7, 0, 0, 0], &[7, 0, 0, 0]), 0.0);
    }

    #[test]
    fn rates_are_of_what_came_since_and_errors_grow_with_the_root() {
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
