//! Folders as compressed tar files. What is unpacked comes from outside: it stays in its folder, and its size and the
//! number of its files are limited.

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};
use tar::{Archive, Builder, EntryType, Header};

/// The compressed size of a folder, in bytes, at most.
pub const PACKED_BYTES_MAX: usize = 16 << 20;
/// The size of an unpacked folder, in bytes, at most.
const UNPACKED_BYTES_MAX: u64 = 1 << 30;
/// Files and folders, at most.
const ENTRIES_MAX: usize = 100_000;

/// Why a folder cannot be packed or unpacked.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// A file cannot be read or written.
    #[error("cannot use {path}: {source}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The tar file is damaged.
    #[error("the tar file is damaged: {0}")]
    Damaged(#[source] io::Error),
    /// A limit is exceeded.
    #[error("the folder exceeds the limit of {limit} {unit}")]
    TooLarge {
        /// The limit.
        limit: u64,
        /// Its unit.
        unit: &'static str,
    },
    /// A path leads out of the folder.
    #[error("{path:?} leads out of the folder")]
    Outside {
        /// The path, or the target of a link.
        path: PathBuf,
    },
    /// Only files, folders and symbolic links are unpacked.
    #[error("{path:?} is neither a file, a folder nor a symbolic link")]
    Kind {
        /// The path.
        path: PathBuf,
    },
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> TreeError {
    let path = path.to_owned();
    move |source| TreeError::File { path, source }
}

/// A writer that fails when its limit is exceeded.
struct Bounded {
    bytes: Vec<u8>,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > PACKED_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Packs a folder: files, folders and symbolic links, which are not followed. Others are left out.
pub fn pack(folder: &Path) -> Result<Vec<u8>, TreeError> {
    let bounded = Bounded { bytes: Vec::new() };
    let mut builder = Builder::new(GzEncoder::new(bounded, Compression::fast()));
    builder.follow_symlinks(false);
    let mut entries = 0;
    let mut folders = vec![PathBuf::new()];
    while let Some(inner) = folders.pop() {
        let listed = folder.join(&inner);
        let mut children: Vec<_> = fs::read_dir(&listed)
            .and_then(Iterator::collect::<io::Result<Vec<_>>>)
            .map_err(at(&listed))?;
        children.sort_by_key(fs::DirEntry::file_name);
        for child in children {
            let (path, name) = (child.path(), inner.join(child.file_name()));
            entries += 1;
            if entries > ENTRIES_MAX {
                return Err(too_many());
            }
            let kind = child.file_type().map_err(at(&path))?;
            if kind.is_dir() {
                builder.append_dir(&name, &path).map_err(large_or(&path))?;
                folders.push(name);
            } else if kind.is_file() || kind.is_symlink() {
                builder
                    .append_path_with_name(&path, &name)
                    .map_err(large_or(&path))?;
            }
        }
    }
    let finished = builder.into_inner().and_then(GzEncoder::finish);
    Ok(finished.map_err(large_or(folder))?.bytes)
}

fn large_or(path: &Path) -> impl FnOnce(io::Error) -> TreeError {
    let path = path.to_owned();
    move |source| match source.kind() {
        io::ErrorKind::FileTooLarge => TreeError::TooLarge {
            limit: PACKED_BYTES_MAX as u64,
            unit: "bytes when compressed",
        },
        _ => TreeError::File { path, source },
    }
}

fn too_many() -> TreeError {
    TreeError::TooLarge {
        limit: ENTRIES_MAX as u64,
        unit: "files",
    }
}

/// Unpacks into an existing folder.
pub fn unpack(packed: &[u8], folder: &Path) -> Result<(), TreeError> {
    unpack_within(packed, folder, UNPACKED_BYTES_MAX)
}

fn unpack_within(packed: &[u8], folder: &Path, limit: u64) -> Result<(), TreeError> {
    let mut archive = Archive::new(GzDecoder::new(packed).take(limit));
    archive.set_preserve_permissions(false);
    let too_large = || TreeError::TooLarge {
        limit,
        unit: "bytes",
    };
    let (mut entries, mut bytes) = (0, 0_u64);
    for entry in archive.entries().map_err(TreeError::Damaged)? {
        let mut entry = entry.map_err(TreeError::Damaged)?;
        entries += 1;
        if entries > ENTRIES_MAX {
            return Err(too_many());
        }
        bytes = bytes.saturating_add(header_size(entry.header()));
        if bytes > limit {
            return Err(too_large());
        }
        let path = entry.path().map_err(TreeError::Damaged)?.into_owned();
        if !is_inside(&path) {
            return Err(TreeError::Outside { path });
        }
        match entry.header().entry_type() {
            EntryType::Regular | EntryType::Directory => {}
            EntryType::Symlink => check_link(&entry, &path)?,
            _ => return Err(TreeError::Kind { path }),
        }
        // Does not write through symbolic links that lead out of the folder.
        let is_unpacked = entry.unpack_in(folder).map_err(at(&folder.join(&path)))?;
        if !is_unpacked {
            return Err(TreeError::Outside { path });
        }
    }
    Ok(())
}

fn header_size(header: &Header) -> u64 {
    header.size().unwrap_or(u64::MAX)
}

/// Whether a path consists of names only.
fn is_inside(path: &Path) -> bool {
    let mut components = path.components();
    components.all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

/// A link may lead to another place in the folder.
fn check_link(entry: &tar::Entry<'_, impl Read>, path: &Path) -> Result<(), TreeError> {
    let target = entry.link_name().map_err(TreeError::Damaged)?;
    let target = target.map(std::borrow::Cow::into_owned).unwrap_or_default();
    let mut depth = path.components().count() as i64 - 1;
    for part in target.components() {
        depth += match part {
            Component::Normal(_) => 1,
            Component::ParentDir => -1,
            Component::CurDir => 0,
            Component::RootDir | Component::Prefix(_) => i64::MIN / 2,
        };
        if depth < 0 {
            return Err(TreeError::Outside { path: target });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
