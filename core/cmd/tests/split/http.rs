//! A client that shows answers of any status.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) retry_after: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The JSON of an answer of any status.
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

/// What came of a request; nothing where no whole answer came.
pub(crate) fn ask(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Option<Answer> {
    let mut request = ureq::http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let agent = agent();
    let answered = if body.is_empty() {
        agent.run(request.body(()).expect("a request"))
    } else {
        agent.run(request.body(body).expect("a request"))
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
    Some(Answer {
        status: response.status().as_u16(),
        content_type: content_type.unwrap_or_default(),
        retry_after,
        body,
    })
}

pub(crate) fn try_get(url: &str) -> Option<Answer> {
    ask("GET", url, &[], b"")
}

pub(crate) fn get(url: &str) -> Answer {
    try_get(url).unwrap_or_else(|| panic!("no answer from {url}"))
}

/// A client that asks and, from the first letters of the answer on, reads nothing more.
pub(crate) struct Slow {
    stream: TcpStream,
    /// The first line of the answer, as far as the status.
    pub(crate) status: String,
}

impl Slow {
    pub(crate) fn ask(address: &str, path: &str) -> Self {
        let mut stream =
            TcpStream::connect(address.trim_start_matches("http://")).expect("it listens");
        stream
            .write_all(format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").as_bytes())
            .expect("it reads");
        let mut status = [0; 12];
        stream.read_exact(&mut status).expect("it answers");
        Self {
            stream,
            status: String::from_utf8_lossy(&status).into_owned(),
        }
    }

    /// Reads after all, and gives how many bytes came until the connection ended.
    pub(crate) fn read_to_end(mut self) -> usize {
        let timeout = self.stream.set_read_timeout(Some(TIMEOUT));
        timeout.expect("a timeout can be set");
        let (mut all, mut buffer) = (0, vec![0; 1 << 16]);
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return all,
                Ok(count) => all += count,
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return all,
                Err(error) => panic!("the connection goes on: {error}"),
            }
        }
    }
}
