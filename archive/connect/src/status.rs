//! The outcome of a call that failed, in the terms of gRPC, which Connect shares.

use davy_archive::{Error, ErrorKind};

/// The codes that this API answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The request is wrong.
    InvalidArgument = 3,
    /// The request or its answer took too long.
    DeadlineExceeded = 4,
    /// Something that the request names does not exist.
    NotFound = 5,
    /// A limit was exceeded.
    ResourceExhausted = 8,
    /// The method, or what the request asks of it, does not exist here.
    Unimplemented = 12,
    /// The archive is at fault.
    Internal = 13,
    /// The same call can succeed later.
    Unavailable = 14,
}

impl Code {
    const ALL: [Self; 7] = [
        Self::InvalidArgument,
        Self::DeadlineExceeded,
        Self::NotFound,
        Self::ResourceExhausted,
        Self::Unimplemented,
        Self::Internal,
        Self::Unavailable,
    ];

    /// The name in Connect's errors.
    pub fn name(self) -> &'static str {
        match self {
            Self::InvalidArgument => "invalid_argument",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::NotFound => "not_found",
            Self::ResourceExhausted => "resource_exhausted",
            Self::Unimplemented => "unimplemented",
            Self::Internal => "internal",
            Self::Unavailable => "unavailable",
        }
    }

    /// The HTTP status of Connect's unary errors.
    pub fn http(self) -> u16 {
        match self {
            Self::InvalidArgument => 400,
            Self::DeadlineExceeded => 504,
            Self::NotFound => 404,
            Self::ResourceExhausted => 429,
            Self::Unimplemented => 501,
            Self::Internal => 500,
            Self::Unavailable => 503,
        }
    }

    /// The number in gRPC's trailers.
    pub fn grpc(self) -> u8 {
        self as u8
    }
}

/// Why a call failed.
#[derive(Clone, Debug)]
pub struct Status {
    /// What the caller can do.
    pub code: Code,
    /// What failed, why, and what to do.
    pub message: String,
    /// Seconds after which the same call can succeed.
    pub retry_after: Option<u64>,
}

impl Status {
    /// A failure without a time to retry.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            retry_after: None,
        }
    }

    /// The request is wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidArgument, message)
    }

    /// What the request asks for does not exist here.
    pub fn unimplemented(message: impl Into<String>) -> Self {
        Self::new(Code::Unimplemented, message)
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let name = error.kind.code().connect;
        let known = Code::ALL.into_iter().find(|code| code.name() == name);
        let retry_after = error.retry_after_seconds();
        Self {
            code: known.unwrap_or(Code::Internal),
            message: error.message,
            retry_after,
        }
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        let kind = match status.code {
            Code::InvalidArgument | Code::Unimplemented => ErrorKind::Invalid,
            Code::DeadlineExceeded => ErrorKind::Late,
            Code::NotFound => ErrorKind::NotFound,
            Code::ResourceExhausted => ErrorKind::Exceeded,
            Code::Internal => ErrorKind::Internal,
            Code::Unavailable => ErrorKind::Unavailable,
        };
        Self::new(kind, status.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_error_has_a_code() {
        for (kind, expected) in [
            (ErrorKind::Invalid, Code::InvalidArgument),
            (ErrorKind::NotFound, Code::NotFound),
            (ErrorKind::Late, Code::DeadlineExceeded),
            (ErrorKind::TooLarge, Code::ResourceExhausted),
            (ErrorKind::Unsupported, Code::InvalidArgument),
            (ErrorKind::Unprocessable, Code::InvalidArgument),
            (ErrorKind::Busy, Code::ResourceExhausted),
            (ErrorKind::Exceeded, Code::ResourceExhausted),
            (ErrorKind::Unavailable, Code::Unavailable),
            (ErrorKind::Internal, Code::Internal),
        ] {
            assert_eq!(Status::from(Error::new(kind, "x")).code, expected);
        }
    }
}
