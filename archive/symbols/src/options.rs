//! Options of debug files.

use std::path::PathBuf;

/// Options of debug files.
#[derive(Clone, Debug)]
pub struct DebugFileOptions {
    /// The folder for files while they are indexed.
    pub folder: PathBuf,
    /// Maximum size of a file, in bytes.
    pub file_bytes: u64,
    /// Servers of debuginfod, which are asked one after the other; none by default.
    pub debuginfod_urls: Vec<String>,
}
