//! Folders named by handles, and files in them that are written as a whole.

use davy_model::name;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs;
use std::io;
use std::path::Path;

/// A handle becomes part of a path.
pub(crate) fn check(handle: &str) -> io::Result<()> {
    name::check("handle", handle)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

/// The valid names in a folder. What has another name was not created by a worker, and is left alone.
pub(crate) fn names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?.file_name().into_string();
        names.extend(entry.ok().filter(|name| check(name).is_ok()));
    }
    Ok(names)
}

/// Removes a folder with everything in it. One that does not exist is removed.
pub(crate) fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Writes a file so that it is there as a whole or not at all.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let bytes = serde_json::to_vec(value).map_err(io::Error::other)?;
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    fs::write(&part, bytes)?;
    fs::rename(&part, path)
}

/// Reads a file that [`write_json`] wrote.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<T> {
    serde_json::from_slice(&fs::read(path)?).map_err(io::Error::other)
}
