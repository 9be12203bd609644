//! Errors of control groups.

use std::io;
use std::path::PathBuf;

/// An error of a control group.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No cgroups can be created on this machine by this process.
    #[error("cgroups are not available: {reason}")]
    Unavailable {
        /// Why.
        reason: String,
    },
    /// A limit needs a controller that is not available.
    #[error("cannot limit {limit}: the controller {controller} is not available to this process")]
    Controller {
        /// The limit.
        limit: &'static str,
        /// The controller.
        controller: &'static str,
    },
    /// A file of the kernel cannot be read or written.
    #[error("cannot use {}: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The name cannot be that of a cgroup.
    #[error(
        "invalid name of a cgroup {name:?}: expected 1 to 128 letters, digits, '.', '_', '-' and '+', beginning with a letter or digit"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// Processes start as fast as they are killed.
    #[error("{count} processes of cgroup {} are still alive after they were killed; try again", path.display())]
    Alive {
        /// A folder of the cgroup.
        path: PathBuf,
        /// How many.
        count: usize,
    },
}

pub(crate) fn at(path: &std::path::Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { path, source }
}
