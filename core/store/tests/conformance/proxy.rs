//! A TCP proxy whose traffic can be cut or silenced.

use std::net::SocketAddr;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the proxy does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    /// Forwards.
    Up,
    /// Closes connections, and rejects new ones.
    Cut,
    /// Discards all bytes and sends none.
    Silent,
}

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    network: watch::Sender<Network>,
}

impl Proxy {
    /// A proxy for `server` (`host:port`).
    pub(crate) async fn new(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (network, state) = watch::channel(Network::Up);
        let server = server.to_owned();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, server.clone(), state.clone()));
            }
        });
        Self { address, network }
    }

    pub(crate) fn set(&self, network: Network) {
        self.network.send_replace(network);
    }
}

async fn forward(mut client: TcpStream, server: String, mut state: watch::Receiver<Network>) {
    let mut upstream = None;
    loop {
        let now = *state.borrow_and_update();
        match now {
            Network::Cut => return,
            Network::Silent => {
                if state.changed().await.is_err() {
                    return;
                }
                // Bytes were lost, so the connection is useless now.
                if upstream.is_some() {
                    return;
                }
            }
            Network::Up => {
                if upstream.is_none() {
                    upstream = TcpStream::connect(&server).await.ok();
                }
                let Some(upstream) = &mut upstream else {
                    return;
                };
                tokio::select! {
                    _ = copy_bidirectional(&mut client, upstream) => return,
                    changed = state.changed() => if changed.is_err() { return },
                }
            }
        }
    }
}
