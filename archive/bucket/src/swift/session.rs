//! The token of an account. It is renewed before it expires, and when the object store refuses it.

use super::login::{Login, Token};
use crate::fault::{FaultKind, Stated};
use bytes::Bytes;
use davy_base::Clock;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use object_store::client::{HttpClient, HttpRequestBody, HttpResponse};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// The requests of one account.
pub(super) struct Session {
    login: Login,
    region: Option<String>,
    http: HttpClient,
    clock: Clock,
    current: Mutex<Option<Current>>,
}

struct Current {
    token: Arc<Token>,
    /// By the monotonic clock; `None` if the server did not state a lifetime.
    renew_at: Option<Duration>,
}

/// A token is renewed when a tenth of its life is left, but not earlier than this before its end.
const RENEW_BEFORE: Duration = Duration::from_mins(5);

/// A request below the address of the account.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    /// Path and query, quoted.
    pub(super) target: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Request {
    pub(super) fn new(method: Method, target: String) -> Self {
        Self {
            method,
            target,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    /// With a header.
    pub(super) fn with(mut self, name: &'static str, value: &str) -> object_store::Result<Self> {
        let value = HeaderValue::from_str(value).map_err(|error| {
            Stated::error(
                FaultKind::Refused,
                format!("invalid value of the header {name}: {error}"),
            )
        })?;
        self.headers.insert(name, value);
        Ok(self)
    }
}

/// The value of a header, if it is text.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// An error of the transport.
pub(super) fn transport(source: object_store::client::HttpError) -> object_store::Error {
    object_store::Error::Generic {
        store: "Swift",
        source: Box::new(source),
    }
}

impl Session {
    pub(super) fn new(
        login: Login,
        region: Option<String>,
        http: HttpClient,
        clock: Clock,
    ) -> Self {
        Self {
            login,
            region,
            http,
            clock,
            current: Mutex::new(None),
        }
    }

    /// The current token, or a new one if there is none, it is about to expire, or the object store refused it.
    async fn token(&self, refused: Option<&Arc<Token>>) -> object_store::Result<Arc<Token>> {
        // A caller that had to wait for the lock gets the token that another one has renewed.
        let mut current = self.current.lock().await;
        let now = self.clock.monotonic();
        if let Some(Current { token, renew_at }) = &*current
            && renew_at.is_none_or(|at| now < at)
            && refused.is_none_or(|refused| !Arc::ptr_eq(refused, token))
        {
            return Ok(Arc::clone(token));
        }
        *current = None;
        let issued = self.login.issue(&self.http, self.region.as_deref()).await?;
        let token = Arc::new(issued.token);
        *current = Some(Current {
            token: Arc::clone(&token),
            renew_at: issued
                .lifetime
                .map(|span| now + span.saturating_sub(RENEW_BEFORE.min(span / 10))),
        });
        Ok(token)
    }

    /// Sends a request. Responses of every status are returned; a refused token is renewed once.
    pub(super) async fn send(&self, request: Request) -> object_store::Result<HttpResponse> {
        let token = self.token(None).await?;
        let response = self.send_with(&token, &request).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        let token = self.token(Some(&token)).await?;
        self.send_with(&token, &request).await
    }

    async fn send_with(
        &self,
        token: &Token,
        request: &Request,
    ) -> object_store::Result<HttpResponse> {
        let mut sent = http::Request::builder()
            .method(request.method.clone())
            .uri(format!("{}{}", token.storage, request.target))
            .header("x-auth-token", &token.value)
            // Swift refuses an empty PUT without it.
            .header(CONTENT_LENGTH, request.body.len())
            .body(HttpRequestBody::from(request.body.clone()))
            .map_err(|error| {
                Stated::error(
                    FaultKind::Refused,
                    format!("invalid request to {}: {error}", token.storage),
                )
            })?;
        sent.headers_mut().extend(request.headers.clone());
        self.http.execute(sent).await.map_err(transport)
    }
}

/// The error that a status means. `path` is the object, or `None` if the request was about the container.
pub(super) fn refusal(
    status: StatusCode,
    method: &Method,
    path: Option<&str>,
    container: &str,
) -> object_store::Error {
    let stated = |kind, message: String| Stated::error(kind, message);
    let what = path.unwrap_or("the container");
    match (status, path) {
        // A PUT needs no object, so what is missing is the container.
        (StatusCode::NOT_FOUND, Some(path)) if *method != Method::PUT => {
            object_store::Error::NotFound {
                path: path.to_owned(),
                source: format!("Swift returned {status}").into(),
            }
        }
        (StatusCode::NOT_FOUND, _) => stated(
            FaultKind::NoBucket,
            format!("the container {container} does not exist"),
        ),
        (StatusCode::UNAUTHORIZED, _) => stated(
            FaultKind::Credentials,
            format!(
                "Swift refused a new token for {method} {what} in the container {container} ({status})"
            ),
        ),
        (StatusCode::FORBIDDEN, _) => stated(
            FaultKind::Forbidden,
            format!("the user may not {method} {what} in the container {container} ({status})"),
        ),
        (StatusCode::UNPROCESSABLE_ENTITY, _) => stated(
            FaultKind::Damaged,
            format!("{what} was damaged on its way to Swift: its MD5 differs ({status})"),
        ),
        (StatusCode::PRECONDITION_FAILED, Some(path)) => object_store::Error::Precondition {
            path: path.to_owned(),
            source: format!("Swift returned {status}").into(),
        },
        (StatusCode::NOT_MODIFIED, Some(path)) => object_store::Error::NotModified {
            path: path.to_owned(),
            source: format!("Swift returned {status}").into(),
        },
        (StatusCode::INSUFFICIENT_STORAGE | StatusCode::PAYLOAD_TOO_LARGE, _) => stated(
            FaultKind::Full,
            format!("Swift has no space for {what} in the container {container} ({status})"),
        ),
        // 498 is Swift's own "too many requests".
        (status, _) if matches!(status.as_u16(), 429 | 498 | 503) => stated(
            FaultKind::Busy,
            format!("Swift is overloaded: {method} {what} returned {status}"),
        ),
        (status, _) if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => stated(
            FaultKind::Failed,
            format!("Swift failed: {method} {what} returned {status}"),
        ),
        (status, _) => stated(
            FaultKind::Refused,
            format!("Swift refused {method} {what} in the container {container}: {status}"),
        ),
    }
}
