//! Listeners. They are bound before any member runs.

use crate::failure::Failure;
use davy_control::Connection;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::Path;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};

/// A bound socket. It outlives the runs of the member that accepts its connections.
#[derive(Clone, Debug)]
pub(crate) enum Listener {
    Tcp(Arc<TcpListener>),
    /// The socket of a child process, for requests from its parent.
    Unix(Arc<UnixListener>),
}

/// An accepted connection.
pub(crate) enum Stream {
    Tcp(TcpStream, Connection),
    Unix(UnixStream),
}

impl Listener {
    pub(crate) async fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // Most responses are small, and their clients wait for them.
                let _ = stream.set_nodelay(true);
                let connection = Connection {
                    peer: peer.ip(),
                    local: stream.local_addr()?.ip(),
                };
                Ok(Stream::Tcp(stream, connection))
            }
            Self::Unix(listener) => listener
                .accept()
                .await
                .map(|(stream, _)| Stream::Unix(stream)),
        }
    }
}

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1_024;

/// Binds an address. Has to be called in the runtime that is to accept the connections. `key` is the
/// setting to name in an error.
pub(crate) fn bind(key: &str, address: SocketAddr) -> Result<(Listener, SocketAddr), Failure> {
    named(listen(address).map_err(|error| refused(key, address, &error))?)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // Lets the next process bind the port as soon as this one has stopped.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// How many consecutive ports are tried.
const PORTS_TRIED: u16 = 100;

/// Like [`bind`], but takes the next free port if the given one is in use.
pub(crate) fn bind_near(key: &str, address: SocketAddr) -> Result<(Listener, SocketAddr), Failure> {
    let mut at = address;
    for _ in 0..PORTS_TRIED {
        match listen(at) {
            Err(error) if error.kind() == ErrorKind::AddrInUse && at.port() < u16::MAX => {
                at.set_port(at.port() + 1)
            }
            result => return named(result.map_err(|error| refused(key, at, &error))?),
        }
    }
    Err(Failure::usage(format!(
        "no free port from {address} to {at}; set another address with --{}",
        key.replace('.', "-")
    )))
}

/// Binds a unix socket. Removes one that a killed process has left at the same path.
pub(crate) fn bind_socket(path: &Path) -> Result<Listener, Failure> {
    let failed =
        |error: io::Error| Failure::failed(format!("cannot listen on {}: {error}", path.display()));
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let listener = StdUnixListener::bind(path).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let listener = UnixListener::from_std(listener).map_err(failed)?;
    Ok(Listener::Unix(Arc::new(listener)))
}

fn named(listener: TcpListener) -> Result<(Listener, SocketAddr), Failure> {
    let at = listener.local_addr().map_err(|error| {
        Failure::failed(format!("cannot read the address of a listener: {error}"))
    })?;
    Ok((Listener::Tcp(Arc::new(listener)), at))
}

fn refused(key: &str, address: SocketAddr, error: &io::Error) -> Failure {
    let flag = key.replace('.', "-");
    let why = match error.kind() {
        ErrorKind::AddrInUse => "address already in use".to_owned(),
        _ => error.to_string(),
    };
    Failure::usage(format!(
        "cannot listen on {address}: {why}; set another address with --{flag}"
    ))
}
