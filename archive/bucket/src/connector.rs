//! The HTTP client of all object stores: one TLS configuration, no redirects, and a record of what each attempt sent.

use crate::attempt;
use crate::settings::SettingsError;
use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Time limit of a connection attempt, DNS and TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A client that trusts the certificate authorities of the system, or only those of `ca_file`.
pub(crate) fn client(ca_file: Option<&Path>) -> Result<HttpClient, SettingsError> {
    let client = private_client("bucket.ca_file", ca_file)?;
    Ok(HttpClient::new(Recorded(client)))
}

/// A client whose requests may carry credentials: it follows no redirects. It trusts the certificate authorities of the
/// system, or only those of `ca_file`, which the setting `setting` names.
///
/// # Errors
///
/// If the file cannot be read or has no certificate, or TLS cannot be configured.
pub fn private_client(
    setting: &str,
    ca_file: Option<&Path>,
) -> Result<reqwest::Client, SettingsError> {
    let failed = |error: reqwest::Error| SettingsError(format!("cannot configure TLS: {error}"));
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls(ca_file.map(|file| (setting, file)))?)
        .user_agent(concat!("davy/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        // A redirected request would carry its token to another host.
        .redirect(reqwest::redirect::Policy::none())
        .pool_idle_timeout(Duration::from_mins(1))
        .build()
        .map_err(failed)
}

/// A client of other servers than object stores, which trusts the certificate authorities of the system. It follows a few
/// redirects, so it must not carry credentials.
///
/// # Errors
///
/// If TLS cannot be configured.
pub fn web_client() -> Result<reqwest::Client, SettingsError> {
    let failed = |error: reqwest::Error| SettingsError(format!("cannot configure TLS: {error}"));
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls(None)?)
        .user_agent(concat!("davy/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::limited(3))
        .build()
        .map_err(failed)
}

/// `ca_file` is the name of its setting and the file.
fn tls(ca_file: Option<(&str, &Path)>) -> Result<ClientConfig, SettingsError> {
    let failed = |reason: String| SettingsError(format!("cannot configure TLS: {reason}"));
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(error.to_string()))?;
    let Some((setting, file)) = ca_file else {
        let verified = builder
            .with_platform_verifier()
            .map_err(|error| failed(error.to_string()))?;
        return Ok(verified.with_no_client_auth());
    };
    let refused = |reason: String| {
        SettingsError(format!("cannot use {setting} {}: {reason}", file.display()))
    };
    let pem = std::fs::read(file).map_err(|error| refused(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| refused(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| refused(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(refused(
            "the file holds no certificate in PEM format".to_owned(),
        ));
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Gives every object store of object_store the same client.
#[derive(Debug)]
pub(crate) struct Connector(pub(crate) HttpClient);

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(self.0.clone())
    }
}

/// Records every request and the status of its response in the current attempt.
#[derive(Debug)]
struct Recorded<S>(S);

#[async_trait]
impl<S: HttpService> HttpService for Recorded<S> {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        attempt::record_request();
        let response = self.0.call(request).await;
        match &response {
            Ok(response) => attempt::record_response(response.status(), response.headers()),
            // Retrying does not help with an expired certificate, but object_store can't tell it from other errors.
            Err(error) if error.kind() == HttpErrorKind::Connect => attempt::record_unreachable(),
            Err(_) => {}
        }
        response
    }
}
