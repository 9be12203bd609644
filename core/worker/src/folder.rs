//! Folders named by handles, and files in them that are written as a whole.

use davy_model::name;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

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

/// Space on the disk for a file that must be written even when the disk is full.
pub(crate) struct Reserved {
    path: PathBuf,
    part: PathBuf,
}

impl Reserved {
    /// Takes the space.
    pub(crate) fn new(path: &Path, bytes: usize) -> io::Result<Self> {
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        fs::write(&part, vec![b' '; bytes])?;
        Ok(Self {
            path: path.to_owned(),
            part: part.into(),
        })
    }

    /// Writes the file so that it is there as a whole or not at all. What is left of the space is white space after the
    /// JSON.
    pub(crate) fn write_json(self, value: &impl Serialize) -> io::Result<()> {
        let bytes = serde_json::to_vec(value).map_err(io::Error::other)?;
        let mut file = fs::OpenOptions::new().write(true).open(&self.part)?;
        file.write_all(&bytes)?;
        drop(file);
        fs::rename(&self.part, &self.path)
    }
}

/// Reads a file that [`write_json`] wrote.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<T> {
    serde_json::from_slice(&fs::read(path)?).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_file_appears_when_it_is_written_and_is_valid_json() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("exit.json");
        let reserved = Reserved::new(&path, 100).expect("writable");
        assert!(!path.exists());
        reserved.write_json(&[1, 2]).expect("written");
        assert_eq!(read_json::<Vec<i32>>(&path).expect("readable"), [1, 2]);
        assert_eq!(fs::metadata(&path).expect("a file").len(), 100);
        assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 1);
    }
}
