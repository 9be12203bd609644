//! Listeners: bound before anything runs.

use crate::cli::Failure;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::Path;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};

/// What connections come in by. It outlives the runs of the member that accepts them.
#[derive(Clone, Debug)]
pub(crate) enum Listener {
    Tcp(Arc<TcpListener>),
    /// The socket that a parent sends requests to.
    Unix(Arc<UnixListener>),
}

/// A connection.
pub(crate) enum Stream {
    Tcp(TcpStream, IpAddr),
    Unix(UnixStream),
}

impl Listener {
    pub(crate) async fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // Answers are small and waited for.
                let _ = stream.set_nodelay(true);
                Ok(Stream::Tcp(stream, peer.ip()))
            }
            Self::Unix(listener) => listener
                .accept()
                .await
                .map(|(stream, _)| Stream::Unix(stream)),
        }
    }
}

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1_024;

/// Binds an address, or says in one sentence why not. Connections come in on the runtime that this is
/// called in.
pub(crate) fn bind(key: &str, address: SocketAddr) -> Result<(Listener, SocketAddr), Failure> {
    named(listen(address).map_err(|error| refused(key, address, &error))?)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // The next process may have the port at once when this one is gone.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// How many ports after a taken one are tried.
const PORTS_TRIED: u16 = 100;

/// As [`bind`], but where the port is taken, the next free one.
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
    Err(Failure::Usage(format!(
        "no port from {address} to {at} is free; give another one with {key}"
    )))
}

/// Binds a socket of the file system; one that a killed process left there is removed.
pub(crate) fn bind_socket(path: &Path) -> Result<Listener, Failure> {
    let failed =
        |error: io::Error| Failure::Failed(format!("can't listen on {}: {error}", path.display()));
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
    let at = listener
        .local_addr()
        .map_err(|error| Failure::Failed(format!("a listener has no address: {error}")))?;
    Ok((Listener::Tcp(Arc::new(listener)), at))
}

fn refused(key: &str, address: SocketAddr, error: &io::Error) -> Failure {
    let flag = key.replace('.', "-");
    let why = match error.kind() {
        ErrorKind::AddrInUse => "another program listens there already".to_owned(),
        _ => error.to_string(),
    };
    Failure::Usage(format!(
        "can't listen on {address}: {why}; give another address with --{flag}"
    ))
}
