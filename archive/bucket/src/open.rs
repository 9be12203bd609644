//! Opens the object store that the settings describe.

use crate::connector::{Connector, client};
use crate::settings::{BucketSettings, Environment, Secret, SettingsError};
use crate::swift::{Swift, SwiftOptions};
use crate::url::{BucketUrl, Scheme};
use davy_base::Clock;
use object_store::aws::{AmazonS3Builder, Checksum};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::multipart::MultipartStore;
use object_store::{ObjectStore, RetryConfig};
use std::sync::Arc;
use std::time::Duration;

/// An open object store.
#[derive(Clone)]
pub struct OpenBucket {
    /// The object store.
    pub store: Arc<dyn ObjectStore>,
    /// Its interface for large objects, if it has one.
    pub multipart: Option<Arc<dyn MultipartStore>>,
    /// The parsed URL.
    pub url: BucketUrl,
}

impl std::fmt::Debug for OpenBucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenBucket")
            .field("store", &self.store)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl OpenBucket {
    fn new(url: BucketUrl, store: Arc<dyn ObjectStore>) -> Self {
        Self {
            store,
            multipart: None,
            url,
        }
    }

    fn with_parts<T: ObjectStore + MultipartStore>(url: BucketUrl, store: T) -> Self {
        let store = Arc::new(store);
        Self {
            store: Arc::clone(&store) as _,
            multipart: Some(store),
            url,
        }
    }
}

/// Opens a bucket. Sends no request: a wrong password shows at the first request. The folder of `file:///FOLDER`
/// is created if it does not exist.
pub fn open(
    settings: &BucketSettings,
    environment: Environment<'_>,
    clock: &Clock,
) -> Result<OpenBucket, SettingsError> {
    let url = BucketUrl::parse(&settings.url)?;
    match url.scheme {
        Scheme::Memory => Ok(OpenBucket::new(url, Arc::new(InMemory::new()))),
        Scheme::File => open_folder(url),
        Scheme::S3 => open_s3(settings, url, environment),
        Scheme::Gcs => open_gcs(settings, url, environment),
        Scheme::Azure => open_azure(settings, url, environment),
        Scheme::Swift => {
            let options = SwiftOptions::new(settings, &url.name, environment)?;
            let http = client(options.ca_file.as_deref())?;
            Ok(OpenBucket::with_parts(
                url,
                Swift::new(options, http, clock.clone()),
            ))
        }
    }
}

/// Checks settings: like [`open`], but creates nothing.
pub fn check(
    settings: &BucketSettings,
    environment: Environment<'_>,
    clock: &Clock,
) -> Result<(), SettingsError> {
    match BucketUrl::parse(&settings.url)?.scheme {
        Scheme::Memory | Scheme::File => Ok(()),
        _ => open(settings, environment, clock).map(drop),
    }
}

fn open_folder(url: BucketUrl) -> Result<OpenBucket, SettingsError> {
    let failed = |reason: String| {
        SettingsError(format!(
            "cannot use the folder {} of the bucket: {reason}; pass another one with --bucket-url",
            url.name
        ))
    };
    std::fs::create_dir_all(&url.name).map_err(|error| failed(error.to_string()))?;
    let folder =
        LocalFileSystem::new_with_prefix(&url.name).map_err(|error| failed(error.to_string()))?;
    Ok(OpenBucket::new(url, Arc::new(folder)))
}

/// The retries of object_store are off: [`crate::Client`] retries, with one budget for all requests.
fn no_retries() -> RetryConfig {
    RetryConfig {
        max_retries: 0,
        retry_timeout: Duration::from_secs(1),
        ..RetryConfig::default()
    }
}

/// The value of a setting, or of the first variable that is set.
fn or_variable(setting: &str, environment: Environment<'_>, names: &[&str]) -> Option<String> {
    if !setting.is_empty() {
        return Some(setting.to_owned());
    }
    names.iter().find_map(|name| environment(name))
}

fn set<B, V>(builder: B, value: Option<V>, with: impl FnOnce(B, V) -> B) -> B {
    match value {
        Some(value) => with(builder, value),
        None => builder,
    }
}

fn some(secret: &Secret) -> Option<String> {
    (!secret.0.is_empty()).then(|| secret.0.clone())
}

