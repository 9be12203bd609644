//! The bucket that `bucket.url` names.

use crate::cli::Failure;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use std::sync::Arc;

/// The folder of `file:///FOLDER`, `None` for `memory:`; other URLs are an error.
pub(crate) fn check(url: &str) -> Result<Option<&str>, Failure> {
    if url == "memory:" || url == "memory://" {
        return Ok(None);
    }
    let Some(folder) = url.strip_prefix("file://") else {
        return Err(Failure::Usage(format!(
            "unsupported bucket.url {url:?}; supported are file:///FOLDER and memory:"
        )));
    };
    if !folder.starts_with('/') {
        return Err(Failure::Usage(format!(
            "invalid bucket.url {url:?}: the folder must be an absolute path, as in file:///var/lib/davy"
        )));
    }
    Ok(Some(folder))
}

/// Opens `file:///FOLDER`, which is created if it does not exist, or `memory:`.
pub(crate) fn open(url: &str) -> Result<Arc<dyn ObjectStore>, Failure> {
    let Some(folder) = check(url)? else {
        return Ok(Arc::new(InMemory::new()));
    };
    let failed = |error: &dyn std::fmt::Display| {
        Failure::Usage(format!(
            "cannot use the bucket folder {folder}: {error}; choose another one with --bucket-url"
        ))
    };
    std::fs::create_dir_all(folder).map_err(|error| failed(&error))?;
    let bucket = LocalFileSystem::new_with_prefix(folder).map_err(|error| failed(&error))?;
    Ok(Arc::new(bucket))
}
