//! The bucket that `bucket.url` names.

use crate::failure::Failure;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use std::sync::Arc;

/// The folder of `file:///FOLDER`, or `None` for `memory:`. Other URLs are errors.
pub(crate) fn check(url: &str) -> Result<Option<&str>, Failure> {
    if url == "memory:" || url == "memory://" {
        return Ok(None);
    }
    let Some(folder) = url.strip_prefix("file://") else {
        return Err(Failure::usage(format!(
            "unsupported bucket.url {url:?}: expected file:///FOLDER or memory:"
        )));
    };
    if !folder.starts_with('/') {
        return Err(Failure::usage(format!(
            "invalid bucket.url {url:?}: the path must be absolute, as in file:///FOLDER"
        )));
    }
    Ok(Some(folder))
}

/// Opens the bucket. The folder of `file:///FOLDER` is created if it does not exist.
pub(crate) fn open(url: &str) -> Result<Arc<dyn ObjectStore>, Failure> {
    let Some(folder) = check(url)? else {
        return Ok(Arc::new(InMemory::new()));
    };
    let message = || format!("cannot use the folder {folder} of the bucket");
    const HINT: &str = "pass another one with --bucket-url";
    std::fs::create_dir_all(folder)
        .map_err(|error| Failure::invalid(message())(error).with_hint(HINT))?;
    let bucket = LocalFileSystem::new_with_prefix(folder)
        .map_err(|error| Failure::invalid(message())(error).with_hint(HINT))?;
    Ok(Arc::new(bucket))
}
