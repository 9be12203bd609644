//! Why a request to an object store failed, and what to do about it.

use crate::attempt::Attempt;
use crate::url::{BucketUrl, Scheme};
use http::StatusCode;
use std::error::Error as StdError;
use std::fmt;

/// The kind of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The object does not exist.
    NotFound,
    /// The bucket or container does not exist.
    NoBucket,
    /// The object store does not accept the credentials.
    Credentials,
    /// The credentials are valid, but do not permit the request.
    Forbidden,
    /// The object store asks to retry later: 429, 503 and the like.
    Busy,
    /// The object store returns another error.
    Failed,
    /// The bytes that arrived are not those that were sent.
    Damaged,
    /// No connection.
    Unreachable,
    /// No response in time.
    TimedOut,
    /// The object store has no space left.
    Full,
    /// The object store refuses the request; the same request would fail again.
    Refused,
}

impl FaultKind {
    /// The value of the label `reason` in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::NoBucket => "no_bucket",
            Self::Credentials => "credentials",
            Self::Forbidden => "forbidden",
            Self::Busy => "busy",
            Self::Failed => "failed",
            Self::Damaged => "damaged",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::Full => "full",
            Self::Refused => "refused",
        }
    }

    /// Whether a retry can succeed.
    pub fn is_temporary(self) -> bool {
        match self {
            Self::Busy | Self::Failed | Self::Damaged | Self::Unreachable | Self::TimedOut => true,
            Self::NotFound
            | Self::NoBucket
            | Self::Credentials
            | Self::Forbidden
            | Self::Full
            | Self::Refused => false,
        }
    }
}

/// A failed request: the text says what failed, why, and what to do.
#[derive(Debug)]
pub struct Fault {
    /// The kind.
    pub kind: FaultKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Fault {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&**self.source.as_ref()?)
    }
}

/// A failure of Swift in the words of this crate. object_store's error carries it as its source.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Stated {
    pub(crate) kind: FaultKind,
    pub(crate) message: String,
}

impl Stated {
    /// As an error of object_store.
    pub(crate) fn error(kind: FaultKind, message: impl Into<String>) -> object_store::Error {
        object_store::Error::Generic {
            store: "Swift",
            source: Box::new(Self {
                kind,
                message: message.into(),
            }),
        }
    }
}

impl Fault {
    /// Explains an error of an attempt.
    pub(crate) fn of(error: object_store::Error, attempt: &Attempt, url: &BucketUrl) -> Self {
        let text = text_of(&error);
        let kind = kind_of(&error, &text, attempt);
        let hint = hint(kind, url);
        Self {
            kind,
            message: match hint {
                Some(hint) => format!("{}; {hint}", text.trim_end_matches('.')),
                None => text,
            },
            source: Some(Box::new(error)),
        }
    }

    /// No response within a time limit.
    pub(crate) fn timed_out(limit: std::time::Duration, url: &BucketUrl) -> Self {
        let limit = davy_profile::units::duration(limit);
        let hint = hint(FaultKind::TimedOut, url).unwrap_or_default();
        Self {
            kind: FaultKind::TimedOut,
            message: format!("no response within {limit}; {hint}"),
            source: None,
        }
    }

    /// Appends to the message.
    pub(crate) fn with(mut self, note: &str) -> Self {
        self.message.push_str(note);
        self
    }

    /// The text.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// The texts of an error and its sources, without duplicates.
fn text_of(error: &object_store::Error) -> String {
    if let Some(stated) = stated(error) {
        return stated.message.clone();
    }
    let mut text = error.to_string();
    // reqwest's text ends before the reason, which is its source: connection refused, certificate expired.
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        source = inner.source();
    }
    let text = without_xml(&text)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    answer(&text)
}

/// Method and status of a failed response in object_store's text. The path is stated elsewhere; the
/// duration is left out.
fn answer(text: &str) -> String {
    let Some((_, request)) = text.split_once("Error performing ") else {
        return text.to_owned();
    };
    let answered = request.split_once(" - Server returned non-2xx status code: ");
    match (answered, request.split(' ').next()) {
        (Some((_, status)), Some(method)) => format!("{method} returned {status}"),
        _ => request.to_owned(),
    }
}

/// A text with code and message in place of the XML document that S3 and Azure send.
fn without_xml(text: &str) -> String {
    let element = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>"))
            .map(|(inner, _)| inner)
    };
    let start = text.find("<?xml").or_else(|| text.find("<Error>"));
    match (start, element("Code"), element("Message")) {
        (Some(start), Some(code), Some(message)) => format!("{}{code}: {message}", &text[..start]),
        _ => text.to_owned(),
    }
}

fn stated(error: &object_store::Error) -> Option<&Stated> {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(stated) = inner.downcast_ref::<Stated>() {
            return Some(stated);
        }
        source = inner.source();
    }
    None
}

