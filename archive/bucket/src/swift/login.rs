//! Requests for tokens: TempAuth (version 1) and Keystone (version 3).

use crate::fault::{FaultKind, Stated};
use crate::settings::Secret;
use http::{HeaderMap, Method, StatusCode};
use object_store::client::{HttpClient, HttpRequest, HttpRequestBody};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

/// How to get a token.
#[derive(Debug)]
pub(super) enum Login {
    TempAuth(TempAuth),
    Keystone(Keystone),
}

#[derive(Debug)]
pub(super) struct TempAuth {
    /// Such as `http://swift/auth/v1.0`.
    pub(super) address: String,
    /// `ACCOUNT:USER`.
    pub(super) user: String,
    pub(super) password: Secret,
}

#[derive(Debug)]
pub(super) struct Keystone {
    /// Such as `https://keystone:5000/v3`.
    pub(super) address: String,
    pub(super) identity: Identity,
}

#[derive(Debug)]
pub(super) enum Identity {
    User {
        user: String,
        password: Secret,
        user_domain: String,
        project: String,
        project_domain: String,
    },
    Application {
        id: String,
        secret: Secret,
    },
}

/// A token and the address of the account it is for.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) value: String,
    pub(super) storage: String,
}

impl Token {
    fn new(value: String, storage: String) -> Self {
        Self {
            value,
            storage: storage.trim_end_matches('/').to_owned(),
        }
    }
}

/// A token as a server issued it.
pub(super) struct Issued {
    pub(super) token: Token,
    /// How long it is valid, if the server said so.
    pub(super) lifetime: Option<Duration>,
}

impl Login {
    /// Requests a token.
    pub(super) async fn issue(
        &self,
        http: &HttpClient,
        region: Option<&str>,
    ) -> object_store::Result<Issued> {
        match self {
            Self::TempAuth(login) => login.issue(http).await,
            Self::Keystone(login) => login.issue(http, region).await,
        }
    }
}

fn request(method: Method, address: &str, body: String) -> object_store::Result<HttpRequest> {
    http::Request::builder()
        .method(method)
        .uri(address)
        .body(HttpRequestBody::from(body))
        .map_err(|error| {
            Stated::error(
                FaultKind::Refused,
                format!("invalid address {address}: {error}"),
            )
        })
}

/// Sends a request for a token. A refusal is an error that names the address and the user.
async fn send(
    http: &HttpClient,
    address: &str,
    user: &str,
    request: HttpRequest,
) -> object_store::Result<object_store::client::HttpResponse> {
    let response = http
        .execute(request)
        .await
        .map_err(|source| object_store::Error::Generic {
            store: "Swift",
            source: Box::new(source),
        })?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let kind = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => FaultKind::Credentials,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => FaultKind::Busy,
        _ if status.is_server_error() => FaultKind::Failed,
        _ => FaultKind::Refused,
    };
    Err(Stated::error(
        kind,
        format!("{address} refused a token to the user {user}: {status}"),
    ))
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

impl TempAuth {
    async fn issue(&self, http: &HttpClient) -> object_store::Result<Issued> {
        let mut login = request(Method::GET, &self.address, String::new())?;
        for (name, value) in [
            ("x-auth-user", &self.user),
            ("x-auth-key", &self.password.0),
        ] {
            let value = value.parse().map_err(|_| {
                Stated::error(
                    FaultKind::Credentials,
                    "bucket.user or bucket.password has a character that a header cannot carry",
                )
            })?;
            login.headers_mut().insert(name, value);
        }
        let response = send(http, &self.address, &self.user, login).await?;
        let headers = response.headers();
        let (Some(value), Some(storage)) = (
            header(headers, "x-auth-token"),
            header(headers, "x-storage-url"),
        ) else {
            return Err(Stated::error(
                FaultKind::Refused,
                format!(
                    "{} did not answer with a token and a storage URL; expected the address of TempAuth, \
                     such as https://HOST/auth/v1.0, or of Keystone, such as https://HOST:5000/v3",
                    self.address
                ),
            ));
        };
        let seconds = header(headers, "x-auth-token-expires").and_then(|text| text.parse().ok());
        Ok(Issued {
            token: Token::new(value, storage),
            lifetime: seconds.map(Duration::from_secs),
        })
    }
}

#[derive(Deserialize)]
struct Answer {
    token: AnswerToken,
}

#[derive(Deserialize)]
struct AnswerToken {
    issued_at: Option<String>,
    expires_at: Option<String>,
    #[serde(default)]
    catalog: Vec<Service>,
}

#[derive(Deserialize)]
struct Service {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    endpoints: Vec<Endpoint>,
}

#[derive(Deserialize)]
struct Endpoint {
    interface: String,
    url: String,
    region: Option<String>,
}

