//! An HTTP client that returns responses of any status.

use std::io::Write as _;
use std::net::TcpStream;

/// A response.
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        assert_eq!(self.status, 200, "{}", self.text());
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .new_agent()
}

fn response(result: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Response {
    let mut response = result.unwrap_or_else(|error| panic!("no response: {error}"));
    let content_type = response
        .headers()
        .get("content-type")
        .and_then(|v| v.to_str().ok())
        .unwrap_or("")
        .to_owned();
    let body = response
        .body_mut()
        .with_config()
        .limit(1 << 30)
        .read_to_vec()
        .expect("read the body");
    Response {
        status: response.status().as_u16(),
        content_type,
        body,
    }
}

/// Percent-encodes the characters of a selector.
fn encoded(url: &str) -> String {
    let encodings = [
        ('{', "%7B"),
        ('}', "%7D"),
        ('"', "%22"),
        ('+', "%2B"),
        (' ', "%20"),
    ];
    encodings
        .iter()
        .fold(url.to_owned(), |url, (character, code)| {
            url.replace(*character, code)
        })
}

/// Gets a URL. Prefers JSON where a response has several representations.
pub(crate) fn get(url: &str) -> Response {
    response(
        agent()
            .get(encoded(url))
            .header("accept", "application/json, */*;q=0.1")
            .call(),
    )
}

/// Posts a body with a content type.
pub(crate) fn post(url: &str, content_type: &str, body: &[u8]) -> Response {
    response(
        agent()
            .post(encoded(url))
            .header("content-type", content_type)
            .send(body),
    )
}

/// Posts a change of an operator.
pub(crate) fn change(url: &str, operator: &str, body: &[u8]) -> Response {
    response(
        agent()
            .post(url)
            .header("content-type", "application/json")
            .header("davy-user", operator)
            .send(body),
    )
}

/// Posts a body of a tenant.
pub(crate) fn post_as(url: &str, tenant: &str, content_type: &str, body: &[u8]) -> Response {
    response(
        agent()
            .post(encoded(url))
            .header("content-type", content_type)
            .header("x-scope-orgid", tenant)
            .send(body),
    )
}

/// Disconnects in the middle of the body of a request.
pub(crate) fn abandon(address: &str, path: &str) {
    let mut stream = TcpStream::connect(address.trim_start_matches("http://")).expect("connect");
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 1000000\r\n\r\nonly this"
    );
    stream
        .write_all(head.as_bytes())
        .expect("write to the connection");
}

/// Sends a request and returns the connection without reading the response.
pub(crate) fn send_and_wait(address: &str, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address.trim_start_matches("http://")).expect("connect");
    stream
        .write_all(format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").as_bytes())
        .expect("write to the connection");
    stream
}
