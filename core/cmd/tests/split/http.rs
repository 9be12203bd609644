//! An HTTP client that returns responses of any status.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// Timeout of a response.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A response.
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) retry_after: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The JSON of a response of any status.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(TIMEOUT))
        .build()
        .new_agent()
}

/// The response to a request, or `None` without a complete one.
pub(crate) fn ask(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Option<Response> {
    let mut request = ureq::http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let agent = agent();
    let answered = if body.is_empty() {
        agent.run(request.body(()).expect("build the request"))
    } else {
        agent.run(request.body(body).expect("build the request"))
    };
    let mut response = answered.ok()?;
    let header = |name: &str| {
        let value = response.headers().get(name)?;
        value.to_str().ok().map(str::to_owned)
    };
    let (content_type, retry_after) = (header("content-type"), header("retry-after"));
    let body = response
        .body_mut()
        .with_config()
        .limit(1 << 30)
        .read_to_vec()
        .ok()?;
    Some(Response {
        status: response.status().as_u16(),
        content_type: content_type.unwrap_or_default(),
        retry_after,
        body,
    })
}

pub(crate) fn try_get(url: &str) -> Option<Response> {
    ask("GET", url, &[], b"")
}

pub(crate) fn get(url: &str) -> Response {
    try_get(url).unwrap_or_else(|| panic!("no response from {url}"))
}

/// A client that stops reading after the status of the response.
pub(crate) struct Slow {
    stream: TcpStream,
    /// The first line of the response up to the status.
    pub(crate) status: String,
}

impl Slow {
    pub(crate) fn ask(address: &str, path: &str) -> Self {
        let mut stream =
            TcpStream::connect(address.trim_start_matches("http://")).expect("connect");
        stream
            .write_all(format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").as_bytes())
            .expect("write to the connection");
        let mut status = [0; 12];
        stream.read_exact(&mut status).expect("a response");
        Self {
            stream,
            status: String::from_utf8_lossy(&status).into_owned(),
        }
    }

    /// Reads the rest of the response and returns its number of bytes.
    pub(crate) fn read_to_end(mut self) -> usize {
        let timeout = self.stream.set_read_timeout(Some(TIMEOUT));
        timeout.expect("set a timeout");
        let (mut all, mut buffer) = (0, vec![0; 1 << 16]);
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return all,
                Ok(count) => all += count,
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return all,
                Err(error) => panic!("the connection is still open: {error}"),
            }
        }
    }
}