impl Keystone {
    fn body(&self) -> Value {
        match &self.identity {
            Identity::User {
                user,
                password,
                user_domain,
                project,
                project_domain,
            } => json!({"auth": {
                "identity": {
                    "methods": ["password"],
                    "password": {"user": {
                        "name": user,
                        "domain": {"name": user_domain},
                        "password": password.0,
                    }},
                },
                "scope": {"project": {"name": project, "domain": {"name": project_domain}}},
            }}),
            Identity::Application { id, secret } => json!({"auth": {"identity": {
                "methods": ["application_credential"],
                "application_credential": {"id": id, "secret": secret.0},
            }}}),
        }
    }

    fn user(&self) -> &str {
        match &self.identity {
            Identity::User { user, .. } => user,
            Identity::Application { id, .. } => id,
        }
    }

    async fn issue(&self, http: &HttpClient, region: Option<&str>) -> object_store::Result<Issued> {
        let address = format!("{}/auth/tokens", self.address);
        let mut login = request(Method::POST, &address, self.body().to_string())?;
        let json = http::HeaderValue::from_static("application/json");
        login.headers_mut().insert(http::header::CONTENT_TYPE, json);
        let response = send(http, &address, self.user(), login).await?;
        let value = header(response.headers(), "x-subject-token");
        let body =
            response
                .into_body()
                .bytes()
                .await
                .map_err(|source| object_store::Error::Generic {
                    store: "Swift",
                    source: Box::new(source),
                })?;
        let unexpected = |reason: String| {
            Stated::error(
                FaultKind::Refused,
                format!("{address} returned no token: {reason}; check bucket.auth_url"),
            )
        };
        let value = value.ok_or_else(|| unexpected("no X-Subject-Token".to_owned()))?;
        let answer: Answer =
            serde_json::from_slice(&body).map_err(|error| unexpected(error.to_string()))?;
        let storage = storage(&answer.token.catalog, region)
            .map_err(|reason| Stated::error(FaultKind::Refused, format!("{address}: {reason}")))?;
        Ok(Issued {
            token: Token::new(value, storage.to_owned()),
            lifetime: lifetime(&answer.token),
        })
    }
}

/// By the server's clock only, because this machine's can differ.
fn lifetime(token: &AnswerToken) -> Option<Duration> {
    let time = |text: &Option<String>| chrono::DateTime::parse_from_rfc3339(text.as_deref()?).ok();
    (time(&token.expires_at)? - time(&token.issued_at)?)
        .to_std()
        .ok()
}

/// The public address of the Swift service in a catalogue.
fn storage<'a>(catalog: &'a [Service], region: Option<&str>) -> Result<&'a str, String> {
    let public: Vec<&Endpoint> = catalog
        .iter()
        .filter(|service| service.kind == "object-store")
        .flat_map(|service| &service.endpoints)
        .filter(|endpoint| endpoint.interface == "public")
        .collect();
    let regions = |endpoints: &[&Endpoint]| {
        let names: Vec<&str> = endpoints
            .iter()
            .filter_map(|each| each.region.as_deref())
            .collect();
        names.join(", ")
    };
    match (public.as_slice(), region) {
        ([], _) => Err("the catalogue has no public endpoint of the Swift service for this project".to_owned()),
        ([only], None) => Ok(&only.url),
        (several, None) => Err(format!(
            "the Swift service has endpoints in several regions; set bucket.region to one of {}",
            regions(several)
        )),
        (all, Some(region)) => all
            .iter()
            .find(|endpoint| endpoint.region.as_deref() == Some(region))
            .map(|endpoint| endpoint.url.as_str())
            .ok_or_else(|| {
                format!(
                    "the Swift service has no endpoint in the region {region:?} of bucket.region; the regions are {}",
                    regions(all)
                )
            }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Answer {
        serde_json::from_str(
            r#"{"token": {"issued_at": "2026-11-29T12:00:00.000000Z", "expires_at": "2026-11-29T13:00:00.000000Z",
                "catalog": [
                    {"type": "identity", "endpoints": [{"interface": "public", "url": "http://k", "region": "a"}]},
                    {"type": "object-store", "endpoints": [
                        {"interface": "internal", "url": "http://internal", "region": "a"},
                        {"interface": "public", "url": "http://a", "region": "a"},
                        {"interface": "public", "url": "http://b", "region": "b"}]}]}}"#,
        )
        .expect("valid")
    }

    #[test]
    fn storage_is_the_public_endpoint_of_the_region() {
        let catalog = answer().token.catalog;
        assert_eq!(storage(&catalog, Some("b")), Ok("http://b"));
        let error = storage(&catalog, None).expect_err("two regions");
        assert!(
            error.ends_with("set bucket.region to one of a, b"),
            "{error}"
        );
        let error = storage(&catalog, Some("c")).expect_err("unknown");
        assert!(error.contains("no endpoint in the region \"c\""), "{error}");
        assert!(storage(&catalog[..1], None).is_err());
    }

    #[test]
    fn lifetime_does_not_depend_on_this_machines_clock() {
        assert_eq!(lifetime(&answer().token), Some(Duration::from_hours(1)));
    }
}
