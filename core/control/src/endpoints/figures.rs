//! The figures of endpoints.

use axum::http::StatusCode;
use prometheus::core::Collector as _;
use prometheus::proto::MetricType;
use prometheus::{
    HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, histogram_opts,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// Upper bounds of the buckets of request durations, in seconds.
pub(crate) const DURATION_BOUNDS_SECONDS: [f64; 12] = [
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// What was counted of one endpoint since the process began.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct EndpointFigures {
    /// Requests answered, refused ones included.
    pub(crate) requests: u64,
    /// Requests refused by a toggle or a limit.
    pub(crate) refused: u64,
    /// Requests under way.
    pub(crate) in_flight: i64,
    /// Requests by duration: up to each of [`DURATION_BOUNDS_SECONDS`], then above all.
    pub(crate) buckets: Vec<u64>,
}

#[derive(Debug)]
pub(super) struct Figures {
    requests: IntCounterVec,
    refused: IntCounterVec,
    duration: HistogramVec,
    in_flight: IntGaugeVec,
}

impl Figures {
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let figures = Self {
            requests: IntCounterVec::new(
                Opts::new("davy_endpoint_requests_total", "Requests answered"),
                &["member", "op", "status"],
            )?,
            refused: IntCounterVec::new(
                Opts::new(
                    "davy_endpoint_refused_total",
                    "Requests refused: the endpoint is off, is at its limit, or held its slot for too long",
                ),
                &["member", "op", "reason"],
            )?,
            duration: HistogramVec::new(
                histogram_opts!(
                    "davy_endpoint_duration_seconds",
                    "Time from a request to the head of its answer",
                    DURATION_BOUNDS_SECONDS.to_vec()
                ),
                &["member", "op"],
            )?,
            in_flight: IntGaugeVec::new(
                Opts::new(
                    "davy_endpoint_in_flight",
                    "Requests whose answer is not sent yet",
                ),
                &["member", "op"],
            )?,
        };
        registry.register(Box::new(figures.requests.clone()))?;
        registry.register(Box::new(figures.refused.clone()))?;
        registry.register(Box::new(figures.duration.clone()))?;
        registry.register(Box::new(figures.in_flight.clone()))?;
        Ok(figures)
    }

    /// A request has come.
    pub(super) fn begin(&self, member: &str, op: &str) -> Begun {
        let in_flight = self.in_flight.with_label_values(&[member, op]);
        in_flight.inc();
        Begun {
            in_flight,
            requests: self.requests.clone(),
            refused: self.refused.clone(),
            duration: self.duration.with_label_values(&[member, op]),
            member: member.to_owned(),
            op: op.to_owned(),
        }
    }

    /// What was counted of every endpoint so far.
    pub(super) fn read(&self) -> Vec<(String, String, EndpointFigures)> {
        let mut found: BTreeMap<(String, String), EndpointFigures> = BTreeMap::new();
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
                let figures = found.entry((label("member"), label("op"))).or_default();
                match family.get_field_type() {
                    MetricType::HISTOGRAM => {
                        let histogram = metric.get_histogram();
                        figures.requests = histogram.get_sample_count();
                        figures.buckets = by_bucket(histogram);
                    }
                    MetricType::GAUGE => figures.in_flight = metric.get_gauge().get_value() as i64,
                    _ => figures.refused += metric.get_counter().get_value() as u64,
                }
            }
        }
        let rows = found.into_iter();
        rows.map(|((member, op), figures)| (member, op, figures))
            .collect()
    }
}

/// Counts of each bucket alone; the last is of what lies above all bounds.
fn by_bucket(histogram: &prometheus::proto::Histogram) -> Vec<u64> {
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

/// A request under way; it is counted down also when the client goes away in the middle.
#[derive(Debug)]
pub(super) struct Begun {
    in_flight: IntGauge,
    requests: IntCounterVec,
    refused: IntCounterVec,
    duration: prometheus::Histogram,
    member: String,
    op: String,
}

impl Begun {
    pub(super) fn refused(&self, reason: &str) {
        self.refused
            .with_label_values(&[&self.member, &self.op, reason])
            .inc();
    }

    /// The head of the answer is there.
    pub(super) fn answered(&self, status: StatusCode, took: Duration) {
        self.duration.observe(took.as_secs_f64());
        self.requests
            .with_label_values(&[&self.member, &self.op, &status.as_str().to_owned()])
            .inc();
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.in_flight.dec();
    }
}