fn kind_of(error: &object_store::Error, text: &str, attempt: &Attempt) -> FaultKind {
    use object_store::Error;
    if let Some(stated) = stated(error) {
        return stated.kind;
    }
    // S3 answers 404 for a missing bucket as for a missing object, Azure with another code.
    if [
        "NoSuchBucket",
        "ContainerNotFound",
        "The specified bucket does not exist",
    ]
    .iter()
    .any(|code| text.contains(code))
    {
        return FaultKind::NoBucket;
    }
    // Expired or unknown keys come with 400, 401 or 403.
    let credentials = [
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "ExpiredToken",
        "InvalidToken",
        "RequestTimeTooSkewed",
        "TokenRefreshRequired",
        "AuthenticationFailed",
        "invalid_grant",
    ];
    if credentials.iter().any(|code| text.contains(code)) {
        return FaultKind::Credentials;
    }
    match error {
        Error::NotFound { .. } => FaultKind::NotFound,
        Error::Unauthenticated { .. } => FaultKind::Credentials,
        Error::PermissionDenied { .. } => FaultKind::Forbidden,
        Error::InvalidPath { .. }
        | Error::NotSupported { .. }
        | Error::NotImplemented { .. }
        | Error::AlreadyExists { .. }
        | Error::Precondition { .. }
        | Error::NotModified { .. }
        | Error::UnknownConfigurationKey { .. } => FaultKind::Refused,
        _ => match attempt.status() {
            _ if is_disk_full(error) => FaultKind::Full,
            Some(StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) => {
                FaultKind::Busy
            }
            Some(StatusCode::INSUFFICIENT_STORAGE) => FaultKind::Full,
            Some(StatusCode::REQUEST_TIMEOUT) => FaultKind::Failed,
            Some(status) if status.is_client_error() => {
                // The object store reports that the bytes of the request were damaged in transit.
                let damaged = [
                    "BadDigest",
                    "XAmzContentSHA256Mismatch",
                    "XAmzContentChecksumMismatch",
                    "InvalidDigest",
                ];
                if damaged.iter().any(|code| text.contains(code)) {
                    FaultKind::Damaged
                } else {
                    FaultKind::Refused
                }
            }
            None if attempt.is_unreachable() => FaultKind::Unreachable,
            // Half a body, a closed connection, an error of the object store or of the disk.
            _ => FaultKind::Failed,
        },
    }
}

fn is_disk_full(error: &object_store::Error) -> bool {
    let mut source: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<std::io::Error>()
            && io.kind() == std::io::ErrorKind::StorageFull
        {
            return true;
        }
        source = inner.source();
    }
    false
}

/// What to do about a failure.
fn hint(kind: FaultKind, url: &BucketUrl) -> Option<String> {
    let name = &url.name;
    match (kind, url.scheme) {
        (FaultKind::NoBucket, Scheme::Swift) => Some(format!(
            "create the container with `swift post {name}`, or correct bucket.url"
        )),
        (FaultKind::NoBucket, Scheme::S3) => Some(format!(
            "create the bucket with `aws s3 mb s3://{name}`, or correct bucket.url or bucket.region"
        )),
        (FaultKind::NoBucket, _) => Some(format!("create {name}, or correct bucket.url")),
        (FaultKind::Credentials, Scheme::Swift) => Some(
            "check bucket.user, bucket.password_file and bucket.auth_url, or OS_USERNAME, OS_PASSWORD and OS_AUTH_URL"
                .to_owned(),
        ),
        (FaultKind::Credentials, Scheme::S3) => Some(
            "check bucket.access_key and bucket.secret_key_file, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, \
             and whether temporary keys have expired"
                .to_owned(),
        ),
        (FaultKind::Credentials, Scheme::Gcs) => {
            Some("check bucket.credentials_file or GOOGLE_APPLICATION_CREDENTIALS".to_owned())
        }
        (FaultKind::Credentials, Scheme::Azure) => {
            Some("check bucket.access_key and bucket.secret_key_file".to_owned())
        }
        (FaultKind::Forbidden, _) => Some(format!(
            "allow these credentials to read, write, list and delete objects in {name}"
        )),
        (FaultKind::Unreachable, Scheme::Swift) => {
            Some("check bucket.auth_url, bucket.ca_file and the network".to_owned())
        }
        (FaultKind::Unreachable, _) => {
            Some("check bucket.endpoint, bucket.ca_file and the network".to_owned())
        }
        (FaultKind::TimedOut, _) => {
            Some("check that the store responds, or raise bucket.attempt_timeout".to_owned())
        }
        (FaultKind::Full, _) => Some("free or add space, or raise the quota".to_owned()),
        _ => None,
    }
}

/// Whether an error says that a container does not exist.
pub(crate) fn is_missing_bucket(error: &object_store::Error) -> bool {
    stated(error).is_some_and(|stated| stated.kind == FaultKind::NoBucket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn document_of_an_error_is_reduced_to_code_and_message() {
        let text = "status 400: <?xml version=\"1.0\"?>\n<Error><Code>NoSuchBucket</Code><Message>It does not \
                    exist.</Message><HostId>x</HostId></Error>";
        assert_eq!(
            without_xml(text),
            "status 400: NoSuchBucket: It does not exist."
        );
        assert_eq!(without_xml("connection refused"), "connection refused");
    }

    #[test]
    fn answer_is_stated_without_path_and_duration() {
        let text = "The operation lacked the necessary privileges to complete for path a/b: Error performing PUT \
                    http://s3/b/a/b in 997.901µs - Server returned non-2xx status code: 403 Forbidden: X: y";
        assert_eq!(answer(text), "PUT returned 403 Forbidden: X: y");
        let text =
            "Generic S3 error: Error performing PUT http://s3/b in 1ms - HTTP error: refused";
        assert_eq!(answer(text), "PUT http://s3/b in 1ms - HTTP error: refused");
        assert_eq!(answer("disk full"), "disk full");
    }
}
