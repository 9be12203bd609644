//! The object store that a URL names.

use crate::cli::Failure;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use std::sync::Arc;

/// The folder of `file:///FOLDER`, none of `memory:`; anything else is refused.
pub(crate) fn check(url: &str) -> Result<Option<&str>, Failure> {
    if url == "memory:" || url == "memory://" {
        return Ok(None);
    }
    let Some(folder) = url.strip_prefix("file://") else {
        return Err(Failure::Usage(format!(
            "store.url = {url:?} is no object store of this version; write file:///FOLDER or memory:"
        )));
    };
    if !folder.starts_with('/') {
        return Err(Failure::Usage(format!(
            "store.url = {url:?} must name a whole path, as file:///FOLDER does"
        )));
    }
    Ok(Some(folder))
}

/// Opens `file:///FOLDER` (made if it is not there) or `memory:`.
pub(crate) fn open(url: &str) -> Result<Arc<dyn ObjectStore>, Failure> {
    let Some(folder) = check(url)? else {
        return Ok(Arc::new(InMemory::new()));
    };
    let failed = |error: &dyn std::fmt::Display| {
        Failure::Usage(format!(
            "the store's folder {folder} can't be used: {error}; give another one with --store-url"
        ))
    };
    std::fs::create_dir_all(folder).map_err(|error| failed(&error))?;
    let store = LocalFileSystem::new_with_prefix(folder).map_err(|error| failed(&error))?;
    Ok(Arc::new(store))
}
