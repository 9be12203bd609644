//! Readiness of child processes, by the protocol of `sd_notify(3)`.
//!
//! The crate `sd-notify` does not connect to abstract sockets, which the supervisor and systemd in
//! containers use.

use davy_base::Random;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

pub(crate) const SOCKET_VARIABLE: &str = "NOTIFY_SOCKET";
const READY: &str = "READY=1";
/// The kernel truncates longer messages.
const MESSAGE_MAX: usize = 4_096;

/// Reports to the supervisor of this process that it is ready: to [`crate::Member::child`], or to systemd
/// for a unit of `Type=notify`. Returns false if the process has no such supervisor.
pub fn notify_ready() -> io::Result<bool> {
    notify(READY)
}

/// Sends a message of the protocol, for example `STATUS=...`, to the supervisor of this process.
pub fn notify(message: &str) -> io::Result<bool> {
    match std::env::var_os(SOCKET_VARIABLE) {
        Some(address) if !address.is_empty() => send(&address, message).map(|()| true),
        _ => Ok(false),
    }
}

fn send(address: &OsStr, message: &str) -> io::Result<()> {
    // A leading "@" marks an abstract socket, which has no file.
    let address = match address.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(address)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.send_to_addr(message.as_bytes(), &address)?;
    Ok(())
}

/// The supervisor's side. The socket is abstract, so that no file is left behind if the process is killed.
pub(crate) struct Listener {
    socket: tokio::net::UnixDatagram,
    address: String,
}

impl Listener {
    pub(crate) fn bind() -> io::Result<Self> {
        // 64 random bits, so that supervisors in the same network namespace do not collide.
        let name = format!(
            "davy-notify-{}-{:016x}",
            std::process::id(),
            Random::system().next_u64()
        );
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket: tokio::net::UnixDatagram::from_std(socket)?,
            address: format!("@{name}"),
        })
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Returns when the child has reported that it is ready.
    pub(crate) async fn ready(&self) {
        let mut message = [0; MESSAGE_MAX];
        loop {
            match self.socket.recv(&mut message).await {
                Ok(length) if is_ready(&message[..length]) => return,
                Ok(_) => {}
                // The child cannot report any more, so the ready deadline ends the run.
                Err(error) => {
                    tracing::warn!(%error, "cannot receive the readiness of a child");
                    return std::future::pending().await;
                }
            }
        }
    }
}

fn is_ready(message: &[u8]) -> bool {
    message
        .split(|byte| *byte == b'\n')
        .any(|line| line == READY.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn readiness_is_received_among_other_messages() {
        let listener = Listener::bind().expect("a socket");
        let address = OsStr::new(listener.address());
        for message in ["STATUS=loading", "NOT_READY=1", "STATUS=up\nREADY=1\n"] {
            send(address, message).expect("the listener receives it");
        }
        listener.ready().await;
    }

    #[test]
    fn readiness_must_be_a_whole_line() {
        assert!(is_ready(b"READY=1"));
        assert!(is_ready(b"MAINPID=7\nREADY=1"));
        assert!(!is_ready(b"READY=10"));
        assert!(!is_ready(b""));
    }
}
