//! Tars: a file that is read at any place and continued, or a stream.
//!
//! The first entry says that the tar holds an archive. The others are the objects, named by their keys below the prefix
//! of the archive; if a key occurs twice, the last one counts. The last entry says that the tar is complete.

mod read;
mod write;

pub(super) use read::{END, LABEL, Label, TarFile, incomplete, io_failed};
pub(super) use write::{TarTarget, TarUpload};
