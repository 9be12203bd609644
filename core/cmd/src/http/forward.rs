//! Forwards requests for members in child processes over the child's socket.

use axum::body::Body;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Uri, Version, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, any};
use davy_base::Clock;
use davy_control::{Caller, Problem};
use http_body_util::{BodyExt as _, Limited};
use hyper::upgrade::OnUpgrade;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::path::PathBuf;
use std::time::Duration;

use super::unix::{SpawnTagged, UnixConnector};

/// The header in which a parent passes the origin of a request to its child. TCP listeners remove it.
pub(super) const CALLER: &str = "davy-caller";
/// Its value for [`Caller::Local`]; any other one means [`Caller::Remote`].
pub(super) const LOCAL: &str = "local";

/// Headers that are meant for one connection only (hop-by-hop).
const HOP_BY_HOP: [HeaderName; 5] = [
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// How long an unused connection to a child is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Unused connections kept to one child.
const IDLE_CONNECTIONS_MAX: usize = 32;
/// How long a child may take to return its metrics.
const SCRAPE_TIMEOUT: Duration = Duration::from_secs(2);
/// The size of the metrics of a child, at most.
const SCRAPE_BYTES_MAX: usize = 16 << 20;

/// A pooled HTTP client for one child process. Cheap to clone; clones share the pool.
#[derive(Clone)]
pub(crate) struct ChildClient {
    process: String,
    client: Client<UnixConnector, Body>,
    /// For gRPC, whose status is in trailers.
    http2: Client<UnixConnector, Body>,
    clock: Clock,
}

impl ChildClient {
    /// A client for the child `process` that listens on `socket`.
    pub(crate) fn new(process: &str, socket: PathBuf, clock: Clock) -> Self {
        let mut builder = Client::builder(SpawnTagged);
        builder
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX);
        let client = builder.build(UnixConnector::new(socket.clone()));
        let http2 = builder.http2_only(true).build(UnixConnector::new(socket));
        Self {
            process: process.to_owned(),
            client,
            http2,
            clock,
        }
    }

    /// A route that the child answers.
    pub(crate) fn route(&self) -> MethodRouter {
        let this = self.clone();
        any(
            async move |request: Request<Body>| match this.send(request).await {
                Ok(response) => response,
                Err(error) => {
                    tracing::debug!(process = this.process, %error, "cannot forward a request");
                    let detail = format!(
                        "process {} does not respond ({error}); it is being restarted, try again in a second",
                        this.process
                    );
                    Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
                        .retry_after(1)
                        .into_response()
                }
            },
        )
    }

    /// The metrics of the child; `None` if it doesn't return them in time.
    pub(crate) async fn metrics(&self) -> Option<String> {
        let request = Request::get("/metrics").body(Body::empty()).ok()?;
        let scrape = async {
            let response = self.send(request).await.ok()?;
            let body = Limited::new(response.into_body(), SCRAPE_BYTES_MAX);
            let bytes = body.collect().await.ok()?.to_bytes();
            String::from_utf8(bytes.to_vec()).ok()
        };
        self.clock.timeout(SCRAPE_TIMEOUT, scrape).await.ok()?
    }

    async fn send(
        &self,
        mut request: Request<Body>,
    ) -> Result<Response, Box<dyn std::error::Error + Send + Sync>> {
        // Taken before the headers: both connections become one after the response.
        let upgrade = is_websocket(&request).then(|| hyper::upgrade::on(&mut request));
        for name in HOP_BY_HOP {
            request.headers_mut().remove(name);
        }
        if upgrade.is_some() {
            set_upgrade(request.headers_mut());
        }
        if request.extensions().get() == Some(&Caller::Local) {
            let local = HeaderValue::from_static(LOCAL);
            request.headers_mut().insert(CALLER, local);
        }
        let path = request.uri().path_and_query().cloned();
        // The connector ignores the authority; it is the key of the pool.
        *request.uri_mut() = Uri::builder()
            .scheme("http")
            .authority("child")
            .path_and_query(path.unwrap_or_else(|| PathAndQuery::from_static("/")))
            .build()?;
        let (client, version) = if is_grpc(&request) {
            (&self.http2, Version::HTTP_2)
        } else {
            (&self.client, Version::HTTP_11)
        };
        *request.version_mut() = version;
        let mut response = client.request(request).await.map_err(cause)?;
        for name in HOP_BY_HOP {
            response.headers_mut().remove(name);
        }
        if response.status() == StatusCode::SWITCHING_PROTOCOLS
            && let Some(person) = upgrade
        {
            set_upgrade(response.headers_mut());
            let child = hyper::upgrade::on(&mut response);
            davy_tag::spawn(connect(person, child));
        }
        Ok(response.map(Body::new))
    }
}

/// Whether a request asks for a WebSocket.
fn is_websocket(request: &Request<Body>) -> bool {
    let upgrade = request.headers().get(header::UPGRADE);
    upgrade.is_some_and(|upgrade| upgrade.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

fn set_upgrade(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
}

/// Passes bytes on in both directions until one side closes its connection.
async fn connect(person: OnUpgrade, child: OnUpgrade) {
    let (person, child) = match (person.await, child.await) {
        (Ok(person), Ok(child)) => (person, child),
        (Err(error), _) | (_, Err(error)) => {
            tracing::debug!(%error, "cannot connect a WebSocket to a child process");
            return;
        }
    };
    let (mut person, mut child) = (TokioIo::new(person), TokioIo::new(child));
    if let Err(error) = tokio::io::copy_bidirectional(&mut person, &mut child).await {
        tracing::debug!(%error, "WebSocket lost");
    }
}

/// Whether a request came over HTTP/2 and needs its trailers.
fn is_grpc(request: &Request<Body>) -> bool {
    let media = request.headers().get(header::CONTENT_TYPE);
    let is_grpc = media.is_some_and(|media| media.as_bytes().starts_with(b"application/grpc"));
    is_grpc && request.version() == Version::HTTP_2
}

/// The innermost error, which names the reason: the outer ones only say that the request failed.
fn cause(error: hyper_util::client::legacy::Error) -> Box<dyn std::error::Error + Send + Sync> {
    let mut source = std::error::Error::source(&error);
    let mut text = error.to_string();
    while let Some(inner) = source {
        text = inner.to_string();
        source = inner.source();
    }
    text.into()
}

/// A route of a member that runs in a process to which requests are not forwarded.
pub(crate) fn absent(operation: &'static str, member: &'static str, process: &str) -> MethodRouter {
    let detail = format!(
        "{operation} is served by member {member}, which is not in this process ({process}); `davy members` shows where it runs"
    );
    any(async move || Problem::new(StatusCode::NOT_FOUND, detail))
}
