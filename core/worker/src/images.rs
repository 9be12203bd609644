//! Root file systems: from a folder, a tar file or an OCI layout, unpacked once and shared by containers.

mod error;
mod layer;
mod layout;
mod root;
mod tar_file;

pub(crate) use error::ImageError;

use crate::copy;
use crate::folder::{names, read_json, remove, write_json};
use davy_base::Clock;
use davy_model::name;
use davy_model::signature::to_hex;
use error::at;
use layer::Budget;
use layout::Layout;
use ring::digest::{Context, SHA256};
use root::Root;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The size of an unpacked image, in bytes, at most.
const BYTES_MAX: u64 = 16 << 30;
/// Files and folders of an image, at most.
const ENTRIES_MAX: u64 = 1_000_000;
/// How long an image that no container uses is kept, in milliseconds.
const UNUSED_KEPT: i64 = 24 * 3_600_000;

/// The images of a worker: `sources` has what operators put there, `store` what was unpacked.
#[derive(Debug)]
pub(crate) struct Images {
    sources: PathBuf,
    store: PathBuf,
    default: Option<String>,
    /// What is added to owners, so that root in a container is nobody on the machine.
    shift: u32,
    clock: Clock,
    /// Held while an image is unpacked or removed.
    changing: Mutex<()>,
}

/// An image that is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Image {
    /// Its name in the store.
    pub(crate) key: String,
    /// Its root file system, which must not be changed.
    pub(crate) root: PathBuf,
    /// Environment variables, as `NAME=VALUE`.
    pub(crate) environment: Vec<String>,
}

/// What is stored beside a root file system.
#[derive(Serialize, Deserialize)]
struct About {
    environment: Vec<String>,
}

/// Where an image comes from.
enum Source {
    Folder(PathBuf),
    Tar(PathBuf),
    Layout(Box<Layout>),
}

impl Images {
    pub(crate) fn new(
        sources: PathBuf,
        store: PathBuf,
        default: Option<String>,
        shift: u32,
        clock: Clock,
    ) -> std::io::Result<Self> {
        fs::create_dir_all(&store)?;
        // Left by a worker that was killed while it unpacked.
        for name in names(&store)? {
            if name.starts_with("part-") {
                remove(&store.join(name))?;
            }
        }
        Ok(Self {
            sources,
            store,
            default,
            shift,
            clock,
            changing: Mutex::new(()),
        })
    }

    /// An image by its name; the default one without a name. It is unpacked if it is not in the store.
    pub(crate) fn find(&self, name: Option<&str>) -> Result<Image, ImageError> {
        let name = name
            .or(self.default.as_deref())
            .ok_or(ImageError::NoImage)?;
        name::check("image", name)?;
        let source = self.source(name)?;
        let key = match &source {
            Source::Folder(path) => format!("folder-{}", &fingerprint(path)?[..32]),
            Source::Tar(path) => format!("tar-{}", &fingerprint(path)?[..32]),
            Source::Layout(layout) => format!("oci-{}", &layout.digest[..32]),
        };
        let key = format!("{key}-{}", self.shift);
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = self.store.join(&key);
        if !folder.exists() {
            tracing::info!(image = name, key, "unpacking image");
            self.import(&source, &key)?;
        }
        let used = folder.join("used");
        write_json(&used, &self.clock.now().millis()).map_err(at(&used))?;
        let about = folder.join("about.json");
        let About { environment } = read_json(&about).map_err(at(&about))?;
        Ok(Image {
            root: folder.join("root"),
            key,
            environment,
        })
    }

    fn source(&self, name: &str) -> Result<Source, ImageError> {
        let folder = self.sources.join(name);
        if folder.join("oci-layout").exists() {
            let layout = Layout::open(&folder)?;
            return Ok(Source::Layout(Box::new(layout)));
        }
        if folder.is_dir() {
            return Ok(Source::Folder(folder));
        }
        for ending in ["tar", "tar.gz", "tgz"] {
            let path = self.sources.join(format!("{name}.{ending}"));
            if path.is_file() {
                return Ok(Source::Tar(path));
            }
        }
        Err(ImageError::NotFound {
            name: name.to_owned(),
            folder: self.sources.clone(),
        })
    }

