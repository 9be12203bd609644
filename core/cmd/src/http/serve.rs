//! Listeners: bound before anything runs, served until the drain.

use crate::cli::Failure;
use axum::Router;
use davy_runtime::Context;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;

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
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Serves HTTP/1 and HTTP/2 until the drain, then lets what is under way finish.
///
/// Every connection is a task of the member's operation `connection`: what is spent on reading,
/// packing and writing, outside of any endpoint, is on the bill of the listener's member.
pub(crate) async fn serve(context: &Context, listener: TcpListener, router: Router) {
    let drain = context.drain();
    let connections = GracefulShutdown::new();
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT);
    builder.http2().timer(TokioTimer::new());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
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
        let service = TowerToHyperService::new(router.clone());
        let connection = builder
            .serve_connection(TokioIo::new(stream), service)
            .into_owned();
        let connection = connections.watch(connection);
        context.spawn("connection", async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection broke");
            }
        });
    }
    drop(listener);
    connections.shutdown().await;
}