fn open_s3(
    settings: &BucketSettings,
    url: BucketUrl,
    environment: Environment<'_>,
) -> Result<OpenBucket, SettingsError> {
    let endpoint = or_variable(
        &settings.endpoint,
        environment,
        &["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"],
    );
    if let Some(endpoint) = &endpoint {
        settings.check_address("bucket.endpoint", endpoint)?;
    }
    let region = or_variable(
        &settings.region,
        environment,
        &["AWS_REGION", "AWS_DEFAULT_REGION"],
    );
    if region.is_none() && endpoint.is_none() {
        return Err(SettingsError(
            "the region of the S3 bucket is not set; set bucket.region or AWS_REGION, and bucket.endpoint if the \
             bucket is not at AWS"
                .to_owned(),
        ));
    }
    let path_style = settings.path_style.unwrap_or(endpoint.is_some());
    // The variables of the provider's usual chain: keys, web identity, container and instance roles.
    let mut builder = AmazonS3Builder::new();
    for name in [
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_ROLE_ARN",
        "AWS_ROLE_SESSION_NAME",
        "AWS_ENDPOINT_URL_STS",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        "AWS_METADATA_ENDPOINT",
    ] {
        if let (Some(value), Ok(key)) = (environment(name), name.to_ascii_lowercase().parse()) {
            builder = builder.with_config(key, value);
        }
    }
    if settings.access_key.is_empty()
        && environment("AWS_ACCESS_KEY_ID").is_none()
        && let Some(keys) = crate::aws_file::read(environment)?
    {
        builder = builder
            .with_access_key_id(keys.access_key)
            .with_secret_access_key(keys.secret_key.0);
        builder = set(
            builder,
            some(&keys.session_token),
            AmazonS3Builder::with_token,
        );
    }
    if !settings.access_key.is_empty() {
        if settings.secret_key.0.is_empty() {
            return Err(SettingsError(
                "bucket.access_key is set but bucket.secret_key is not; set bucket.secret_key_file"
                    .to_owned(),
            ));
        }
        builder = builder
            .with_access_key_id(&settings.access_key)
            .with_secret_access_key(&settings.secret_key.0);
        builder = set(
            builder,
            some(&settings.session_token),
            AmazonS3Builder::with_token,
        );
    }
    builder = set(builder, endpoint, AmazonS3Builder::with_endpoint);
    let http = client(settings.ca_file.as_deref())?;
    let store = builder
        .with_bucket_name(&url.name)
        .with_region(region.unwrap_or_else(|| "us-east-1".to_owned()))
        .with_virtual_hosted_style_request(!path_style)
        .with_allow_http(true)
        .with_checksum_algorithm(Checksum::SHA256)
        .with_retry(no_retries())
        .with_http_connector(Connector(http))
        .build()
        .map_err(|error| SettingsError(format!("cannot open {}: {error}", settings.url)))?;
    Ok(OpenBucket::with_parts(url, store))
}

fn open_gcs(
    settings: &BucketSettings,
    url: BucketUrl,
    environment: Environment<'_>,
) -> Result<OpenBucket, SettingsError> {
    let mut builder = GoogleCloudStorageBuilder::new();
    if !settings.endpoint.is_empty() {
        settings.check_address("bucket.endpoint", &settings.endpoint)?;
        builder = builder.with_base_url(&settings.endpoint);
    }
    let account = or_variable(
        &settings.credentials_file,
        environment,
        &["GOOGLE_SERVICE_ACCOUNT"],
    );
    builder = set(
        builder,
        account,
        GoogleCloudStorageBuilder::with_service_account_path,
    );
    let default = environment("GOOGLE_APPLICATION_CREDENTIALS");
    builder = set(
        builder,
        default,
        GoogleCloudStorageBuilder::with_application_credentials,
    );
    let http = client(settings.ca_file.as_deref())?;
    let store = builder
        .with_bucket_name(&url.name)
        .with_retry(no_retries())
        .with_http_connector(Connector(http))
        .build()
        .map_err(|error| SettingsError(format!("cannot open {}: {error}", settings.url)))?;
    Ok(OpenBucket::with_parts(url, store))
}

