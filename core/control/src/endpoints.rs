//! What every request passes: whether its endpoint answers now, whose work it is, its figures.

mod body;
mod figures;
mod slots;

pub use body::Cut;
pub(crate) use figures::{DURATION_BOUNDS_SECONDS, EndpointFigures};
pub use slots::Fleet;

use crate::operations::{Operation, operations};
use crate::problem::Problem;
use crate::way_back::{DebugPort, is_toggling};
use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use body::Accounted;
use davy_base::Clock;
use davy_runtime::{Effective, Target, Toggles};
use davy_tag::Tag;
use figures::Figures;
use prometheus::Registry;
use slots::Slots;
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{Predicate as _, SizeAbove};

/// All endpoints with their toggles and figures.
#[derive(Debug)]
pub struct Endpoints {
    clock: Clock,
    toggles: Toggles,
    operations: Vec<Operation>,
    /// By operation, each once.
    doors: Vec<Door>,
    by_route: HashMap<(&'static str, &'static str), usize>,
    figures: Figures,
    slots: Slots,
    debug: DebugPort,
}

/// What is known of an endpoint before a request comes.
#[derive(Debug)]
struct Door {
    operation: Operation,
    tag: Tag,
    debug_tag: Tag,
    member: Target,
    endpoint: Target,
}

/// Who asks: the listener that a request came in by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// A listener for everybody: toggles hold.
    Public,
    /// The process's own debug port. It stays open whatever is disabled, so that toggles can
    /// be thrown there; its work is on the usage of the member `debug`.
    Debug,
}

/// Whose work a request is that matches no operation.
const UNKNOWN: (&str, &str) = ("api", "(unknown)");

impl Endpoints {
    /// Registers the figures of all endpoints. `fleet` shares limits between processes; `debug` is named
    /// where it is the only way to toggle something on again.
    pub fn new(
        clock: Clock,
        toggles: Toggles,
        fleet: Option<Fleet>,
        debug: DebugPort,
        registry: &Registry,
    ) -> Result<Arc<Self>, prometheus::Error> {
        let operations: Vec<Operation> = operations().collect();
        let mut doors: Vec<Door> = Vec::new();
        let mut by_route = HashMap::new();
        for operation in &operations {
            let known = doors
                .iter()
                .position(|door| door.operation.id == operation.id);
            let index = known.unwrap_or_else(|| {
                doors.push(Door {
                    operation: *operation,
                    tag: Tag::new(operation.member, operation.id),
                    debug_tag: Tag::new("debug", operation.id),
                    member: Target::Member(operation.member.to_owned()),
                    endpoint: Target::Endpoint(operation.id.to_owned()),
                });
                doors.len() - 1
            });
            by_route.insert((operation.method, operation.path), index);
        }
        let slots = Slots::new(clock.clone(), fleet, doors.len());
        Ok(Arc::new(Self {
            figures: Figures::new(registry)?,
            clock,
            toggles,
            operations,
            doors,
            by_route,
            slots,
            debug,
        }))
    }

    /// Every operation; one with several routes comes several times.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// How something that was disabled live is enabled again, where the API can't do it.
    pub(crate) fn way_back(&self, target: &Target) -> Option<String> {
        self.debug.way_back(target)
    }

    /// The figures of every operation that was asked for: member, operation, figures.
    pub(crate) fn all_figures(&self) -> Vec<(String, String, EndpointFigures)> {
        self.figures.read()
    }
}

/// Why a request is not let in.
enum Refusal {
    Off(String),
    Limited(String),
    Late(String),
}

impl Refusal {
    const fn reason(&self) -> &'static str {
        match self {
            Self::Off(_) => "off",
            Self::Limited(_) => "limited",
            Self::Late(_) => "slot",
        }
    }

    fn problem(self) -> Problem {
        match self {
            Self::Off(detail) | Self::Late(detail) => {
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
            }
            Self::Limited(detail) => {
                Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(1)
            }
        }
    }
}

/// The sentence for a toggle that is off, and the way back if it needs to be told.
fn off(what: &str, effective: &Effective, way_back: Option<String>) -> Refusal {
    let Some(by) = &effective.by else {
        return Refusal::Off(format!("{what} is disabled"));
    };
    let who = if by.who.is_empty() {
        &by.source
    } else {
        &by.who
    };
    let why = if by.why.is_empty() {
        "no reason was given"
    } else {
        &by.why
    };
    // What the configuration says is changed there.
    let way_back = way_back.filter(|_| by.source == "live");
    let way_back = way_back.map_or_else(String::new, |way_back| format!("; {way_back}"));
    Refusal::Off(format!(
        "{what} was disabled by {who} at {}: {why}{way_back}",
        by.at
    ))
}

#[derive(Clone)]
struct Layer {
    endpoints: Arc<Endpoints>,
    listener: Listener,
}

/// Ends when an endpoint is disabled.
type UntilOff = Pin<Box<dyn Future<Output = ()> + Send>>;

