//! Volumes: folders, and copies of folders that share what they have not changed.

use crate::folder::{check, names, remove};
use crate::overlay::{self, Overlay};
use crate::{copy, overlay::unmount};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The contents of a volume; the mount point of a copy.
const DATA: &str = "data";
/// The changes of a copy that is an overlay.
const UPPER: &str = "upper";
/// What the kernel needs for an overlay.
const WORK: &str = "work";
/// The file that names the volume that this one is a copy of.
const PARENT: &str = "parent";
/// The folder with a file for each volume that is a copy of this one, by its handle.
const COPIES: &str = "copies";
/// Overlays on overlays, at most; a deeper copy is made by copying.
const LAYERS_MAX: usize = 16;

/// The volumes of a worker:
///
/// ```text
/// volumes/HANDLE/data              contents
/// volumes/HANDLE/parent            the handle that it is a copy of
/// volumes/HANDLE/upper, work       its changes, if it is an overlay mounted on data
/// volumes/HANDLE/copies/HANDLE     a copy of it; one without a volume is left from a crash
/// ```
///
/// While a volume has copies its contents must not change; a parent is destroyed after its copies.
#[derive(Debug)]
pub(crate) struct Volumes {
    folder: PathBuf,
    has_overlays: bool,
}

impl Volumes {
    pub(crate) fn new(folder: PathBuf, has_overlays: bool) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        Ok(Self {
            folder,
            has_overlays,
        })
    }

    /// The contents of a volume.
    pub(crate) fn data(&self, volume: &str) -> PathBuf {
        self.folder.join(volume).join(DATA)
    }

    /// Creates an empty volume; returns its contents.
    pub(crate) fn create(&self, volume: &str) -> io::Result<PathBuf> {
        check(volume)?;
        let folder = self.folder.join(volume);
        fs::create_dir(&folder)?;
        let data = folder.join(DATA);
        fs::create_dir(&data)?;
        Ok(data)
    }

    /// Creates a copy of a volume; returns its contents. What neither changes is shared where the file system allows.
    #[cfg_attr(
        not(test),
        expect(
            dead_code,
            reason = "steps of pipelines share volumes; builds have one"
        )
    )]
    pub(crate) fn create_copy(&self, volume: &str, parent: &str) -> io::Result<PathBuf> {
        check(parent)?;
        let data = self.create(volume)?;
        let folder = self.folder.join(volume);
        let copies = self.folder.join(parent).join(COPIES);
        fs::create_dir_all(&copies)?;
        fs::write(copies.join(volume), "")?;
        fs::write(folder.join(PARENT), parent)?;
        let layers = self.layers(parent);
        if self.has_overlays && layers.len() < LAYERS_MAX && shared(&layers, &folder, &data).is_ok()
        {
            return Ok(data);
        }
        copy::copy(&self.data(parent), &data)?;
        Ok(data)
    }

    /// The folders that a volume consists of, the uppermost first.
    fn layers(&self, volume: &str) -> Vec<PathBuf> {
        let mut layers = Vec::new();
        let mut next = Some(volume.to_owned());
        while let Some(volume) = next {
            let upper = self.folder.join(&volume).join(UPPER);
            if !upper.exists() || layers.len() >= LAYERS_MAX {
                layers.push(self.data(&volume));
                break;
            }
            layers.push(upper);
            next = self.parent(&volume);
        }
        layers
    }

    /// The volume that a volume is a copy of.
    pub(crate) fn parent(&self, volume: &str) -> Option<String> {
        fs::read_to_string(self.folder.join(volume).join(PARENT)).ok()
    }

    /// The handles of all volumes.
    pub(crate) fn handles(&self) -> io::Result<Vec<String>> {
        names(&self.folder)
    }

    /// The copies of a volume. Reading the parent of every volume instead takes a second with 100,000 of them.
    fn copies(&self, volume: &str) -> io::Result<Vec<String>> {
        let mut copies = match names(&self.folder.join(volume).join(COPIES)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read?,
        };
        copies.retain(|copy| self.folder.join(copy).exists());
        Ok(copies)
    }

    /// Destroys a volume. One that copies exist of is kept, with an error.
    pub(crate) fn destroy(&self, volume: &str) -> io::Result<()> {
        check(volume)?;
        if let Some(copy) = self.copies(volume)?.first() {
            return Err(io::Error::other(format!(
                "volume {copy} is a copy of it and has to be destroyed first"
            )));
        }
        let parent = self.parent(volume);
        unmount(&self.data(volume))?;
        remove(&self.folder.join(volume))?;
        match parent
            .map(|parent| fs::remove_file(self.folder.join(parent).join(COPIES).join(volume)))
        {
            Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Shows folders in `target`, with the changes in `folder`.
pub(crate) fn shared(lower: &[PathBuf], folder: &Path, target: &Path) -> io::Result<()> {
    let (upper, work) = (folder.join(UPPER), folder.join(WORK));
    fs::create_dir(&upper)?;
    fs::create_dir(&work)?;
    let overlay = Overlay {
        lower,
        upper: &upper,
        work: &work,
    };
    // The folder that is shown has the mode and the owner of the upper one.
    if let Some(first) = lower.first() {
        let metadata = fs::metadata(first)?;
        use std::os::unix::fs::MetadataExt as _;
        fs::set_permissions(&upper, metadata.permissions())?;
        copy::own(&upper, metadata.uid(), metadata.gid())?;
    }
    let mounted = overlay.mount(target);
    if mounted.is_err() {
        remove(&upper)?;
        remove(&work)?;
    }
    mounted
}

/// Whether overlays work below a folder; the reason is logged if not.
pub(crate) fn has_overlays(folder: &Path) -> bool {
    match overlay::probe(folder) {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(%error, "no overlay file systems here; images and volumes are copied");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both ways to copy; overlays only where they can be mounted.
    fn check_copies(has_overlays: bool) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let volumes = Volumes::new(folder.path().join("volumes"), has_overlays).expect("writable");
        let parent = volumes.create("parent").expect("new");
        fs::write(parent.join("kept"), "1").expect("writable");
        fs::write(parent.join("changed"), "1").expect("writable");
        let child = volumes.create_copy("child", "parent").expect("a copy");
        fs::write(child.join("changed"), "2").expect("writable");
        fs::remove_file(child.join("kept")).expect("there");
        let grandchild = volumes.create_copy("grandchild", "child").expect("a copy");
        let read = |path: PathBuf| fs::read_to_string(path).ok();
        assert_eq!(read(parent.join("changed")).as_deref(), Some("1"));
        assert_eq!(read(grandchild.join("changed")).as_deref(), Some("2"));
        assert_eq!(read(grandchild.join("kept")), None);
        assert_eq!(read(parent.join("kept")).as_deref(), Some("1"));
        assert_eq!(volumes.parent("child").as_deref(), Some("parent"));
        let error = volumes.destroy("parent").expect_err("it has a copy");
        assert!(error.to_string().contains("child"), "{error}");
        // What a crash leaves of a copy does not keep its parent.
        let copies = folder.path().join("volumes/parent/copies");
        assert!(copies.join("child").exists());
        fs::write(copies.join("lost"), "").expect("writable");
        for volume in ["grandchild", "child", "parent"] {
            volumes.destroy(volume).expect("no copies left");
        }
        volumes.destroy("parent").expect("gone already");
        assert_eq!(volumes.handles().expect("readable"), [""; 0]);
    }

    #[test]
    fn copies_of_volumes_keep_their_changes_to_themselves() {
        check_copies(false);
    }

    #[test]
    fn overlays_of_volumes_keep_their_changes_to_themselves() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        if let Err(error) = overlay::probe(folder.path()) {
            davy_test_support::skip(&format!("no overlay file systems: {error}"));
            return;
        }
        check_copies(true);
    }

    #[test]
    fn handle_never_leaves_the_folder() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let volumes = Volumes::new(folder.path().join("volumes"), false).expect("writable");
        for handle in ["..", "../volumes", "a/b", ""] {
            assert!(volumes.destroy(handle).is_err());
            assert!(volumes.create(handle).is_err());
        }
        assert!(folder.path().join("volumes").exists());
    }
}
