//! Why a request failed.

use crate::error::{Error, ErrorKind};
use davy_bucket::{Fault, FaultKind};
use object_store::path::Path;

/// Why an object could not be read.
#[derive(Clone, Debug)]
pub enum ReadError {
    /// Not found: deleted since it was listed.
    Gone,
    /// The request failed, or the object is damaged.
    Failed(Error),
}

impl From<Error> for ReadError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// The error of a request.
pub(crate) fn failed(what: &str, key: &Path, fault: Fault) -> Error {
    Error::caused(
        ErrorKind::Unavailable,
        format!("cannot {what} {key}"),
        fault,
    )
}

/// The error of a read.
pub(crate) fn unread(key: &Path, fault: Fault) -> ReadError {
    match fault.kind {
        FaultKind::NotFound => ReadError::Gone,
        _ => ReadError::Failed(failed("get", key, fault)),
    }
}
