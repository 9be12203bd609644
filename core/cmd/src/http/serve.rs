//! Serves a listener until the drain.

use super::forward::PEER;
use super::listener::{Listener, Stream};
use axum::Router;
use axum::http::Request;
use axum::response::Response;
use davy_control::{Cut, Peer};
use davy_runtime::Context;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long to wait when the process has no file descriptor left for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a client may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);
/// Connections of a listener at a time; more wait to be accepted.
const CONNECTIONS_MAX: usize = 1_024;
/// How long a drain waits for requests that are under way.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(8);

/// Serves HTTP/1 and HTTP/2 until the drain, then lets what is under way finish.
///
/// Every connection is a task of the member's operation `connection`: what is spent on reading,
/// packing and writing, outside of any endpoint, is on the usage of the listener's member.
pub(crate) async fn serve(context: &Context, listener: Listener, router: Router) {
    let drain = context.drain();
    let door = Door {
        builder: builder(),
        connections: GracefulShutdown::new(),
        router,
    };
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = async {
            let place = places.clone().acquire_owned().await;
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            accepted = accepted => accepted,
            () = drain.cancelled() => break,
        };
        match (accepted, place) {
            (Ok(Stream::Tcp(stream, peer)), Ok(place)) => {
                door.serve(context, stream, Some(peer), place);
            }
            (Ok(Stream::Unix(stream)), Ok(place)) => door.serve(context, stream, None, place),
            (Err(error), _) => {
                // The client went away again, or the process has no file descriptor left.
                tracing::warn!(member = context.name(), %error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
            // The places are never closed.
            (_, Err(_)) => break,
        }
    }
    if tokio::time::timeout(DRAIN_TIMEOUT, door.connections.shutdown())
        .await
        .is_err()
    {
        let left = CONNECTIONS_MAX - places.available_permits();
        tracing::warn!(
            member = context.name(),
            left,
            "connections that did not finish were cut"
        );
    }
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

struct Door {
    builder: Builder<TokioExecutor>,
    connections: GracefulShutdown,
    router: Router,
}

impl Door {
    fn serve<S>(
        &self,
        context: &Context,
        stream: S,
        peer: Option<IpAddr>,
        place: OwnedSemaphorePermit,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let asked = Arc::new(AtomicBool::new(false));
        let cut = Cut::default();
        let service = Noting {
            router: TowerToHyperService::new(self.router.clone()),
            asked: asked.clone(),
            cut: cut.clone(),
            peer,
        };
        let connection = self
            .builder
            .serve_connection(TokioIo::new(stream), service)
            .into_owned();
        let connection = self.connections.watch(connection);
        context.spawn("connection", async move {
            let _place = place;
            tokio::select! {
                ended = connection => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection broke");
                    }
                }
                () = cut.wished() => tracing::debug!("a connection held an answer for too long and was cut"),
                () = silence(&asked) => tracing::debug!("a connection asked for nothing and was closed"),
            }
        });
    }
}

/// Notes that a connection asked for something, and who it is.
struct Noting {
    router: TowerToHyperService<Router>,
    asked: Arc<AtomicBool>,
    cut: Cut,
    /// None on the socket of a parent, which says who asks.
    peer: Option<IpAddr>,
}

impl Service<Request<Incoming>> for Noting {
    type Response = Response;
    type Error = Infallible;
    type Future = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Future;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        self.asked.store(true, Ordering::Relaxed);
        let said = request.headers_mut().remove(PEER);
        let said = said.and_then(|peer| peer.to_str().ok()?.parse().ok());
        request.extensions_mut().insert(Peer(self.peer.or(said)));
        request.extensions_mut().insert(self.cut.clone());
        self.router.call(request)
    }
}

/// Ends when a connection has asked for nothing in time. From the first request on, the timeouts of
/// HTTP itself hold.
async fn silence(asked: &AtomicBool) {
    tokio::time::sleep(HEAD_TIMEOUT).await;
    if asked.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}
