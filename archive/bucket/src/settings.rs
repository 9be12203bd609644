//! Where a bucket is and how to authenticate.

use std::fmt;
use std::path::PathBuf;

/// Why a bucket cannot be opened: the setting, its value, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SettingsError(pub String);

/// Text that `Debug` does not show.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() {
            "(none)"
        } else {
            "(secret)"
        })
    }
}

/// The address and credentials of a bucket. An empty value means the environment variable or, without it, the default.
#[derive(Clone, Debug, Default)]
pub struct BucketSettings {
    /// `bucket.url`.
    pub url: String,
    /// Address of the object store, for S3, GCS and Azure; empty for the provider's own.
    pub endpoint: String,
    /// Region of the bucket.
    pub region: String,
    /// Whether the bucket is in the path of the address and not in the host name. `None`: with an
    /// endpoint only.
    pub path_style: Option<bool>,
    /// Whether credentials may be sent to another machine without TLS.
    pub allow_http: bool,
    /// PEM file with the only certificate authorities to trust.
    pub ca_file: Option<PathBuf>,
    /// Access key id of S3, or account of Azure.
    pub access_key: String,
    /// Secret key of S3, or key of the account of Azure.
    pub secret_key: Secret,
    /// Token of temporary credentials of S3.
    pub session_token: Secret,
    /// JSON file with a service account of GCS.
    pub credentials_file: String,
    /// Address of TempAuth (`.../auth/v1.0`) or Keystone (`.../v3`), for Swift.
    pub auth_url: String,
    /// User of Swift; for TempAuth `ACCOUNT:USER`.
    pub user: String,
    /// Password of Swift.
    pub password: Secret,
    /// Project of the user, for Keystone.
    pub project: String,
    /// Domain of the user and the project, for Keystone.
    pub domain: String,
    /// Names on one page of a listing of Swift; `None` for the maximum.
    pub page: Option<usize>,
}

/// Reads environment variables; tests replace it.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The variables of this process.
pub fn process_environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl BucketSettings {
    /// The settings of a URL, everything else from the environment.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            ..Self::default()
        }
    }

    /// Checks that an address can be used, and that credentials do not leave this machine in clear text unless
    /// the operator allowed it.
    pub(crate) fn check_address(&self, setting: &str, address: &str) -> Result<(), SettingsError> {
        if address.starts_with("https://") {
            return Ok(());
        }
        let Some(rest) = address.strip_prefix("http://") else {
            return Err(SettingsError(format!(
                "invalid {setting} {address:?}: expected http://HOST:PORT or https://HOST:PORT"
            )));
        };
        let authority = rest.split('/').next().unwrap_or_default();
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => authority,
        };
        let is_loopback = host == "localhost"
            || host
                .trim_matches(['[', ']'])
                .parse::<std::net::IpAddr>()
                .is_ok_and(|ip| ip.is_loopback());
        if is_loopback || self.allow_http {
            return Ok(());
        }
        Err(SettingsError(format!(
            "{setting} {address:?} would send credentials without TLS; use https://, or set bucket.allow_http = true \
             if the network is trusted"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_leave_the_machine_only_with_tls_or_permission() {
        let check = |address: &str, allow_http: bool| {
            let settings = BucketSettings {
                allow_http,
                ..BucketSettings::new("s3://b")
            };
            settings.check_address("bucket.endpoint", address).is_ok()
        };
        assert!(check("https://s3.example.com", false));
        assert!(check("http://127.0.0.1:7070", false));
        assert!(check("http://[::1]:7070/x", false));
        assert!(check("http://localhost", false));
        assert!(!check("http://s3.example.com", false));
        assert!(!check("http://127.0.0.1.example.com", false));
        assert!(check("http://s3.example.com", true));
        assert!(!check("s3.example.com", true));
    }

    #[test]
    fn debug_output_contains_no_secret() {
        let settings = BucketSettings {
            secret_key: Secret("hush".to_owned()),
            password: Secret("quiet".to_owned()),
            session_token: Secret("still".to_owned()),
            ..BucketSettings::new("s3://b")
        };
        let shown = format!("{settings:?}");
        for secret in ["hush", "quiet", "still"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