async fn account(State(layer): State<Layer>, request: Request, next: Next) -> Response {
    let Layer {
        endpoints,
        listener,
    } = layer;
    let path = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("", MatchedPath::as_str);
    // Where GET is answered HEAD is too, and costs the same.
    let method = match *request.method() {
        Method::HEAD => "GET",
        ref method => method.as_str(),
    };
    let found = endpoints.by_route.get(&(method, path));
    let Some(index) = found.copied() else {
        let (member, op) = UNKNOWN;
        let begun = endpoints.figures.begin(member, op);
        let start = endpoints.clock.monotonic();
        let response = Tag::new(member, op).wrap(next.run(request)).await;
        let took = endpoints.clock.monotonic().saturating_sub(start);
        begun.answered(response.status(), took);
        return response;
    };
    let cut = request.extensions().get::<Cut>().cloned();
    let door = &endpoints.doors[index];
    let (tag, member) = match listener {
        Listener::Public => (door.tag, door.operation.member),
        Listener::Debug => (door.debug_tag, "debug"),
    };
    let begun = endpoints.figures.begin(member, door.operation.id);
    let start = endpoints.clock.monotonic();
    let served = match listener {
        Listener::Public => endpoints.gated(index, tag, request, next).await,
        Listener::Debug => Ok((tag.wrap(next.run(request)).await, Hold::default())),
    };
    let (response, hold) = match served {
        Ok((response, hold)) => (response, hold),
        Err(refusal) => {
            begun.refused(refusal.reason());
            (refusal.problem().into_response(), Hold::default())
        }
    };
    let took = endpoints.clock.monotonic().saturating_sub(start);
    begun.answered(response.status(), took);
    response.map(|inner| axum::body::Body::new(Accounted::new(inner, tag, begun, hold, cut)))
}

/// What an answer that is being sent holds, and what ends it.
#[derive(Default)]
struct Hold {
    slot: Option<slots::Held>,
    until_off: Option<UntilOff>,
}

impl Endpoints {
    /// Why an endpoint does not answer, if it doesn't.
    fn closed(&self, index: usize) -> Option<Refusal> {
        let door = &self.doors[index];
        let member = self.toggles.effective(&door.member);
        if !member.enabled {
            let what = format!("member {}", door.operation.member);
            return Some(off(&what, &member, self.way_back(&door.member)));
        }
        let endpoint = self.toggles.effective(&door.endpoint);
        (!endpoint.enabled)
            .then(|| off(door.operation.id, &endpoint, self.way_back(&door.endpoint)))
    }

    /// Ends when an endpoint is disabled: what it holds is to go at once then.
    fn until_off(self: &Arc<Self>, index: usize) -> UntilOff {
        if is_toggling(self.doors[index].operation.id) {
            return Box::pin(std::future::pending());
        }
        let (this, mut changed) = (self.clone(), self.toggles.changed());
        Box::pin(async move {
            while this.closed(index).is_none() {
                if changed.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        })
    }

    /// Lets a request in as its toggles say, and holds its place until the answer is sent.
    async fn gated(
        self: &Arc<Self>,
        index: usize,
        tag: Tag,
        request: Request,
        next: Next,
    ) -> Result<(Response, Hold), Refusal> {
        if let Some(refusal) = self.closed(index) {
            return Err(refusal);
        }
        let mut until_off = self.until_off(index);
        let door = &self.doors[index];
        let endpoint = self.toggles.effective(&door.endpoint);
        let op = door.operation.id;
        let mut work = std::pin::pin!(tag.wrap(next.run(request)));
        let cut = || {
            self.closed(index)
                .unwrap_or_else(|| Refusal::Off(format!("{op} was disabled")))
        };
        let Some(limit) = endpoint.limit else {
            let response = tokio::select! {
                response = &mut work => response,
                () = &mut until_off => return Err(cut()),
            };
            let hold = Hold {
                slot: None,
                until_off: Some(until_off),
            };
            return Ok((response, hold));
        };
        let held = self.slots.take(index, op, limit, endpoint.slot).await;
        let held = held.ok_or_else(|| {
            Refusal::Limited(format!(
                "{op} is limited to {limit} requests at a time; try again in a second"
            ))
        })?;
        let served = tokio::select! {
            served = tokio::time::timeout(endpoint.slot, &mut work) => served,
            () = &mut until_off => return Err(cut()),
        };
        match served {
            Ok(response) => Ok((
                response,
                Hold {
                    slot: Some(held),
                    until_off: Some(until_off),
                },
            )),
            Err(_) => Err(Refusal::Late(format!(
                "{op} took longer than the {} that a request may hold its place under a limit",
                humantime::format_duration(endpoint.slot)
            ))),
        }
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

/// Puts the layers around a listener's routes. Packing is inside of the account: it is on the usage
/// of the endpoint whose answer it is.
pub fn finish(router: Router, endpoints: &Arc<Endpoints>, listener: Listener) -> Router {
    let worth_it =
        SizeAbove::new(COMPRESS_ABOVE).and(not_packed_already as fn(_, _, &_, &_) -> bool);
    let layer = Layer {
        endpoints: endpoints.clone(),
        listener,
    };
    router
        .fallback(nothing_here)
        .layer(CompressionLayer::new().gzip(true).compress_when(worth_it))
        .layer(middleware::from_fn_with_state(layer, account))
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
