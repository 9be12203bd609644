//! Signed requests of a worker.

use crate::{Error, Stop, WorkerKey};
use davy_model::signature::{
    REGISTRATION_HEADER, SIGNATURE_HEADER, registration_message, request_message, to_hex,
};
use davy_model::wire::{Challenge, Registered, Registration};
use ring::digest::{SHA256, digest};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;
use ureq::Agent;

/// The size of a response, at most.
const RESPONSE_BYTES_MAX: u64 = 16 << 20;
/// Longer than a server lets a worker wait for a build.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The first and the longest pause between two attempts.
const BACKOFF_MIN: Duration = Duration::from_millis(200);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// A client without a registration.
#[derive(Clone)]
pub(crate) struct Client {
    agent: Agent,
    server: String,
    name: String,
    key: Arc<WorkerKey>,
    session: Option<Session>,
}

#[derive(Clone)]
struct Session {
    registration: i64,
    nonce: String,
}

fn digest_of(body: &[u8]) -> String {
    to_hex(digest(&SHA256, body).as_ref())
}

impl Client {
    pub(crate) fn new(server: &str, name: &str, key: WorkerKey) -> Self {
        Self::with_key(server, name, Arc::new(key))
    }

    /// A client of another worker that shares the connections of this one.
    pub(crate) fn named(&self, name: &str, key: Arc<WorkerKey>) -> Self {
        Self {
            agent: self.agent.clone(),
            server: self.server.clone(),
            name: name.to_owned(),
            key,
            session: None,
        }
    }

    pub(crate) fn with_key(server: &str, name: &str, key: Arc<WorkerKey>) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(TIMEOUT))
            .user_agent(concat!("davy/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Self {
            agent,
            server: server.trim_end_matches('/').to_owned(),
            name: name.to_owned(),
            key,
            session: None,
        }
    }

    /// Registers, and returns the client of this registration with its number.
    pub(crate) fn register(
        &self,
        registration: impl Fn(String) -> Registration,
    ) -> Result<(Self, i64), Error> {
        let base = format!("/api/v1/workers/{}", self.name);
        let answer = self.send("POST", &format!("{base}/challenge"), &[], &[])?;
        let Challenge { challenge } = self.decode(&answer)?;
        let body = encode(&registration(challenge.clone()));
        let message = registration_message(&self.name, &challenge, &digest_of(&body));
        let headers = [(SIGNATURE_HEADER, self.key.sign(&message))];
        let answer = self.send("POST", &format!("{base}/register"), &headers, &body)?;
        let Registered { registration } = self.decode(&answer)?;
        let session = Session {
            registration,
            nonce: challenge,
        };
        let client = Self {
            session: Some(session),
            ..self.clone()
        };
        Ok((client, registration))
    }

    /// Sends JSON to a path below that of the worker.
    pub(crate) fn call<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        let answer = self.signed(method, path, &encode(body))?;
        self.decode(&answer)
    }

    /// Sends bytes to a path below that of the worker; returns the body of the response.
    pub(crate) fn signed(&self, method: &str, path: &str, body: &[u8]) -> Result<Vec<u8>, Error> {
        let path = format!("/api/v1/workers/{}/{path}", self.name);
        let Some(session) = &self.session else {
            return Err(self.replaced());
        };
        let message = request_message(
            &self.name,
            session.registration,
            &session.nonce,
            method,
            &path,
            &digest_of(body),
        );
        let headers = [
            (REGISTRATION_HEADER, session.registration.to_string()),
            (SIGNATURE_HEADER, self.key.sign(&message)),
        ];
        self.send(method, &path, &headers, body)
    }

    /// Repeats a request until the server responds or the worker is killed.
    pub(crate) fn persist<T>(
        &self,
        stop: &Stop,
        request: impl Fn(&Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.persist_unless(stop, Stop::is_killing, request)
    }

    /// Repeats a request until the server responds or the worker is stopped as far as `is_over` says.
    pub(crate) fn persist_unless<T>(
        &self,
        stop: &Stop,
        is_over: fn(&Stop) -> bool,
        request: impl Fn(&Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut backoff = BACKOFF_MIN;
        loop {
            match request(self) {
                Err(error) if error.is_transient() && !is_over(stop) => {
                    tracing::debug!(%error, "request failed, retrying");
                    stop.wait(backoff);
                    backoff = (backoff * 2).min(BACKOFF_MAX);
                }
                result => return result,
            }
        }
    }

    /// The error of a registration that was replaced.
    pub(crate) fn replaced(&self) -> Error {
        Error::Replaced {
            name: self.name.clone(),
        }
    }

    fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, String)],
        body: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let url = format!("{}{path}", self.server);
        let unavailable = |reason: String| Error::Unavailable {
            server: self.server.clone(),
            reason,
        };
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let sent = if method == "GET" {
            let request = request.body(());
            request
                .map_err(ureq::Error::Http)
                .and_then(|request| self.agent.run(request))
        } else {
            let request = request
                .header("content-type", "application/json")
                .body(body);
            request
                .map_err(ureq::Error::Http)
                .and_then(|request| self.agent.run(request))
        };
        let mut response = sent.map_err(|error| unavailable(error.to_string()))?;
        let status = response.status().as_u16();
        let body = response
            .body_mut()
            .with_config()
            .limit(RESPONSE_BYTES_MAX)
            .read_to_vec()
            .map_err(|error| unavailable(error.to_string()))?;
        match status {
            200..300 => Ok(body),
            429 | 500.. => Err(unavailable(format!("status {status}: {}", reason(&body)))),
            409 if self.session.is_some()
                && (path.ends_with("/sync") || path.ends_with("/claim")) =>
            {
                Err(self.replaced())
            }
            _ => Err(Error::Refused {
                server: self.server.clone(),
                status,
                reason: reason(&body),
            }),
        }
    }

    fn decode<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, Error> {
        serde_json::from_slice(body).map_err(|error| Error::Unavailable {
            server: self.server.clone(),
            reason: format!("unexpected response: {error}"),
        })
    }
}

fn encode(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).unwrap_or_default()
}

/// The detail of a problem document.
fn reason(body: &[u8]) -> String {
    let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let detail = json.and_then(|json| json["detail"].as_str().map(str::to_owned));
    detail.unwrap_or_else(|| "no reason given".to_owned())
}
