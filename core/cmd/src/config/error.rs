//! The error of a configuration.

/// An invalid configuration. One sentence that names the value, its source and what is expected.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Error(pub(crate) String);
