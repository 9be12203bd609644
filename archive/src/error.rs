//! What went wrong, and what the caller can do about it.

/// What the caller should do: mend the request, wait, or give up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request is wrong.
    Invalid,
    /// The body did not come in time.
    Late,
    /// The body is larger than is taken.
    TooLarge,
    /// The format of the body is not one that is taken.
    Unsupported,
    /// The body is not what it claims to be.
    Unprocessable,
    /// Buffers are full; the same request can succeed in a moment.
    Busy,
    /// The bucket or this member is not there; the same request can succeed later.
    Unavailable,
    /// The fault is here.
    Internal,
}

impl ErrorKind {
    /// The HTTP status, the status' title, Connect's name of the code, and the name in metrics.
    pub fn table(self) -> (u16, &'static str, &'static str, &'static str) {
        match self {
            Self::Invalid => (400, "Bad Request", "invalid_argument", "invalid"),
            Self::Late => (408, "Request Timeout", "deadline_exceeded", "late"),
            Self::TooLarge => (413, "Content Too Large", "resource_exhausted", "too_large"),
            Self::Unsupported => (
                415,
                "Unsupported Media Type",
                "invalid_argument",
                "unsupported",
            ),
            Self::Unprocessable => (
                422,
                "Unprocessable Content",
                "invalid_argument",
                "unprocessable",
            ),
            Self::Busy => (429, "Too Many Requests", "resource_exhausted", "busy"),
            Self::Unavailable => (503, "Service Unavailable", "unavailable", "unavailable"),
            Self::Internal => (500, "Internal Server Error", "internal", "internal"),
        }
    }
}

/// A fault with a sentence for the caller.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What the caller should do.
    pub kind: ErrorKind,
    /// What is wrong, and the way out.
    pub message: String,
}

impl Error {
    /// A fault of this kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// The request is wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// An object does not hold what it must.
    pub fn corrupt(what: impl std::fmt::Display) -> Self {
        Self::new(ErrorKind::Internal, format!("an object is damaged: {what}"))
    }

    /// The same fault, of one thing among several.
    #[must_use]
    pub fn within(mut self, what: impl std::fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }
}

impl From<parquet::errors::ParquetError> for Error {
    fn from(error: parquet::errors::ParquetError) -> Self {
        Self::corrupt(error)
    }
}

impl From<object_store::Error> for Error {
    fn from(error: object_store::Error) -> Self {
        Self::new(ErrorKind::Unavailable, format!("the bucket fails: {error}"))
    }
}

/// Results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
