//! Why an image cannot be used.

use std::io;
use std::path::{Path, PathBuf};

/// Why an image cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImageError {
    /// A file cannot be read or written.
    #[error("cannot use {}: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// An entry of a layer is refused.
    #[error("entry {entry:?}: {why}")]
    Entry {
        /// The entry.
        entry: PathBuf,
        /// Why.
        why: String,
    },
    /// The image exceeds a limit.
    #[error("the image exceeds the limit of {limit} {unit} at entry {entry:?}")]
    TooLarge {
        /// The entry that exceeds it.
        entry: PathBuf,
        /// The limit.
        limit: u64,
        /// Its unit.
        unit: &'static str,
    },
    /// The tar file is damaged.
    #[error("the tar file is damaged: {0}")]
    Damaged(#[source] io::Error),
    /// The OCI layout is not valid, or not supported.
    #[error("invalid OCI layout: {0}")]
    Layout(String),
    /// The worker has no such image.
    #[error("no image {name:?} in {}: expected a folder, {name}.tar or {name}.tar.gz", folder.display())]
    NotFound {
        /// The name.
        name: String,
        /// The folder with the images of the worker.
        folder: PathBuf,
    },
    /// The task names no image, and the worker has no default.
    #[error(
        "the task names no image, and the worker has no default one; set `image` in the task, or start the worker with --image"
    )]
    NoImage,
    /// The name is not allowed.
    #[error(transparent)]
    Name(#[from] davy_model::InvalidName),
}

pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> ImageError {
    let path = path.to_owned();
    move |source| ImageError::File { path, source }
}

pub(super) fn refused(entry: &Path, why: impl std::fmt::Display) -> ImageError {
    ImageError::Entry {
        entry: entry.to_owned(),
        why: why.to_string(),
    }
}
