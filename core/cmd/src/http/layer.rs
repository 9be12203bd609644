//! What every request passes: its tag, its figures, compression, and an answer for a path that
//! nobody serves.

use super::Problem;
use super::operations::{OWN, Operation};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{StatusCode, Uri};
use axum::middleware::Next;
use axum::response::Response;
use axum::{Router, middleware};
use davy_base::Clock;
use davy_tag::Tag;
use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec, Registry};
use std::collections::HashMap;
use std::sync::Arc;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{Predicate as _, SizeAbove};

/// All operations by method and path, with their figures.
#[derive(Debug)]
pub(crate) struct Endpoints {
    clock: Clock,
    operations: Vec<Operation>,
    by_route: HashMap<(&'static str, &'static str), (Tag, Operation)>,
    requests: IntCounterVec,
    duration: HistogramVec,
    in_flight: IntGaugeVec,
}

/// Whose work a request is that matches no operation.
const UNKNOWN: (&str, &str) = ("api", "(unknown)");

impl Endpoints {
    /// Registers the figures of all operations.
    pub(crate) fn new(clock: Clock, registry: &Registry) -> Result<Arc<Self>, prometheus::Error> {
        let mut operations = OWN.to_vec();
        operations.extend(super::operations::of_archive());
        let by_route = operations
            .iter()
            .map(|op| ((op.method, op.path), (Tag::new(op.member, op.id), *op)))
            .collect();
        let requests = IntCounterVec::new(
            prometheus::opts!("davy_endpoint_requests_total", "Requests answered"),
            &["member", "op", "status"],
        )?;
        let duration = HistogramVec::new(
            prometheus::histogram_opts!(
                "davy_endpoint_duration_seconds",
                "Time from a request to its answer",
                vec![
                    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0
                ]
            ),
            &["member", "op"],
        )?;
        let in_flight = IntGaugeVec::new(
            prometheus::opts!("davy_endpoint_in_flight", "Requests under way"),
            &["member", "op"],
        )?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(duration.clone()))?;
        registry.register(Box::new(in_flight.clone()))?;
        Ok(Arc::new(Self {
            clock,
            operations,
            by_route,
            requests,
            duration,
            in_flight,
        }))
    }

    /// Every operation.
    pub(crate) fn operations(&self) -> &[Operation] {
        &self.operations
    }
}

async fn account(
    State(endpoints): State<Arc<Endpoints>>,
    request: Request,
    next: Next,
) -> Response {
    let path = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("", MatchedPath::as_str);
    let found = endpoints.by_route.get(&(request.method().as_str(), path));
    let (tag, member, op) = match found {
        Some((tag, operation)) => (*tag, operation.member, operation.id),
        None => (Tag::new(UNKNOWN.0, UNKNOWN.1), UNKNOWN.0, UNKNOWN.1),
    };
    let in_flight = InFlight::new(endpoints.in_flight.with_label_values(&[member, op]));
    let start = endpoints.clock.monotonic();
    let response = tag.wrap(next.run(request)).await;
    drop(in_flight);
    let seconds = endpoints
        .clock
        .monotonic()
        .saturating_sub(start)
        .as_secs_f64();
    endpoints
        .duration
        .with_label_values(&[member, op])
        .observe(seconds);
    endpoints
        .requests
        .with_label_values(&[member, op, response.status().as_str()])
        .inc();
    response
}

/// Counts down also when the client goes away in the middle.
struct InFlight(prometheus::IntGauge);

impl InFlight {
    fn new(gauge: prometheus::IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

async fn nothing_here(uri: Uri) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        format!(
            "there is nothing at {}; /api/v1/openapi.json describes the API",
            uri.path()
        ),
    )
}

/// Answers below this size are not worth packing.
const COMPRESS_ABOVE: u64 = 1_024;

/// Puts the layers around a listener's routes.
pub(crate) fn finish(router: Router, endpoints: &Arc<Endpoints>) -> Router {
    let worth_it =
        SizeAbove::new(COMPRESS_ABOVE).and(not_packed_already as fn(_, _, &_, &_) -> bool);
    router
        .fallback(nothing_here)
        .layer(middleware::from_fn_with_state(endpoints.clone(), account))
        .layer(CompressionLayer::new().gzip(true).compress_when(worth_it))
}

/// pprof goes out packed, under a media type of its own.
fn not_packed_already(
    _status: StatusCode,
    _version: axum::http::Version,
    headers: &axum::http::HeaderMap,
    _extensions: &axum::http::Extensions,
) -> bool {
    let media_type = headers
        .get(axum::http::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    !media_type.is_some_and(|media_type| media_type.starts_with("application/octet-stream"))
}
