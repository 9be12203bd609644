//! Asks a running Davy over HTTP.

use crate::cli::{Failure, Server};
use std::time::Duration;

/// How much of an answer is taken; a whole day's pprof stays far below it.
const ANSWER_BYTES_MAX: u64 = 1 << 30;
/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection to a running Davy.
pub(crate) struct Client {
    agent: ureq::Agent,
    server: String,
    token: Option<String>,
}

impl Client {
    /// For the server that the command line names.
    pub(crate) fn new(server: &Server) -> Result<Self, Failure> {
        let url = server.server.trim_end_matches('/');
        if !url.starts_with("http://") {
            return Err(Failure::Usage(format!(
                "--server {url:?} must be a http:// address, such as http://127.0.0.1:8080"
            )));
        }
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .user_agent(concat!("davy/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Ok(Self {
            agent,
            server: url.to_owned(),
            token: server.token.clone(),
        })
    }

    /// Gets a path with a query; where an answer has several forms, the JSON one.
    pub(crate) fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Vec<u8>, Failure> {
        let mut request = self
            .agent
            .get(format!("{}{path}", self.server))
            .header("accept", "application/json, */*;q=0.1");
        for (name, value) in query {
            request = request.query(name, value);
        }
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        self.answer(request.call())
    }

    /// Posts a body to a path with a query.
    pub(crate) fn post(
        &self,
        path: &str,
        query: &[(&str, String)],
        content_type: &str,
        body: &[u8],
    ) -> Result<Vec<u8>, Failure> {
        let mut request = self
            .agent
            .post(format!("{}{path}", self.server))
            .header("content-type", content_type);
        for (name, value) in query {
            request = request.query(name, value);
        }
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        self.answer(request.send(body))
    }

    /// Sends a change, in the name of somebody. What it names wrongly is wrong usage.
    pub(crate) fn change(
        &self,
        verb: &str,
        path: &str,
        body: &serde_json::Value,
        who: &str,
    ) -> Result<Vec<u8>, Failure> {
        let url = format!("{}{path}", self.server);
        let request = match verb {
            "PUT" => self.agent.put(url),
            _ => self.agent.post(url),
        };
        let mut request = request
            .header("content-type", "application/json")
            .header("davy-user", who);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let result = request.send(body.to_string().as_bytes());
        let is_unknown = result
            .as_ref()
            .is_ok_and(|response| response.status() == 404);
        self.answer(result).map_err(|failure| match failure {
            Failure::Failed(text) if is_unknown => Failure::Usage(text),
            other => other,
        })
    }

    fn answer(
        &self,
        result: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Vec<u8>, Failure> {
        let server = &self.server;
        let mut response = result.map_err(|error| {
            Failure::Failed(format!(
                "no answer from {server}: {error}; is `davy quickstart` running there? (--server or DAVY_SERVER name another)"
            ))
        })?;
        let status = response.status();
        // An answer from less than the whole range says so, in whatever form it comes.
        let partial = response
            .headers()
            .get("davy-partial")
            .map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned());
        let body = response
            .body_mut()
            .with_config()
            .limit(ANSWER_BYTES_MAX)
            .read_to_vec();
        if let Some(missing) = partial {
            eprintln!("davy: incomplete: {missing}");
        }
        let body = body.map_err(|error| {
            Failure::Failed(format!("the answer of {server} broke off: {error}"))
        })?;
        if status.is_success() {
            return Ok(body);
        }
        Err(Failure::Failed(format!(
            "{server} refused: {}",
            reason(&body, status.as_u16())
        )))
    }
}

/// What an error's body says: a problem document's detail, an agent's message, or the text itself.
fn reason(body: &[u8], status: u16) -> String {
    let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let field = |name: &str| {
        json.as_ref()
            .and_then(|j| j[name].as_str())
            .map(str::to_owned)
    };
    let text = field("detail")
        .or_else(|| field("message"))
        .or_else(|| field("title"));
    let text = text.unwrap_or_else(|| {
        String::from_utf8_lossy(body)
            .trim()
            .chars()
            .take(300)
            .collect()
    });
    if text.is_empty() {
        format!("status {status}")
    } else {
        format!("{text} (status {status})")
    }
}