    /// Unpacks an image beside the others, and renames it when it is complete.
    fn import(&self, source: &Source, key: &str) -> Result<(), ImageError> {
        let part = self.store.join(format!("part-{key}"));
        let imported = self.unpack(source, &part);
        let imported = imported.and_then(|()| {
            let folder = self.store.join(key);
            fs::rename(&part, &folder).map_err(at(&folder))
        });
        if imported.is_err() {
            // The first error says why.
            let _ = remove(&part);
        }
        imported
    }

    fn unpack(&self, source: &Source, part: &Path) -> Result<(), ImageError> {
        remove(part).map_err(at(part))?;
        let folder = part.join("root");
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        copy::own(&folder, self.shift, self.shift).map_err(at(&folder))?;
        let mut environment = Vec::new();
        let root = Root::open(&folder, self.shift).map_err(at(&folder))?;
        let mut budget = Budget::new(BYTES_MAX, ENTRIES_MAX);
        match source {
            Source::Folder(path) => {
                copy::copy(path, &folder).map_err(at(path))?;
                shift_owners(&folder, self.shift).map_err(at(&folder))?;
            }
            Source::Tar(path) => tar_file::unpack(path, &root, &mut budget)?,
            Source::Layout(layout) => {
                environment = layout.environment()?;
                layout.unpack(&root, &mut budget)?;
            }
        }
        let about = part.join("about.json");
        write_json(&about, &About { environment }).map_err(at(&about))
    }

    /// Removes images that no container uses and that none has used for a day.
    pub(crate) fn collect(&self, in_use: &BTreeSet<String>) -> std::io::Result<()> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now().millis();
        for key in names(&self.store)? {
            let folder = self.store.join(&key);
            let used: i64 = read_json(&folder.join("used")).unwrap_or(0);
            if !in_use.contains(&key) && now.saturating_sub(used) >= UNUSED_KEPT {
                tracing::info!(key, "removing an unused image");
                remove(&folder)?;
            }
        }
        Ok(())
    }
}

/// Adds to the owners of everything in a folder.
fn shift_owners(folder: &Path, shift: u32) -> std::io::Result<()> {
    if shift == 0 {
        return Ok(());
    }
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            let shifted = |owner: u32| owner.min(65_535) + shift;
            let path = entry.path();
            let mode = metadata.permissions();
            copy::own(&path, shifted(metadata.uid()), shifted(metadata.gid()))?;
            if !metadata.is_symlink() {
                // A change of the owner removes the set-user-ID bit.
                fs::set_permissions(&path, mode)?;
            }
            if metadata.is_dir() {
                folders.push(path);
            }
        }
    }
    Ok(())
}

/// Changes when a file, or a file in a folder, is replaced or changed.
fn fingerprint(path: &Path) -> Result<String, ImageError> {
    let mut digest = Context::new(&SHA256);
    let mut paths = vec![path.to_owned()];
    while let Some(path) = paths.pop() {
        let metadata = fs::symlink_metadata(&path).map_err(at(&path))?;
        digest.update(path.as_os_str().as_bytes());
        for number in [
            metadata.ino(),
            metadata.size(),
            metadata.mode().into(),
            metadata.mtime() as u64,
            metadata.mtime_nsec() as u64,
        ] {
            digest.update(&number.to_le_bytes());
        }
        if metadata.is_dir() {
            let mut children = fs::read_dir(&path)
                .and_then(Iterator::collect::<std::io::Result<Vec<_>>>)
                .map_err(at(&path))?;
            children.sort_by_key(fs::DirEntry::file_name);
            paths.extend(children.iter().map(fs::DirEntry::path));
        }
    }
    Ok(to_hex(digest.finish().as_ref()))
}

#[cfg(test)]
mod tests;
