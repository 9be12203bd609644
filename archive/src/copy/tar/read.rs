//! Reads tars.

use crate::blocking::blocking;
use crate::bucket::ReadError;
use crate::copy::piece::Entry;
use crate::error::{Error, ErrorKind, Result};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// Name of the first entry.
pub(in crate::copy) const LABEL: &str = "davy-archive.json";

/// Name of the last entry, which is empty. Without it, the export was interrupted.
pub(in crate::copy) const END: &str = "davy-archive.end";

/// Version of the tar.
const TAR_VERSION: u32 = 1;

/// Length of the blocks of a tar file.
pub(in crate::copy) const TAR_BLOCK: u64 = 512;

/// The content of the first entry.
#[derive(Serialize, Deserialize)]
pub(in crate::copy) struct Label {
    version: u32,
    davy: String,
}

impl Label {
    /// The first entry of a tar file that this release writes.
    pub(in crate::copy) fn own() -> Result<Vec<u8>> {
        let label = Self {
            version: TAR_VERSION,
            davy: env!("CARGO_PKG_VERSION").to_owned(),
        };
        serde_json::to_vec(&label)
            .map_err(|error| Error::caused(ErrorKind::Internal, "cannot write JSON", error))
    }

    /// Checks the first entry of a tar file.
    pub(in crate::copy) fn check(name: &str, key: &str, content: &[u8]) -> Result<()> {
        let label: Option<Self> = (key == LABEL)
            .then(|| serde_json::from_slice(content).ok())
            .flatten();
        match label {
            Some(label) if label.version <= TAR_VERSION => Ok(()),
            Some(label) => Err(Error::invalid(format!(
                "unsupported version {} of the tar {name}, which davy {} wrote; update davy",
                label.version, label.davy
            ))),
            None => Err(Error::invalid(format!(
                "{name} is not a tar file that davy archive export wrote; its first entry must be {LABEL}"
            ))),
        }
    }
}

/// The error for a tar file that has no final entry.
pub(in crate::copy) fn incomplete(name: &str) -> Error {
    Error::invalid(format!(
        "{name} is incomplete, because its export was interrupted; repeat the export, which continues the tar"
    ))
}

/// The error of a request to a file.
pub(in crate::copy) fn io_failed(what: &str, name: &str, error: std::io::Error) -> Error {
    Error::caused(
        ErrorKind::Unavailable,
        format!("cannot {what} {name}"),
        error,
    )
}

/// Where an object is in a tar file.
#[derive(Clone, Copy, Debug)]
pub(in crate::copy) struct At {
    pub(in crate::copy) offset: u64,
    pub(in crate::copy) size: u64,
    pub(in crate::copy) modified: u64,
}

/// The entries of a file that are complete, and where the last one ends.
pub(in crate::copy) struct Scan {
    pub(in crate::copy) entries: BTreeMap<String, At>,
    pub(in crate::copy) end: u64,
    /// Whether the last entry is there, which does not count for `end`.
    pub(in crate::copy) is_complete: bool,
}

/// Reads the headers of a tar file. Bytes after the last complete entry are from a writer that was killed.
pub(in crate::copy) fn scan(file: &File, name: &str) -> Result<Scan> {
    let read = |error| io_failed("read", name, error);
    let length = file.metadata().map_err(read)?.len();
    let mut scan = Scan {
        entries: BTreeMap::new(),
        end: 0,
        is_complete: false,
    };
    let mut reader = file;
    std::io::Seek::rewind(&mut reader).map_err(read)?;
    let mut tar = ::tar::Archive::new(reader);
    let entries = tar.entries_with_seek().map_err(read)?;
    for entry in entries {
        let Ok(entry) = entry else { break };
        let (offset, size) = (entry.raw_file_position(), entry.size());
        let end = (offset + size).next_multiple_of(TAR_BLOCK);
        if end > length {
            break;
        }
        let key = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if key == END {
            scan.is_complete = true;
            break;
        }
        if scan.end == 0 {
            let mut content = vec![0; size.min(1 << 16) as usize];
            file.read_exact_at(&mut content, offset).map_err(read)?;
            Label::check(name, &key, &content)?;
        } else {
            let modified = entry.header().mtime().unwrap_or(0);
            let at = At {
                offset,
                size,
                modified,
            };
            scan.entries.insert(key, at);
        }
        scan.end = end;
    }
    // A file with less than the first entry can be one that a killed export began.
    if scan.end == 0 && length >= 3 * TAR_BLOCK {
        Label::check(name, "", &[])?;
    }
    Ok(scan)
}

/// A tar file that is copied from.
#[derive(Clone)]
pub(in crate::copy) struct TarFile {
    name: String,
    file: Arc<File>,
    entries: Arc<BTreeMap<String, At>>,
}

impl TarFile {
    pub(in crate::copy) fn open(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let file = File::open(path).map_err(|error| io_failed("read", &name, error))?;
        let scan = scan(&file, &name)?;
        if scan.end == 0 {
            Label::check(&name, "", &[])?;
        }
        if !scan.is_complete {
            return Err(incomplete(&name));
        }
        Ok(Self {
            name,
            file: Arc::new(file),
            entries: Arc::new(scan.entries),
        })
    }

    pub(in crate::copy) fn name(&self) -> &str {
        &self.name
    }

    pub(in crate::copy) fn tenants(&self) -> Vec<String> {
        let tenants = self.entries.keys().filter_map(|key| key.split_once('/'));
        let mut tenants: Vec<String> = tenants.map(|(tenant, _)| tenant.to_owned()).collect();
        tenants.dedup();
        tenants
    }

    pub(in crate::copy) fn list(&self, tenant: &str) -> Vec<Entry> {
        list(&self.entries, tenant)
    }

    pub(in crate::copy) async fn read(
        &self,
        key: &str,
        range: Range<u64>,
    ) -> Result<Bytes, ReadError> {
        let at = self.entries.get(key).ok_or(ReadError::Gone)?;
        Ok(read(&self.file, &self.name, *at, range).await?)
    }
}

/// The objects of a tenant.
pub(in crate::copy) fn list(entries: &BTreeMap<String, At>, tenant: &str) -> Vec<Entry> {
    let of_tenant = entries
        .iter()
        .filter(|(key, _)| key.split('/').next() == Some(tenant));
    let entry = |(key, at): (&String, &At)| Entry {
        key: key.clone(),
        size: at.size,
        modified: at.modified,
    };
    of_tenant.map(entry).collect()
}

/// Reads a range of an object.
pub(in crate::copy) async fn read(
    file: &Arc<File>,
    name: &str,
    at: At,
    range: Range<u64>,
) -> Result<Bytes> {
    let (file, offset) = (Arc::clone(file), at.offset + range.start);
    let size = range.end.min(at.size).saturating_sub(range.start);
    let read = move || {
        let mut bytes = vec![0; size as usize];
        file.read_exact_at(&mut bytes, offset)
            .map(|()| Bytes::from(bytes))
    };
    let read = blocking("read a tar", read).await?;
    read.map_err(|error| io_failed("read", name, error))
}
