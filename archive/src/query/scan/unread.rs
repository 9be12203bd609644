//! Why a part of a scan is not shown.

use crate::bucket::ReadError;
use crate::error::Error;

/// Why a group was not shown.
#[derive(Debug)]
pub(super) enum Unread {
    /// The group could not be read; the scan goes on.
    Skipped(ReadError),
    /// The query fails.
    Fatal(Error),
}

impl From<ReadError> for Unread {
    fn from(error: ReadError) -> Self {
        Self::Skipped(error)
    }
}

impl From<Error> for Unread {
    fn from(error: Error) -> Self {
        Self::Skipped(error.into())
    }
}
