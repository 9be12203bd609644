//! An HTTP client for archivers that keeps its connection open.

use super::archiver::{Archiver, Outcome};
use super::pack::{is_zstd, unpack};
use super::resolver::CachingResolver;
use super::settings::Settings;
use davy_profile::gzip;
use std::cell::RefCell;
use std::io::{BufRead, Read as _};
use std::time::Duration;
use ureq::unversioned::transport::DefaultConnector;

const TIMEOUT: Duration = Duration::from_secs(15);
const UPLOAD_TIMEOUT: Duration = Duration::from_mins(2);
/// For an empty push, which an archiver answers at once.
const HURRY_TIMEOUT: Duration = Duration::from_secs(1);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum time for which an archiver may ask for short windows at once.
const WATCH_MAX: Duration = Duration::from_mins(5);
/// Bytes of the body of an error response that are read.
const REASON_MAX: u64 = 512;

/// A client that keeps its connections open and remembers which archivers do not accept zstd.
pub(super) struct Client {
    agent: ureq::Agent,
    authorization: Option<String>,
    /// Archivers that rejected a window in zstd and accepted it without.
    without_zstd: RefCell<Vec<Archiver>>,
}

impl Client {
    /// With `prefers_cache`, host names that were resolved before are not resolved again.
    pub(super) fn new(settings: &Settings, prefers_cache: bool) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_global(Some(TIMEOUT))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .max_idle_connections_per_host(1)
            .user_agent(concat!("davy-profiler/", env!("CARGO_PKG_VERSION")));
        #[cfg(feature = "tls")]
        let config = config.tls_config(settings.trust.config());
        let token = settings.token.as_ref();
        Self {
            agent: ureq::Agent::with_parts(
                config.build(),
                DefaultConnector::default(),
                CachingResolver::new(prefers_cache),
            ),
            authorization: token.map(|token| format!("Bearer {token}")),
            without_zstd: RefCell::default(),
        }
    }

    /// Pushes a body. If it is urgent, the archiver is asked to store it without waiting for more.
    pub(super) fn push(&self, archiver: &Archiver, body: &[u8], is_urgent: bool) -> Outcome {
        if !is_zstd(body) {
            return self.send(archiver, body, is_urgent).1;
        }
        let is_known = self.without_zstd.borrow().contains(archiver);
        if !is_known {
            let (status, outcome) = self.send(archiver, body, is_urgent);
            // How servers reject an unknown encoding: plain HTTP, Connect, and old versions of Connect.
            if !matches!(status, 415 | 501 | 404) {
                return outcome;
            }
        }
        let Some(body) = unpack(body) else {
            let reason = format!("{} does not accept zstd", archiver.address());
            return Outcome::Later {
                reason,
                after: None,
            };
        };
        let (_, outcome) = self.send(archiver, &body, is_urgent);
        if !is_known && matches!(outcome, Outcome::Stored { .. }) {
            self.without_zstd.borrow_mut().push(archiver.clone());
        }
        outcome
    }

    /// Asks an archiver to store what it has now: an empty push that is urgent. It does not matter whether it succeeds.
    pub(super) fn hurry(&self, archiver: &Archiver, within: Duration) {
        let mut request = self
            .agent
            .post(archiver.push_url())
            .header("Content-Type", "application/proto")
            .header("Davy-Hurry", "1");
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        let timeout = Some(within.min(HURRY_TIMEOUT));
        let request = request.config().timeout_global(timeout).build();
        if let Err(error) = request.send(&[][..]) {
            tracing::debug!(%error, "cannot ask an archiver to hurry");
        }
    }

    /// Sends a body as it is. Returns the status, too, or 0 if there was no response.
    fn send(&self, archiver: &Archiver, body: &[u8], is_urgent: bool) -> (u16, Outcome) {
        let mut request = self
            .agent
            .post(archiver.push_url())
            .header("Content-Type", "application/proto");
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        if is_urgent {
            request = request.header("Davy-Hurry", "1");
        }
        if is_zstd(body) {
            request = request.header("Content-Encoding", "zstd");
        }
        match request.send(body) {
            Ok(mut response) => {
                let seconds = |name: &str| {
                    let value = response.headers().get(name)?;
                    let seconds = value.to_str().ok()?.trim().parse().ok()?;
                    Some(Duration::from_secs(seconds))
                };
                let after = seconds("Retry-After");
                let watch = seconds("Davy-Watch-Seconds").map(|watch| watch.min(WATCH_MAX));
                let status = response.status().as_u16();
                // If the body cannot be read, the reason is the status alone.
                let mut body = Vec::new();
                let reader = response.body_mut().as_reader();
                let _ = reader.take(REASON_MAX).read_to_end(&mut body);
                let body = String::from_utf8_lossy(&body);
                let outcome = match outcome(status, after, &body) {
                    Outcome::Stored { .. } => Outcome::Stored { watch },
                    other => other,
                };
                (status, outcome)
            }
            Err(error) => {
                let reason = explain(archiver, &error);
                (
                    0,
                    Outcome::Later {
                        reason,
                        after: None,
                    },
                )
            }
        }
    }
}

