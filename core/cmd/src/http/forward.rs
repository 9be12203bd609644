//! The way to members in child processes: a request goes on over the child's socket.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, any};
use davy_control::{Peer, Problem};
use http_body_util::{BodyExt as _, Limited};
use hyper_util::rt::TokioIo;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;

/// Who asks, as a parent tells its child. No one else's word is taken: a door that others can reach
/// removes it.
pub(super) const PEER: &str = "davy-peer";

/// Headers that are between two ends of one connection.
const OF_CONNECTION: [HeaderName; 5] = [
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// A route that a child answers.
pub(crate) fn forward(process: &str, socket: PathBuf) -> MethodRouter {
    let process = process.to_owned();
    any(
        async move |request: Request<Body>| match send(&socket, request).await {
            Ok(response) => response,
            Err(error) => {
                tracing::debug!(process, %error, "a request could not be handed on");
                let detail = format!(
                    "process {process} does not answer ({error}); it is being started again, try again in a second"
                );
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
                    .retry_after(1)
                    .into_response()
            }
        },
    )
}

/// A route of a member that runs in another process altogether.
pub(crate) fn absent(operation: &'static str, member: &'static str, process: &str) -> MethodRouter {
    let detail = format!(
        "{operation} is served by member {member}, which is not in this process ({process}); `davy members` shows where it runs"
    );
    any(async move || Problem::new(StatusCode::NOT_FOUND, detail))
}

async fn send(
    socket: &Path,
    mut request: Request<Body>,
) -> Result<Response, Box<dyn std::error::Error + Send + Sync>> {
    for name in OF_CONNECTION {
        request.headers_mut().remove(name);
    }
    if let Some(Peer(Some(peer))) = request.extensions().get::<Peer>() {
        let peer = HeaderValue::from_str(&peer.to_string())?;
        request.headers_mut().insert(PEER, peer);
    }
    // Over HTTP/2 the host is part of the address.
    if !request.headers().contains_key(header::HOST) {
        let host = HeaderValue::from_static("davy");
        request.headers_mut().insert(header::HOST, host);
    }
    let origin = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str());
    *request.uri_mut() = origin.parse()?;
    *request.version_mut() = axum::http::Version::HTTP_11;
    let stream = UnixStream::connect(socket).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    davy_tag::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "the connection to a child process broke");
        }
    });
    let mut response = sender.send_request(request).await?;
    for name in OF_CONNECTION {
        response.headers_mut().remove(name);
    }
    Ok(response.map(Body::new))
}

/// How long a child may take to tell its figures, and how much it may tell.
const ASK_TIMEOUT: Duration = Duration::from_secs(2);
const ASK_BYTES_MAX: usize = 16 << 20;

/// Asks a child for a text.
pub(crate) async fn ask(socket: &Path, path: &str) -> Option<String> {
    let request = Request::get(path).body(Body::empty()).ok()?;
    let asked = async {
        let response = send(socket, request).await.ok()?;
        let body = Limited::new(response.into_body(), ASK_BYTES_MAX);
        let bytes = body.collect().await.ok()?.to_bytes();
        String::from_utf8(bytes.to_vec()).ok()
    };
    tokio::time::timeout(ASK_TIMEOUT, asked)
        .await
        .ok()
        .flatten()
}
