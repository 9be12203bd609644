//! Options of a container, from the settings and the variables of OpenStack's own tools.

use super::login::{Identity, Keystone, Login, TempAuth};
use crate::settings::{BucketSettings, Environment, Secret, SettingsError};
use std::path::PathBuf;

/// Names on one page of a listing: Swift's own maximum, unless an operator changed it.
const PAGE: usize = 10_000;

/// Where a container is and how to authenticate.
#[derive(Debug)]
pub struct SwiftOptions {
    /// The container.
    pub container: String,
    /// Names on one page of a listing.
    pub page: usize,
    pub(super) login: Login,
    pub(super) region: Option<String>,
    pub(crate) ca_file: Option<PathBuf>,
}

impl SwiftOptions {
    /// Reads what the settings leave empty from `OS_*`, and for TempAuth also from `ST_*`.
    pub fn new(
        settings: &BucketSettings,
        container: &str,
        environment: Environment<'_>,
    ) -> Result<Self, SettingsError> {
        let or = |setting: &str, names: &[&str]| {
            if setting.is_empty() {
                names.iter().find_map(|name| environment(name))
            } else {
                Some(setting.to_owned())
            }
        };
        let needed = |value: Option<String>, setting: &str, variable: &str| {
            value.ok_or_else(|| {
                SettingsError(format!(
                    "{setting} is not set, which swift:// needs; set it or {variable}"
                ))
            })
        };
        let address = or(&settings.auth_url, &["OS_AUTH_URL", "ST_AUTH"]);
        let address = needed(address, "bucket.auth_url", "OS_AUTH_URL")?;
        settings.check_address("bucket.auth_url", &address)?;
        let address = address.trim_end_matches('/').to_owned();
        let is_temp_auth = address.ends_with("/v1.0") || address.ends_with("/v1");
        let user = || {
            let user = or(&settings.user, &["OS_USERNAME", "ST_USER"]);
            needed(user, "bucket.user", "OS_USERNAME")
        };
        let password = || {
            let password = or(&settings.password.0, &["OS_PASSWORD", "ST_KEY"]);
            needed(password, "bucket.password_file", "OS_PASSWORD").map(Secret)
        };
        let login = if is_temp_auth {
            Login::TempAuth(TempAuth {
                address,
                user: user()?,
                password: password()?,
            })
        } else {
            let domain = |names: &[&str]| {
                or(&settings.domain, names).unwrap_or_else(|| "Default".to_owned())
            };
            let identity = match environment("OS_APPLICATION_CREDENTIAL_ID") {
                Some(id) if settings.user.is_empty() => Identity::Application {
                    id,
                    secret: needed(
                        environment("OS_APPLICATION_CREDENTIAL_SECRET"),
                        "the secret of the application credential",
                        "OS_APPLICATION_CREDENTIAL_SECRET",
                    )
                    .map(Secret)?,
                },
                _ => Identity::User {
                    user: user()?,
                    password: password()?,
                    user_domain: domain(&["OS_USER_DOMAIN_NAME", "OS_DEFAULT_DOMAIN"]),
                    project: needed(
                        or(&settings.project, &["OS_PROJECT_NAME", "OS_TENANT_NAME"]),
                        "bucket.project",
                        "OS_PROJECT_NAME",
                    )?,
                    project_domain: domain(&["OS_PROJECT_DOMAIN_NAME", "OS_DEFAULT_DOMAIN"]),
                },
            };
            let base = address.strip_suffix("/v3").unwrap_or(&address);
            Login::Keystone(Keystone {
                address: format!("{base}/v3"),
                identity,
            })
        };
        Ok(Self {
            container: container.to_owned(),
            page: settings.page.unwrap_or(PAGE),
            login,
            region: or(&settings.region, &["OS_REGION_NAME"]),
            ca_file: settings
                .ca_file
                .clone()
                .or_else(|| environment("OS_CACERT").map(PathBuf::from)),
        })
    }
}
