//! Errors of a worker.

use std::io;
use std::path::PathBuf;

/// An error of a worker.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The key cannot be read or written.
    #[error("cannot use key {path}")]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// The file is not a key.
    #[error("{path} is not the key of a worker; create one with `davy token worker NAME`")]
    Key {
        /// The file.
        path: PathBuf,
    },
    /// The folder of the worker cannot be used.
    #[error("cannot use folder {path}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// Another process uses the folder.
    #[error("folder {path} is in use by another worker; give each worker a folder of its own")]
    FolderInUse {
        /// The folder.
        path: PathBuf,
    },
    /// The OCI runtime cannot be run.
    #[error("cannot run {}: {reason}; install runc, or set --runc to its path", program.display())]
    Runtime {
        /// The program.
        program: PathBuf,
        /// Why.
        reason: String,
    },
    /// A thread cannot be started.
    #[error("cannot start a thread")]
    Thread {
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// The server cannot be reached, or cannot answer at the moment.
    #[error("{server} does not respond: {reason}")]
    Unavailable {
        /// The server.
        server: String,
        /// Why.
        reason: String,
    },
    /// The server refuses the request.
    #[error("{server} refused the request with status {status}: {reason}")]
    Refused {
        /// The server.
        server: String,
        /// The HTTP status.
        status: u16,
        /// The reason that it states.
        reason: String,
    },
    /// A later registration of the same worker has replaced this one.
    #[error(
        "another process has registered as worker {name}; this one stops. Give each worker a name of its own"
    )]
    Replaced {
        /// The worker.
        name: String,
    },
}

impl Error {
    /// Whether the same request may succeed later.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// Whether this process may no longer act for the worker.
    pub(crate) fn is_fatal(&self) -> bool {
        match self {
            Self::Replaced { .. } => true,
            Self::Refused { status, .. } => *status == 401,
            _ => false,
        }
    }
}
