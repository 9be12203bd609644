//! The layer that every request passes: parameters, toggle, limit, tag, metrics.

mod body;
mod durations;
mod slots;
mod statistics;

pub use body::Disconnect;
pub use slots::Fleet;
pub(crate) use statistics::{DURATION_BOUNDS_SECONDS, EndpointStatistics};

use crate::debug_port::{DebugPort, is_toggling};
use crate::operations::{Operation, operations};
use crate::parameters;
use crate::problem::Problem;
use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use body::{Disabled, Hold, MeteredBody};
use davy_base::Clock;
use davy_profile::units;
use davy_runtime::{Effective, Target, Toggles};
use davy_tag::Tag;
use davy_tag::http::{TaggedBody, begin_request};
use prometheus::Registry;
use slots::Slots;
use statistics::RequestMetrics;
use std::collections::HashMap;
use std::sync::Arc;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{Predicate as _, SizeAbove};

/// All endpoints with their toggles, limits and metrics.
#[derive(Debug)]
pub struct Endpoints {
    clock: Clock,
    toggles: Toggles,
    operations: Vec<Operation>,
    /// One for each operation id.
    entries: Vec<Endpoint>,
    /// Index into `entries`, by method and route.
    by_route: HashMap<(&'static str, &'static str), usize>,
    metrics: RequestMetrics,
    slots: Slots,
    debug: DebugPort,
}

/// An operation with everything that a request needs, prepared once.
#[derive(Debug)]
struct Endpoint {
    operation: Operation,
    tag: Tag,
    debug_tag: Tag,
    member: Target,
    target: Target,
}

/// The kind of listener that a request came in through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerKind {
    /// Serves users and agents: toggles and limits apply.
    Public,
    /// The debug port of the process. It responds even if members or endpoints are disabled, so
    /// that toggles can be changed there; its work is attributed to the member `debug`.
    Debug,
}

/// Member and operation of requests that match no operation.
const UNKNOWN: (&str, &str) = ("api", "(unknown)");

impl Endpoints {
    /// Registers the metrics of all endpoints. With `fleet`, limits hold over all processes.
    pub fn new(
        clock: Clock,
        toggles: Toggles,
        fleet: Option<Fleet>,
        debug: DebugPort,
        registry: &Registry,
    ) -> Result<Arc<Self>, prometheus::Error> {
        let operations: Vec<Operation> = operations().collect();
        let mut entries: Vec<Endpoint> = Vec::new();
        let mut by_route = HashMap::new();
        for operation in &operations {
            let known = entries
                .iter()
                .position(|endpoint| endpoint.operation.id == operation.id);
            let index = known.unwrap_or_else(|| {
                entries.push(Endpoint {
                    operation: *operation,
                    tag: Tag::new(operation.member, operation.id),
                    debug_tag: Tag::new("debug", operation.id),
                    member: Target::Member(operation.member.to_owned()),
                    target: Target::Endpoint(operation.id.to_owned()),
                });
                entries.len() - 1
            });
            by_route.insert((operation.method, operation.path), index);
        }
        let slots = Slots::new(clock.clone(), fleet, entries.len());
        Ok(Arc::new(Self {
            metrics: RequestMetrics::new(registry)?,
            clock,
            toggles,
            operations,
            entries,
            by_route,
            slots,
            debug,
        }))
    }

    /// Every operation, once for each of its routes.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The command that enables a target again, if the API can't.
    pub(crate) fn recovery(&self, target: &Target) -> Option<String> {
        self.debug.recovery(target)
    }

    /// Requests by duration of every endpoint, since the start of the process.
    pub fn request_counts(&self) -> Vec<davy_profiler::RequestCounts> {
        self.metrics.request_counts()
    }

    /// The request statistics of every endpoint, with its member and operation.
    pub(crate) fn statistics(&self) -> Vec<(String, String, EndpointStatistics)> {
        self.metrics.read()
    }
}

/// Why a request is not served.
enum Refusal {
    Disabled(String),
    LimitReached(String),
    SlotExpired(String),
}

impl Refusal {
    /// The value of the metric label `reason`.
    const fn reason(&self) -> &'static str {
        match self {
            Self::Disabled(_) => "disabled",
            Self::LimitReached(_) => "limit",
            Self::SlotExpired(_) => "slot",
        }
    }

    fn problem(self) -> Problem {
        match self {
            Self::Disabled(detail) | Self::SlotExpired(detail) => {
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
            }
            Self::LimitReached(detail) => {
                Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(1)
            }
        }
    }
}