fn open_azure(
    settings: &BucketSettings,
    url: BucketUrl,
    environment: Environment<'_>,
) -> Result<OpenBucket, SettingsError> {
    let account = or_variable(
        &settings.access_key,
        environment,
        &["AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT"],
    );
    let Some(account) = account else {
        return Err(SettingsError(
            "the account of the Azure container is not set; set bucket.access_key or AZURE_STORAGE_ACCOUNT_NAME"
                .to_owned(),
        ));
    };
    let mut builder = MicrosoftAzureBuilder::new();
    for name in [
        "AZURE_STORAGE_ACCOUNT_KEY",
        "AZURE_STORAGE_SAS_TOKEN",
        "AZURE_CLIENT_ID",
        "AZURE_CLIENT_SECRET",
        "AZURE_TENANT_ID",
        "AZURE_FEDERATED_TOKEN_FILE",
        "AZURE_AUTHORITY_HOST",
    ] {
        let key = name.to_ascii_lowercase();
        if let (Some(value), Ok(key)) = (environment(name), key.parse()) {
            builder = builder.with_config(key, value);
        }
    }
    builder = set(
        builder,
        some(&settings.secret_key),
        MicrosoftAzureBuilder::with_access_key,
    );
    if !settings.endpoint.is_empty() {
        settings.check_address("bucket.endpoint", &settings.endpoint)?;
        builder = builder.with_endpoint(settings.endpoint.clone());
    }
    let http = client(settings.ca_file.as_deref())?;
    let store = builder
        .with_account(account)
        .with_container_name(&url.name)
        .with_allow_http(true)
        .with_retry(no_retries())
        .with_http_connector(Connector(http))
        .build()
        .map_err(|error| SettingsError(format!("cannot open {}: {error}", settings.url)))?;
    Ok(OpenBucket::with_parts(url, store))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Opens with some settings and variables; returns the error.
    fn refused(
        change: impl FnOnce(&mut BucketSettings),
        url: &str,
        variables: &[(&str, &str)],
    ) -> String {
        let mut settings = BucketSettings::new(url);
        change(&mut settings);
        let environment = |name: &str| {
            let variable = variables.iter().find(|(variable, _)| *variable == name)?;
            Some(variable.1.to_owned())
        };
        match open(&settings, &environment, &Clock::system()) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn settings_and_variables_open_every_kind_of_store() {
        let check = |url: &str, variables: &[(&str, &str)]| {
            assert_eq!(refused(|_| {}, url, variables), "", "{url} {variables:?}");
        };
        check("memory:", &[]);
        check(
            "s3://b/p",
            &[
                ("AWS_REGION", "eu-1"),
                ("AWS_ACCESS_KEY_ID", "k"),
                ("AWS_SECRET_ACCESS_KEY", "s"),
            ],
        );
        check("s3://b/p", &[("AWS_ENDPOINT_URL", "http://127.0.0.1:1")]);
        check(
            "az://c/p",
            &[
                ("AZURE_STORAGE_ACCOUNT_NAME", "a"),
                ("AZURE_STORAGE_ACCOUNT_KEY", "c2VjcmV0"),
            ],
        );
        check("gs://b/p", &[]);
        let temp_auth = [
            ("ST_AUTH", "http://127.0.0.1:1/auth/v1.0"),
            ("ST_USER", "a:u"),
            ("ST_KEY", "s"),
        ];
        check("swift://c/p", &temp_auth);
        let keystone = [
            ("OS_AUTH_URL", "https://k:5000/v3"),
            ("OS_USERNAME", "u"),
            ("OS_PASSWORD", "s"),
            ("OS_PROJECT_NAME", "p"),
        ];
        check("swift://c/p", &keystone);
        let application = [
            ("OS_AUTH_URL", "https://k:5000"),
            ("OS_APPLICATION_CREDENTIAL_ID", "i"),
            ("OS_APPLICATION_CREDENTIAL_SECRET", "s"),
        ];
        check("swift://c/p", &application);
    }

    #[test]
    fn missing_settings_are_named_with_their_variables() {
        let check = |url: &str, variables: &[(&str, &str)], expected: &str| {
            let error = refused(|_| {}, url, variables);
            assert!(error.contains(expected), "{url}: {error}");
        };
        check("s3://b", &[], "set bucket.region or AWS_REGION");
        check(
            "s3://b",
            &[("AWS_ENDPOINT_URL", "http://s3.example.com")],
            "bucket.allow_http = true",
        );
        check(
            "s3://b",
            &[
                ("AWS_REGION", "r"),
                ("AWS_PROFILE", "x"),
                ("HOME", "/nowhere"),
            ],
            "profile \"x\" of AWS_PROFILE has no keys in /nowhere/.aws/credentials",
        );
        check("az://c", &[], "AZURE_STORAGE_ACCOUNT_NAME");
        check("swift://c", &[], "bucket.auth_url is not set");
        check(
            "swift://c",
            &[("OS_AUTH_URL", "https://k/v3")],
            "bucket.user is not set",
        );
        let error = refused(
            |settings| settings.access_key = "k".to_owned(),
            "s3://b",
            &[("AWS_REGION", "r")],
        );
        assert!(error.contains("set bucket.secret_key_file"), "{error}");
        let error = refused(
            |settings| settings.ca_file = Some("/nowhere.pem".into()),
            "s3://b",
            &[("AWS_REGION", "r")],
        );
        assert!(
            error.contains("cannot use bucket.ca_file /nowhere.pem"),
            "{error}"
        );
    }
}
