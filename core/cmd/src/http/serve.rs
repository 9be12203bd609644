//! Listeners: bound before anything runs, served until the drain.

use crate::cli::Failure;
use axum::Router;
use std::io::ErrorKind;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

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

/// Serves until the drain, then lets what is under way finish.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    drain: CancellationToken,
) -> Result<(), davy_runtime::Error> {
    axum::serve(listener, router)
        .with_graceful_shutdown(drain.cancelled_owned())
        .await?;
    Ok(())
}