/// The refusal of a disabled member or endpoint: by whom, when, why, and how to enable it.
fn disabled(name: &str, effective: &Effective, recovery: Option<String>) -> Refusal {
    let Some(by) = &effective.by else {
        return Refusal::Disabled(format!("{name} is disabled"));
    };
    let operator = if by.operator.is_empty() {
        &by.source
    } else {
        &by.operator
    };
    let why = if by.why.is_empty() {
        "no reason given"
    } else {
        &by.why
    };
    // A live command can't enable what the configuration disables.
    let recovery = recovery.filter(|_| by.source == "live");
    let recovery = recovery.map_or_else(String::new, |recovery| format!("; {recovery}"));
    Refusal::Disabled(format!(
        "{name} was disabled by {operator} at {}: {why}{recovery}",
        by.at
    ))
}

#[derive(Clone)]
struct Layer {
    endpoints: Arc<Endpoints>,
    listener: ListenerKind,
}

async fn account(State(layer): State<Layer>, request: Request, next: Next) -> Response {
    let Layer {
        endpoints,
        listener,
    } = layer;
    let path = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("", MatchedPath::as_str);
    // Routes for GET answer HEAD too, at the same cost.
    let method = match *request.method() {
        Method::HEAD => "GET",
        ref method => method.as_str(),
    };
    let found = endpoints.by_route.get(&(method, path));
    let Some(index) = found.copied() else {
        let (member, op) = UNKNOWN;
        let in_flight = endpoints.metrics.begin(member, op);
        let tag = Tag::new(member, op);
        let tagged = begin_request(tag);
        let start = endpoints.clock.monotonic();
        let response = tag.wrap(next.run(request)).await;
        let duration = endpoints.clock.monotonic().saturating_sub(start);
        in_flight.answered(response.status(), duration);
        return response.map(|body| axum::body::Body::new(TaggedBody::new(tag, tagged, body)));
    };
    let disconnect = request.extensions().get::<Disconnect>().cloned();
    let endpoint = &endpoints.entries[index];
    let (tag, member) = match listener {
        ListenerKind::Public => (endpoint.tag, endpoint.operation.member),
        ListenerKind::Debug => (endpoint.debug_tag, "debug"),
    };
    let tagged = begin_request(tag);
    let in_flight = endpoints.metrics.begin(member, endpoint.operation.id);
    let start = endpoints.clock.monotonic();
    // A disabled endpoint says so whatever the request asks for.
    let refusal = match listener {
        ListenerKind::Public => endpoints.refusal(index),
        ListenerKind::Debug => None,
    };
    let checked = parameters::check(&endpoint.operation, request.uri());
    let served = match (refusal, checked) {
        (Some(refusal), _) => Err(refusal),
        (None, Err(problem)) => Ok((problem.into_response(), Hold::default())),
        (None, Ok(())) => match listener {
            ListenerKind::Public => endpoints.gated(index, tag, request, next).await,
            ListenerKind::Debug => Ok((tag.wrap(next.run(request)).await, Hold::default())),
        },
    };
    let (response, hold) = match served {
        Ok((response, hold)) => (response, hold),
        Err(refusal) => {
            in_flight.refused(refusal.reason());
            (refusal.problem().into_response(), Hold::default())
        }
    };
    let duration = endpoints.clock.monotonic().saturating_sub(start);
    in_flight.answered(response.status(), duration);
    response.map(|inner| {
        let metered = MeteredBody::new(inner, in_flight, hold, disconnect);
        axum::body::Body::new(TaggedBody::new(tag, tagged, metered))
    })
}

impl Endpoints {
    /// The refusal, if the endpoint or its member is disabled.
    fn refusal(&self, index: usize) -> Option<Refusal> {
        let endpoint = &self.entries[index];
        let member = self.toggles.effective(&endpoint.member);
        if !member.enabled {
            let name = format!("member {}", endpoint.operation.member);
            return Some(disabled(&name, &member, self.recovery(&endpoint.member)));
        }
        let effective = self.toggles.effective(&endpoint.target);
        (!effective.enabled).then(|| {
            let recovery = self.recovery(&endpoint.target);
            disabled(endpoint.operation.id, &effective, recovery)
        })
    }

