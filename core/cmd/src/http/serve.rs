//! Listeners: bound before anything runs, served until the drain.

use crate::cli::Failure;
use axum::Router;
use axum::http::Request;
use axum::response::Response;
use davy_runtime::Context;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Binds an address, or says in one sentence why not.
pub(crate) async fn bind(key: &str, address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address)
        .await
        .map_err(|error| refused(key, address, &error))
}

/// How many ports after a taken one are tried.
const PORTS_TRIED: u16 = 100;

/// Binds an address or, where its port is taken, the next free one.
pub(crate) async fn bind_near(key: &str, address: SocketAddr) -> Result<TcpListener, Failure> {
    let mut at = address;
    for _ in 0..PORTS_TRIED {
        match TcpListener::bind(at).await {
            Err(error) if error.kind() == ErrorKind::AddrInUse && at.port() < u16::MAX => {
                at.set_port(at.port() + 1)
            }
            result => return result.map_err(|error| refused(key, at, &error)),
        }
    }
    Err(Failure::Usage(format!(
        "no port from {address} to {at} is free; give another one with {key}"
    )))
}

fn refused(key: &str, address: SocketAddr, error: &std::io::Error) -> Failure {
    let flag = key.replace('.', "-");
    let why = match error.kind() {
        ErrorKind::AddrInUse => "another program listens there already".to_owned(),
        _ => error.to_string(),
    };
    Failure::Usage(format!(
        "can't listen on {address}: {why}; give another address with --{flag}"
    ))
}

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
/// packing and writing, outside of any endpoint, is on the bill of the listener's member.
pub(crate) async fn serve(context: &Context, listener: TcpListener, router: Router) {
    let drain = context.drain();
    let connections = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
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
    loop {
        let accepted = async {
            let place = places.clone().acquire_owned().await;
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            accepted = accepted => accepted,
            () = drain.cancelled() => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // The client went away again, or the process has no file descriptor left.
                tracing::warn!(member = context.name(), %error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Answers are small and waited for.
        let _ = stream.set_nodelay(true);
        let asked = Arc::new(AtomicBool::new(false));
        let service = Noting {
            router: TowerToHyperService::new(router.clone()),
            asked: asked.clone(),
        };
        let connection = builder
            .serve_connection(TokioIo::new(stream), service)
            .into_owned();
        let connection = connections.watch(connection);
        context.spawn("connection", async move {
            let _place = place;
            tokio::select! {
                ended = connection => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection broke");
                    }
                }
                () = silence(&asked) => tracing::debug!("a connection asked for nothing and was closed"),
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_TIMEOUT, connections.shutdown())
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

/// Notes that a connection asked for something.
struct Noting {
    router: TowerToHyperService<Router>,
    asked: Arc<AtomicBool>,
}

impl Service<Request<Incoming>> for Noting {
    type Response = Response;
    type Error = Infallible;
    type Future = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Future;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.asked.store(true, Ordering::Relaxed);
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
