//! Readiness between unix processes: the protocol of `sd_notify(3)`.

use davy_base::Random;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

pub(crate) const SOCKET_VARIABLE: &str = "NOTIFY_SOCKET";
const READY: &str = "READY=1";
/// Longer messages are cut off by the kernel.
const MESSAGE_MAX: usize = 4_096;

/// Tells whoever supervises this process that it is ready: [`crate::Member::child`], or systemd for a
/// unit of `Type=notify`. Gives whether anybody wanted to know.
pub fn notify_ready() -> io::Result<bool> {
    notify(READY)
}

/// Sends a message of the protocol, such as `STATUS=...`, to whoever supervises this process.
pub fn notify(message: &str) -> io::Result<bool> {
    match std::env::var_os(SOCKET_VARIABLE) {
        Some(address) if !address.is_empty() => send(&address, message).map(|()| true),
        _ => Ok(false),
    }
}

fn send(address: &OsStr, message: &str) -> io::Result<()> {
    // "@" stands for the zero byte at which the name of a socket without a file begins.
    let address = match address.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(address)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.send_to_addr(message.as_bytes(), &address)?;
    Ok(())
}

/// The supervisor's side. The socket has no file, so nothing is left behind in any way of dying.
pub(crate) struct Listener {
    socket: tokio::net::UnixDatagram,
    address: String,
}

impl Listener {
    pub(crate) fn bind() -> io::Result<Self> {
        // 64 random bits, so that two supervisors in one network namespace never meet.
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

    /// Returns when the child said that it is ready.
    pub(crate) async fn ready(&self) {
        let mut message = [0; MESSAGE_MAX];
        loop {
            match self.socket.recv(&mut message).await {
                Ok(length) if is_ready(&message[..length]) => return,
                Ok(_) => {}
                // Without the socket nobody can say anything; the ready deadline decides.
                Err(error) => {
                    tracing::warn!(%error, "a child's readiness can't be heard");
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
    async fn readiness_is_heard_among_other_messages() {
        let listener = Listener::bind().expect("a socket");
        let address = OsStr::new(listener.address());
        for message in ["STATUS=loading", "NOT_READY=1", "STATUS=up\nREADY=1\n"] {
            send(address, message).expect("it is heard");
        }
        listener.ready().await;
    }

    #[test]
    fn only_a_whole_line_is_readiness() {
        assert!(is_ready(b"READY=1"));
        assert!(is_ready(b"MAINPID=7\nREADY=1"));
        assert!(!is_ready(b"READY=10"));
        assert!(!is_ready(b""));
    }
}