    /// Why an endpoint or its member is disabled, if it is; for work that goes on after the response.
    pub(crate) fn disabled_because(&self, id: &str) -> Option<String> {
        let index = self
            .entries
            .iter()
            .position(|endpoint| endpoint.operation.id == id)?;
        self.refusal(index).map(|refusal| refusal.problem().detail)
    }

    /// Completes when an endpoint is disabled, so that requests in flight can be ended.
    fn until_disabled(self: &Arc<Self>, index: usize) -> Disabled {
        if is_toggling(self.entries[index].operation.id) {
            return Box::pin(std::future::pending());
        }
        let (this, mut changed) = (self.clone(), self.toggles.changed());
        Box::pin(async move {
            while this.refusal(index).is_none() {
                if changed.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        })
    }

    /// Serves a request as its toggles allow. The result holds the slot until the response is sent.
    async fn gated(
        self: &Arc<Self>,
        index: usize,
        tag: Tag,
        request: Request,
        next: Next,
    ) -> Result<(Response, Hold), Refusal> {
        let mut disabled = self.until_disabled(index);
        let endpoint = &self.entries[index];
        let effective = self.toggles.effective(&endpoint.target);
        let op = endpoint.operation.id;
        let mut work = std::pin::pin!(tag.wrap(next.run(request)));
        let was_disabled = || {
            self.refusal(index)
                .unwrap_or_else(|| Refusal::Disabled(format!("{op} was disabled")))
        };
        let Some(limit) = effective.limit else {
            let response = tokio::select! {
                response = &mut work => response,
                () = &mut disabled => return Err(was_disabled()),
            };
            let hold = Hold {
                slot: None,
                disabled: Some(disabled),
            };
            return Ok((response, hold));
        };
        let held = self.slots.take(index, op, limit, effective.slot).await;
        let held = held.ok_or_else(|| {
            let requests =
                units::count(limit as usize, "concurrent request", "concurrent requests");
            Refusal::LimitReached(format!(
                "{op} is limited to {requests}; try again in a second"
            ))
        })?;
        let served = tokio::select! {
            served = self.clock.timeout(effective.slot, &mut work) => served,
            () = &mut disabled => return Err(was_disabled()),
        };
        let Ok(response) = served else {
            return Err(Refusal::SlotExpired(format!(
                "{op} timed out: it exceeded its slot time of {}",
                units::duration(effective.slot)
            )));
        };
        let hold = Hold {
            slot: Some(held),
            disabled: Some(disabled),
        };
        Ok((response, hold))
    }
}

fn not_found(listener: ListenerKind, path: &str) -> Problem {
    let hint = match listener {
        ListenerKind::Debug if path.starts_with("/api/v1/profiles") => {
            "this is the debug port of one process, which has no archive; send queries to the address of the page or of the archive"
        }
        _ => "/api/v1/openapi.json describes the API",
    };
    Problem::new(StatusCode::NOT_FOUND, format!("{path} not found; {hint}"))
}

/// Responses below this size are not compressed.
const COMPRESS_ABOVE_BYTES: u64 = 1_024;

/// Adds the fallback and the layers to the routes of a listener. Compression is inside the accounting
/// layer, so its CPU time is attributed to the endpoint.
pub fn finish(router: Router, endpoints: &Arc<Endpoints>, listener: ListenerKind) -> Router {
    let compressible =
        SizeAbove::new(COMPRESS_ABOVE_BYTES).and(is_not_compressed as fn(_, _, &_, &_) -> bool);
    let layer = Layer {
        endpoints: endpoints.clone(),
        listener,
    };
    router
        .fallback(async move |uri: Uri| not_found(listener, uri.path()))
        .layer(
            CompressionLayer::new()
                .gzip(true)
                .compress_when(compressible),
        )
        .layer(middleware::from_fn_with_state(layer, account))
}

/// pprof responses are gzip already, without a `Content-Encoding`; gRPC compresses its messages itself; server-sent
/// events would be delayed.
fn is_not_compressed(
    _status: StatusCode,
    _version: axum::http::Version,
    headers: &axum::http::HeaderMap,
    _extensions: &axum::http::Extensions,
) -> bool {
    let media_type = headers
        .get(axum::http::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let is_excluded = |media_type: &str| {
        [
            "application/octet-stream",
            "application/grpc",
            "text/event-stream",
        ]
        .iter()
        .any(|prefix| media_type.starts_with(prefix))
    };
    !media_type.is_some_and(is_excluded)
}
