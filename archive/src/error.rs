//! The crate's error and what the caller can do about it.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

/// What the caller can do: correct the request, retry, or report a fault of the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request is wrong.
    Invalid,
    /// Something that the request names does not exist.
    NotFound,
    /// The body did not arrive in time.
    Late,
    /// The body exceeds a limit.
    TooLarge,
    /// The format of the body is not supported.
    Unsupported,
    /// The body is not in the format that the request states.
    Unprocessable,
    /// Buffers are full, or the rate of the tenant is spent; the same request can succeed later.
    Busy,
    /// The query exceeds a limit of its tenant.
    Exceeded,
    /// The bucket or this archiver is not available; the same request can succeed later.
    Unavailable,
    /// The archive is at fault: damaged data or a bug.
    Internal,
}

/// How clients and metrics see a kind of error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorCode {
    /// HTTP status.
    pub status: u16,
    /// Title of the HTTP status.
    pub title: &'static str,
    /// Code of the Connect protocol.
    pub connect: &'static str,
    /// Value of the label `reason` in metrics.
    pub reason: &'static str,
}

impl ErrorKind {
    /// How clients and metrics see this kind.
    pub fn code(self) -> ErrorCode {
        let code = |status, title, connect, reason| ErrorCode {
            status,
            title,
            connect,
            reason,
        };
        match self {
            Self::Invalid => code(400, "Bad Request", "invalid_argument", "invalid"),
            Self::NotFound => code(404, "Not Found", "not_found", "not_found"),
            Self::Late => code(408, "Request Timeout", "deadline_exceeded", "late"),
            Self::TooLarge => code(413, "Content Too Large", "resource_exhausted", "too_large"),
            Self::Unsupported => code(
                415,
                "Unsupported Media Type",
                "invalid_argument",
                "unsupported",
            ),
            Self::Unprocessable => code(
                422,
                "Unprocessable Content",
                "invalid_argument",
                "unprocessable",
            ),
            Self::Busy => code(429, "Too Many Requests", "resource_exhausted", "busy"),
            Self::Exceeded => code(
                422,
                "Unprocessable Content",
                "resource_exhausted",
                "exceeded",
            ),
            Self::Unavailable => code(503, "Service Unavailable", "unavailable", "unavailable"),
            Self::Internal => code(500, "Internal Server Error", "internal", "internal"),
        }
    }

    /// Whether the same request can succeed after a second.
    pub fn is_temporary(self) -> bool {
        matches!(self, Self::Busy | Self::Unavailable)
    }
}

/// An error with a message for the caller. The message includes that of the source.
#[derive(Clone, Debug)]
pub struct Error {
    /// What the caller can do.
    pub kind: ErrorKind,
    /// What failed, why, and what to do.
    pub message: String,
    /// Whether an object of the bucket is damaged: reading it again fails again.
    pub is_damage: bool,
    /// The setting whose limit the request exceeds, such as `limits.series`.
    pub limit: Option<&'static str>,
    /// How long to wait before the same request is sent again, if it is known.
    pub retry_after: Option<Duration>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    // Not derived: a derived source would be the `Arc`, which cannot be downcast to the error in it.
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&**self.source.as_ref()?)
    }
}

impl Error {
    /// An error without a source.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            is_damage: false,
            limit: None,
            retry_after: None,
            source: None,
        }
    }

    /// An error that `source` caused; the message is `context: source`.
    pub fn caused(
        kind: ErrorKind,
        context: impl std::fmt::Display,
        source: impl StdError + Send + Sync + 'static,
    ) -> Self {
        Self {
            kind,
            message: format!("{context}: {source}"),
            is_damage: false,
            limit: None,
            retry_after: None,
            source: Some(Arc::new(source)),
        }
    }

    /// An error whose message is that of `source`.
    pub fn from_source(kind: ErrorKind, source: impl StdError + Send + Sync + 'static) -> Self {
        Self {
            kind,
            message: source.to_string(),
            is_damage: false,
            limit: None,
            retry_after: None,
            source: Some(Arc::new(source)),
        }
    }

    /// The request is wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// An object of the bucket is damaged.
    pub fn corrupt(what: impl std::fmt::Display) -> Self {
        Self {
            is_damage: true,
            ..Self::new(ErrorKind::Internal, format!("damaged object: {what}"))
        }
    }

    /// An object of the bucket is damaged; `source` says how.
    pub fn corrupt_by(source: impl StdError + Send + Sync + 'static) -> Self {
        Self {
            is_damage: true,
            ..Self::caused(ErrorKind::Internal, "damaged object", source)
        }
    }

    /// The request exceeds a limit.
    pub(crate) fn over(kind: ErrorKind, limit: &'static str, message: impl Into<String>) -> Self {
        Self {
            limit: Some(limit),
            ..Self::new(kind, message)
        }
    }

    /// Seconds after which the same request can be sent again; `None` if it would fail again.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        let known = self
            .retry_after
            .map(|wait| wait.as_secs_f64().ceil() as u64);
        let known = known.map(|seconds| seconds.clamp(1, 3_600));
        known.or_else(|| self.kind.is_temporary().then_some(1))
    }

    /// Prefixes the message with `what`, which the error concerns.
    #[must_use]
    pub fn within(mut self, what: impl std::fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }
}

impl From<parquet::errors::ParquetError> for Error {
    fn from(error: parquet::errors::ParquetError) -> Self {
        Self::corrupt_by(error)
    }
}

/// Results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_stays_reachable_behind_the_message() {
        let cause = std::io::Error::other("disk full");
        let error = Error::caused(ErrorKind::Unavailable, "cannot put x", cause).within("flush");
        assert_eq!(error.to_string(), "flush: cannot put x: disk full");
        let source = error.source().expect("a source");
        assert_eq!(source.to_string(), "disk full");
        assert!(source.is::<std::io::Error>());
    }
}
