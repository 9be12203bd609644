//! A cable to a server that can be cut.

use std::net::SocketAddr;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the cable does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cable {
    /// Carries.
    Whole,
    /// Ends what it carries, and refuses to carry more.
    Cut,
    /// Swallows everything and says nothing.
    Silent,
}

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    cable: watch::Sender<Cable>,
}

impl Proxy {
    /// A cable to `server` (`host:port`).
    pub(crate) async fn new(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (cable, state) = watch::channel(Cable::Whole);
        let server = server.to_owned();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, server.clone(), state.clone()));
            }
        });
        Self { address, cable }
    }

    pub(crate) fn set(&self, cable: Cable) {
        self.cable.send_replace(cable);
    }
}

async fn carry(mut client: TcpStream, server: String, mut state: watch::Receiver<Cable>) {
    let mut upstream = None;
    loop {
        let now = *state.borrow_and_update();
        match now {
            Cable::Cut => return,
            Cable::Silent => {
                if state.changed().await.is_err() {
                    return;
                }
                // What was swallowed does not come back, so the connection is of no use any more.
                if upstream.is_some() {
                    return;
                }
            }
            Cable::Whole => {
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
