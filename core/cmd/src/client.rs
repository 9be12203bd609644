//! Client of the HTTP API of a running Davy.

mod socket;

use crate::failure::Failure;
use crate::server::Server;
use crate::stderr;
use davy_profile::names::visible;
use serde::de::DeserializeOwned;
use std::io::Read;
use std::time::Duration;

/// Maximum size of a response. A pprof profile of a whole day is well below it.
const RESPONSE_BYTES_MAX: u64 = 1 << 30;
/// Timeout for establishing a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A client of one server.
#[derive(Clone)]
pub(crate) struct Client {
    agent: ureq::Agent,
    server: String,
    token: Option<String>,
}

/// A response.
pub(crate) struct Answer {
    pub(crate) body: Vec<u8>,
    /// Whether values are averages over time.
    pub(crate) is_average: bool,
    /// Why a query has no samples.
    pub(crate) hint: Option<String>,
    /// Whether the query names a service, type or label that the range does not have.
    pub(crate) is_unknown: bool,
}

impl Client {
    /// A client of the server that the command line names.
    pub(crate) fn new(server: &Server) -> Result<Self, Failure> {
        let url = server.server.trim_end_matches('/');
        if !url.starts_with("http://") {
            return Err(Failure::usage(format!(
                "invalid --server {url:?}: expected an http:// URL such as http://127.0.0.1:8080"
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

    /// Gets a path with a query. Prefers JSON where a response has several representations.
    pub(crate) fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Vec<u8>, Failure> {
        self.get_answer(path, query).map(|answer| answer.body)
    }

    /// Like [`Client::get`], with what the headers state.
    pub(crate) fn get_answer(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<Answer, Failure> {
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
        self.response(request.call())
    }

    /// Gets a path and deserializes the JSON in the response.
    pub(crate) fn get_json<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<T, Failure> {
        from_json(&self.get(path, query)?)
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
        self.response(request.send(body)).map(|answer| answer.body)
    }

    /// Puts a compressed body to a path.
    pub(crate) fn put(&self, path: &str, encoding: &str, body: &[u8]) -> Result<(), Failure> {
        let mut request = self
            .agent
            .put(format!("{}{path}", self.server))
            .header("content-type", "application/octet-stream")
            .header("content-encoding", encoding);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        self.response(request.send(body)).map(drop)
    }

    /// Sends a change on behalf of an operator. An unknown name (404) is invalid usage.
    pub(crate) fn change(
        &self,
        method: &str,
        path: &str,
        body: &serde_json::Value,
        operator: &str,
    ) -> Result<Vec<u8>, Failure> {
        let url = format!("{}{path}", self.server);
        let request = match method {
            "PUT" => self.agent.put(url),
            _ => self.agent.post(url),
        };
        let mut request = request
            .header("content-type", "application/json")
            .header("davy-user", operator);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let sent = request.send(body.to_string().as_bytes());
        let answer = self.response(sent).map(|answer| answer.body);
        answer.map_err(|failure| match failure {
            Failure::Refused {
                status: 404,
                reason,
                ..
            } => Failure::usage(reason),
            other => other,
        })
    }

    /// Uploads bytes on behalf of an operator.
    pub(crate) fn upload(&self, path: &str, body: &[u8], operator: &str) -> Result<(), Failure> {
        let mut request = self
            .agent
            .put(format!("{}{path}", self.server))
            .header("content-type", "application/octet-stream")
            .header("davy-user", operator);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        self.response(request.send(body)).map(drop)
    }

    /// Opens a stream of server-sent events after the event with an id.
    pub(crate) fn stream(&self, path: &str, last_id: &str) -> Result<impl Read + use<>, Failure> {
        let mut request = self
            .agent
            .get(format!("{}{path}", self.server))
            .header("accept", "text/event-stream")
            .header("last-event-id", last_id);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        self.streamed(request)
    }

    fn streamed(
        &self,
        request: ureq::RequestBuilder<ureq::typestate::WithoutBody>,
    ) -> Result<impl Read + use<>, Failure> {
        match request.call() {
            Ok(response) if response.status().is_success() => {
                Ok(response.into_body().into_reader())
            }
            // Reads the error.
            result => Err(match self.response(result) {
                Ok(_) => Failure::failed("unexpected response"),
                Err(failure) => failure,
            }),
        }
    }

    fn response(
        &self,
        result: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Answer, Failure> {
        let server = &self.server;
        let mut response = match result {
            Ok(response) => response,
            Err(ureq::Error::Io(source)) => {
                let server = server.clone();
                return Err(Failure::Unreachable { server, source });
            }
            Err(error) => {
                return Err(Failure::because(format!("request to {server} failed"))(
                    error,
                ));
            }
        };
        let status = response.status();
        let header = |name: &str| {
            let value = response.headers().get(name)?;
            Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let (partial, hint) = (header("davy-partial"), header("davy-hint"));
        let is_unknown = header("davy-unknown").is_some();
        let effective = header("davy-effective-range");
        let is_average = header("davy-aggregation").is_some_and(|name| name == "average");
        let body = response
            .body_mut()
            .with_config()
            .limit(RESPONSE_BYTES_MAX)
            .read_to_vec();
        if let Some(missing) = partial {
            stderr::print_line(format_args!(
                "davy: incomplete result: {}",
                visible(&missing)
            ));
        }
        if let Some(range) = effective {
            let range = visible(&range);
            stderr::print_line(format_args!(
                "davy: effective range: {range}; finer levels of this range have expired"
            ));
        }
        let body = body.map_err(Failure::because(format!(
            "the response of {server} is incomplete"
        )))?;
        if status.is_success() {
            return Ok(Answer {
                body,
                is_average,
                hint: hint.map(|hint| visible(&hint).into_owned()),
                is_unknown,
            });
        }
        Err(Failure::Refused {
            server: server.clone(),
            status: status.as_u16(),
            reason: reason(&body),
        })
    }
}

/// Deserializes JSON of the API.
pub(crate) fn from_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|error| {
        Failure::because("unexpected response")(error)
            .with_hint("check that the server runs the same version of Davy")
    })
}

/// The text of an error response: the detail of a problem document, an agent's message, or the body.
fn reason(body: &[u8]) -> String {
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
        "no reason given".to_owned()
    } else {
        // It may list names from pushed profiles.
        visible(&text).into_owned()
    }
}
