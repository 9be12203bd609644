//! WebSockets.

use super::{CONNECT_TIMEOUT, Client, reason};
use crate::failure::Failure;
use davy_base::Clock;
use std::io;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{self, Error};

/// The port of `http://` URLs without one.
const PORT: u16 = 80;
const INVALID: &str = "cannot make a request from --server or --token";

impl Client {
    /// Opens a WebSocket on behalf of an operator.
    pub(crate) async fn socket(
        &self,
        path: &str,
        operator: &str,
    ) -> Result<WebSocketStream<TcpStream>, Failure> {
        // `Client::new` accepts http:// only.
        let url = format!("{}{path}", self.server.replacen("http", "ws", 1));
        let mut request = url
            .into_client_request()
            .map_err(Failure::invalid(INVALID))?;
        let headers = request.headers_mut();
        let mut values = vec![
            (
                "user-agent",
                concat!("davy/", env!("CARGO_PKG_VERSION")).to_owned(),
            ),
            ("davy-user", operator.to_owned()),
        ];
        values.extend(
            self.token
                .iter()
                .map(|token| ("authorization", format!("Bearer {token}"))),
        );
        for (name, value) in values {
            let value = HeaderValue::from_str(&value).map_err(Failure::invalid(INVALID))?;
            headers.insert(name, value);
        }
        let unreachable = |source| Failure::Unreachable {
            server: self.server.clone(),
            source,
        };
        let host = request.uri().host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = request.uri().port_u16().unwrap_or(PORT);
        let connecting = TcpStream::connect((host, port));
        let connected = Clock::system().timeout(CONNECT_TIMEOUT, connecting).await;
        let stream = connected
            .map_err(|_| unreachable(io::ErrorKind::TimedOut.into()))?
            .map_err(unreachable)?;
        // Every key is a packet.
        stream.set_nodelay(true).map_err(unreachable)?;
        match tokio_tungstenite::client_async(request, stream).await {
            Ok((socket, _)) => Ok(socket),
            Err(Error::Http(response)) => Err(self.refused(*response)),
            Err(Error::Io(source)) => Err(unreachable(source)),
            Err(error) => Err(unreachable(io::Error::other(error))),
        }
    }

    fn refused(&self, response: tungstenite::handshake::client::Response) -> Failure {
        Failure::Refused {
            server: self.server.clone(),
            status: response.status().as_u16(),
            reason: reason(response.body().as_deref().unwrap_or_default()),
        }
    }
}
