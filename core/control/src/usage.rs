//! The usage of members and operations: CPU, heap, allocations, tasks, requests, queries.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The usage of an operation, of a member, or a sum of several. Totals are since the start of the
/// process; rates and quantiles are over the last six seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Usage {
    /// CPU time, in seconds.
    pub cpu_seconds: f64,
    /// CPU time per second; 1 is one core.
    pub cpu: f64,
    /// Live heap in bytes, estimated from samples.
    pub heap_bytes: u64,
    /// Standard error of `heap_bytes`, in bytes.
    pub heap_error_bytes: u64,
    /// Allocated bytes, exact.
    pub alloc_bytes: u64,
    /// Allocated bytes per second.
    pub alloc_bytes_per_second: f64,
    /// Live tasks.
    pub tasks: u64,
    /// Polls of tasks.
    pub polls: u64,
    /// 99th percentile of poll durations, in seconds.
    pub poll_p99_seconds: f64,
    /// Requests answered, including refused ones.
    pub requests: u64,
    /// Requests per second.
    pub requests_per_second: f64,
    /// 99th percentile of request durations, in seconds.
    pub request_p99_seconds: f64,
    /// Requests whose response is not sent yet.
    pub in_flight: i64,
    /// Requests refused by a toggle or a limit.
    pub refused: u64,
    /// Database queries.
    pub db_queries: u64,
    /// Duration of all database queries, in seconds.
    pub db_seconds: f64,
}

impl Usage {
    /// Adds another usage. Of percentiles, which can't be added, the larger one is kept.
    pub fn add(&mut self, other: &Self) {
        self.cpu_seconds += other.cpu_seconds;
        self.cpu += other.cpu;
        self.heap_bytes += other.heap_bytes;
        // The variances of independent estimates add up.
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