impl Client {
    /// Whether an archiver has the symbols of a build, of at least this many functions. None if it does not say, or does
    /// not keep symbols.
    pub(super) fn has_symbols(
        &self,
        archiver: &Archiver,
        build_id: &str,
        functions: u32,
    ) -> Option<bool> {
        let url = archiver.symbols_url(build_id);
        let url = format!("{url}?min_functions={functions}");
        let request = self.agent.get(&url);
        let request = match &self.authorization {
            Some(authorization) => request.header("Authorization", authorization),
            None => request,
        };
        let response = request.call().ok()?;
        match response.status().as_u16() {
            200..=299 => Some(true),
            404 => Some(false),
            _ => None,
        }
    }

    /// Uploads the symbols of a build, compressed by gzip. Fails if it may succeed later.
    pub(super) fn put_symbols(
        &self,
        archiver: &Archiver,
        build_id: &str,
        index: impl BufRead,
    ) -> Result<(), String> {
        let mut request = self
            .agent
            .put(archiver.symbols_url(build_id))
            .header("Content-Type", "application/octet-stream")
            .header("Content-Encoding", "gzip");
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        let request = request
            .config()
            .timeout_global(Some(UPLOAD_TIMEOUT))
            .build();
        let mut body = gzip::compressing_reader(index);
        let sent = request.send(ureq::SendBody::from_reader(&mut body));
        let response = sent.map_err(|error| explain(archiver, &error))?;
        match response.status().as_u16() {
            200..=299 => Ok(()),
            // These may change with time, or when an operator corrects the token.
            status @ (401 | 403 | 408 | 421 | 425 | 429 | 500..) => {
                Err(format!("{}: HTTP status {status}", archiver.address()))
            }
            // An archiver of another kind, or one that will never accept this index.
            status => {
                let archiver = archiver.address();
                tracing::debug!(archiver, build_id, status, "archiver refused symbols");
                Ok(())
            }
        }
    }
}

/// Why a request failed without a response.
fn explain(archiver: &Archiver, error: &ureq::Error) -> String {
    let address = archiver.address();
    #[cfg(feature = "tls")]
    if let Some(reason) = super::tls::explain(error) {
        return format!("{address}: {reason}");
    }
    format!("{address}: {error}")
}

/// A status of 4xx refuses the window permanently, except those that may change with time, or when an operator
/// corrects the token or the address.
fn outcome(status: u16, after: Option<Duration>, body: &str) -> Outcome {
    let reason = format!("HTTP status {status}: {}", body.trim());
    match status {
        200..=299 => Outcome::Stored { watch: None },
        401 | 403 | 404 | 408 | 421 | 425 | 429 => Outcome::Later { reason, after },
        400..=499 => Outcome::Refused { reason },
        _ => Outcome::Later { reason, after },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_decides_whether_a_window_is_stored_retried_or_refused() {
        let is_later = |status| matches!(outcome(status, None, ""), Outcome::Later { .. });
        let is_refused = |status| matches!(outcome(status, None, ""), Outcome::Refused { .. });
        let stored = Outcome::Stored { watch: None };
        assert_eq!(outcome(200, None, ""), stored);
        assert!(
            [429, 503, 500, 502, 404, 401, 302]
                .into_iter()
                .all(is_later)
        );
        assert!([400, 413, 415, 422].into_iter().all(is_refused));
    }
}
