//! Request metrics of endpoints.

use super::durations::{AllDurations, Durations};
use crate::metrics::catalogue::entry;
use axum::http::StatusCode;
use davy_archive::metrics::register;
use davy_profiler::RequestCounts;
use prometheus::core::Collector as _;
use prometheus::proto::MetricType;
use prometheus::{HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Registry};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Upper bounds of the histogram buckets of request durations, in seconds.
pub(crate) const DURATION_BOUNDS_SECONDS: [f64; 12] = [
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Request counts of one endpoint since the start of the process.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct EndpointStatistics {
    /// Requests answered, including refused ones.
    pub(crate) requests: u64,
    /// Requests refused by a toggle or a limit.
    pub(crate) refused: u64,
    /// Requests whose response is not sent yet.
    pub(crate) in_flight: i64,
    /// Requests by duration: one count for each of [`DURATION_BOUNDS_SECONDS`], then one for all longer
    /// ones. Not cumulative.
    pub(crate) buckets: Vec<u64>,
}

/// The metrics of all endpoints.
#[derive(Debug)]
pub(super) struct RequestMetrics {
    requests: IntCounterVec,
    refused: IntCounterVec,
    duration: HistogramVec,
    in_flight: IntGaugeVec,
    by_duration: AllDurations,
}

impl RequestMetrics {
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counters = |name| {
            let entry = entry(name)?;
            register(registry, IntCounterVec::new(entry.opts(), entry.labels)?)
        };
        let duration = entry("davy_endpoint_duration_seconds")?;
        let bounds = duration.histogram_opts(&DURATION_BOUNDS_SECONDS);
        let in_flight = entry("davy_endpoint_in_flight")?;
        Ok(Self {
            requests: counters("davy_endpoint_requests_total")?,
            refused: counters("davy_endpoint_refused_total")?,
            duration: register(registry, HistogramVec::new(bounds, duration.labels)?)?,
            in_flight: register(
                registry,
                IntGaugeVec::new(in_flight.opts(), in_flight.labels)?,
            )?,
            by_duration: AllDurations::default(),
        })
    }

    /// Counts a request as in flight until the result is dropped.
    pub(super) fn begin(&self, member: &str, op: &str) -> InFlight {
        let gauge = self.in_flight.with_label_values(&[member, op]);
        gauge.inc();
        InFlight {
            gauge,
            requests: self.requests.clone(),
            refused: self.refused.clone(),
            duration: self.duration.with_label_values(&[member, op]),
            by_duration: self.by_duration.of(member, op),
            member: member.to_owned(),
            op: op.to_owned(),
        }
    }

    /// Requests by duration of every endpoint.
    pub(super) fn request_counts(&self) -> Vec<RequestCounts> {
        self.by_duration.read()
    }

    /// The statistics of every endpoint that has received a request, with its member and operation.
    pub(super) fn read(&self) -> Vec<(String, String, EndpointStatistics)> {
        let mut found: BTreeMap<(String, String), EndpointStatistics> = BTreeMap::new();
        let collected = [
            self.duration.collect(),
            self.in_flight.collect(),
            self.refused.collect(),
        ];
        for family in collected.iter().flatten() {
            for metric in family.get_metric() {
                let label = |name: &str| {
                    let found = metric.get_label().iter().find(|label| label.name() == name);
                    found.map_or_else(String::new, |label| label.value().to_owned())
                };
                let entry = found.entry((label("member"), label("op"))).or_default();
                match family.get_field_type() {
                    MetricType::HISTOGRAM => {
                        let histogram = metric.get_histogram();
                        entry.requests = histogram.get_sample_count();
                        entry.buckets = counts_by_bucket(histogram);
                    }
                    MetricType::GAUGE => entry.in_flight = metric.get_gauge().get_value() as i64,
                    _ => entry.refused += metric.get_counter().get_value() as u64,
                }
            }
        }
        let rows = found.into_iter();
        rows.map(|((member, op), statistics)| (member, op, statistics))
            .collect()
    }
}

/// The counts of a histogram, not cumulative; the last one is above all bounds.
fn counts_by_bucket(histogram: &prometheus::proto::Histogram) -> Vec<u64> {
    let mut below = 0;
    let cumulative = histogram
        .get_bucket()
        .iter()
        .map(prometheus::proto::Bucket::cumulative_count);
    cumulative
        .chain([histogram.get_sample_count()])
        .map(|count| count - std::mem::replace(&mut below, count))
        .collect()
}

/// A request in flight. Dropping it ends the count, also when the client disconnects early.
#[derive(Debug)]
pub(super) struct InFlight {
    gauge: IntGauge,
    requests: IntCounterVec,
    refused: IntCounterVec,
    duration: prometheus::Histogram,
    by_duration: Arc<Durations>,
    member: String,
    op: String,
}

impl InFlight {
    pub(super) fn refused(&self, reason: &str) {
        self.refused
            .with_label_values(&[&self.member, &self.op, reason])
            .inc();
    }

    /// Records the head of the response.
    pub(super) fn answered(&self, status: StatusCode, duration: Duration) {
        self.duration.observe(duration.as_secs_f64());
        self.by_duration.add(status, duration);
        self.requests
            .with_label_values(&[&self.member, &self.op, &status.as_str().to_owned()])
            .inc();
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}
