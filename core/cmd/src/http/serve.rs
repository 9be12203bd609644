//! Serves a listener until the drain.

use super::forward::{CALLER, LOCAL};
use super::listener::{Listener, Stream};
use axum::Router;
use axum::http::{HeaderName, HeaderValue, Request, header};
use axum::response::{IntoResponse as _, Response};
use davy_base::Clock;
use davy_control::{Access, Caller, Connection, Disconnect};
use davy_runtime::Context;
use davy_tag::Tag;
use davy_tag::http::Connection as TaggedConnection;
use futures_util::future::{Either, Ready, ready};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Operation of connections.
const CONNECTION: &str = "connection";
/// The pause after a failed accept, usually because no file descriptor is free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a client may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);
/// Concurrent connections of a listener; further ones wait in the backlog.
const CONNECTIONS_MAX: usize = 1_024;
/// Headers of every response that does not have them itself. The page and drawings have policies of their own.
const SAFE_HEADERS: [(HeaderName, &str); 3] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CACHE_CONTROL, "no-store"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'",
    ),
];
/// How long a drain waits for requests in flight.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(8);

/// Serves HTTP/1 and HTTP/2 until the drain, then finishes the requests in flight.
///
/// Every connection is a task of the operation `connection` of the listener's member. What it does for a
/// request is attributed to the request's endpoint.
pub(crate) async fn serve(
    context: &Context,
    clock: &Clock,
    listener: Listener,
    router: Router,
    access: Access,
) {
    let drain = context.drain();
    let server = Server {
        builder: builder(),
        connections: GracefulShutdown::new(),
        router: router.layer(axum::middleware::map_response(async |response| {
            with_safe_headers(response)
        })),
        access,
        clock: clock.clone(),
    };
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = async {
            let permit = permits.clone().acquire_owned().await;
            (listener.accept().await, permit)
        };
        let (accepted, permit) = tokio::select! {
            accepted = accepted => accepted,
            () = drain.cancelled() => break,
        };
        match (accepted, permit) {
            (Ok(Stream::Tcp(stream, connection)), Ok(permit)) => {
                server.serve(context, stream, Some(connection), permit);
            }
            (Ok(Stream::Unix(stream)), Ok(permit)) => server.serve(context, stream, None, permit),
            (Err(error), _) => {
                // The client disconnected already, or the process has no file descriptor left.
                tracing::warn!(member = context.name(), %error, "cannot accept a connection");
                clock.sleep(ACCEPT_PAUSE).await;
            }
            // The semaphore is never closed.
            (_, Err(_)) => break,
        }
    }
    let drained = clock.timeout(DRAIN_TIMEOUT, server.connections.shutdown());
    if drained.await.is_err() {
        let open = CONNECTIONS_MAX - permits.available_permits();
        tracing::warn!(
            member = context.name(),
            open,
            "connections still open after the drain; closing them"
        );
    }
}

/// Adds headers that keep a browser from running, guessing or keeping a response, unless the response has its own.
fn with_safe_headers(mut response: Response) -> Response {
    for (name, value) in SAFE_HEADERS {
        let headers = response.headers_mut();
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    response
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(HEAD_TIMEOUT)
        .keep_alive_timeout(HEAD_TIMEOUT);
    builder
}

struct Server {
    builder: Builder<TokioExecutor>,
    connections: GracefulShutdown,
    router: Router,
    access: Access,
    clock: Clock,
}

impl Server {
    fn serve<S>(
        &self,
        context: &Context,
        stream: S,
        connection: Option<Connection>,
        permit: OwnedSemaphorePermit,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let has_request = Arc::new(AtomicBool::new(false));
        let disconnect = Disconnect::default();
        let service = Admission {
            router: TowerToHyperService::new(self.router.clone()),
            access: self.access.clone(),
            has_request: has_request.clone(),
            disconnect: disconnect.clone(),
            connection,
        };
        let connection = self
            .builder
            .serve_connection_with_upgrades(TokioIo::new(stream), service)
            .into_owned();
        let tag = Tag::new(context.name(), CONNECTION);
        let connection = TaggedConnection::new(tag, self.connections.watch(connection));
        let clock = self.clock.clone();
        context.spawn(CONNECTION, async move {
            let _permit = permit;
            tokio::select! {
                ended = connection => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "connection failed");
                    }
                }
                () = disconnect.requested() => tracing::debug!("connection closed: endpoint disabled or slot expired"),
                () = no_request(&clock, &has_request) => tracing::debug!("connection closed: no request in time"),
            }
        });
    }
}

/// Admits the requests of a connection to the router.
struct Admission {
    router: TowerToHyperService<Router>,
    access: Access,
    has_request: Arc<AtomicBool>,
    disconnect: Disconnect,
    /// `None` on the socket of a parent, which has admitted the request already.
    connection: Option<Connection>,
}

impl Service<Request<Incoming>> for Admission {
    type Response = Response;
    type Error = Infallible;
    type Future = Either<
        Ready<Result<Response, Infallible>>,
        <TowerToHyperService<Router> as Service<Request<Incoming>>>::Future,
    >;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        self.has_request.store(true, Ordering::Relaxed);
        let forwarded = request.headers_mut().remove(CALLER);
        let caller = match self.connection {
            Some(connection) => self.access.admit(connection, &request),
            None if forwarded.is_some_and(|caller| caller == LOCAL) => Ok(Caller::Local),
            None => Ok(Caller::Remote),
        };
        match caller {
            Ok(caller) => {
                request.extensions_mut().insert(caller);
                request.extensions_mut().insert(self.disconnect.clone());
                Either::Right(self.router.call(request))
            }
            Err(problem) => Either::Left(ready(Ok(with_safe_headers(problem.into_response())))),
        }
    }
}

/// Completes if a connection has sent no request in time. After the first one the timeouts of HTTP apply.
async fn no_request(clock: &Clock, has_request: &AtomicBool) {
    clock.sleep(HEAD_TIMEOUT).await;
    if has_request.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}
