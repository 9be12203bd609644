//! The folder of a root file system that is being unpacked. Its symbolic links come from outside and may point
//! anywhere, so paths are resolved by the kernel as if the folder were `/`.

use crate::copy;
use std::ffi::{CString, OsString};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Component, Path, PathBuf};

/// A root file system.
pub(super) struct Root {
    folder: OwnedFd,
    /// What is added to each owner.
    shift: u32,
}

/// An entry: the open folder that has it, and its name there.
pub(super) struct Place {
    folder: OwnedFd,
    name: OsString,
}

/// The owner and the mode of an entry.
#[derive(Clone, Copy)]
pub(super) struct Attributes {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mode: u32,
}

impl Place {
    /// A path that leads to the entry whatever else happens to the folders above it.
    fn path(&self) -> PathBuf {
        let folder = format!("/proc/self/fd/{}", self.folder.as_raw_fd());
        Path::new(&folder).join(&self.name)
    }

    /// Removes what is there.
    pub(super) fn clear(&self) -> io::Result<()> {
        let path = self.path();
        let removed = match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(&path),
            Ok(_) => fs::remove_file(&path),
            Err(error) => Err(error),
        };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl Root {
    pub(super) fn open(folder: &Path, shift: u32) -> io::Result<Self> {
        let folder = File::open(folder)?.into();
        Ok(Self { folder, shift })
    }

    /// Opens a folder. Symbolic links are followed as in a process whose root it is.
    fn folder(&self, path: &Path) -> io::Result<OwnedFd> {
        let bytes = path.as_os_str().as_bytes();
        let path = CString::new(if bytes.is_empty() { b"." } else { bytes })?;
        // SAFETY: all fields are integers, for which zero is valid.
        let mut how: libc::open_how = unsafe { std::mem::zeroed() };
        how.flags = (libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC) as u64;
        how.resolve = libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_MAGICLINKS;
        // SAFETY: the pointers are to a string that ends with a zero byte and to a struct of the given size; both outlive the call.
        let result = unsafe {
            libc::syscall(
                libc::SYS_openat2,
                self.folder.as_raw_fd(),
                path.as_ptr(),
                &raw mut how,
                size_of::<libc::open_how>(),
            )
        };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just returned this descriptor, and nobody else has it.
        Ok(unsafe { OwnedFd::from_raw_fd(result as i32) })
    }

    /// Opens a folder, and creates what is missing on the way.
    fn created_folder(&self, path: &Path) -> io::Result<OwnedFd> {
        match self.folder(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => return opened,
        }
        let mut inner = PathBuf::new();
        let mut last = self.folder(&inner)?;
        for component in path.components() {
            inner.push(component);
            last = match self.folder(&inner) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let place = Place {
                        folder: last,
                        name: component.as_os_str().to_owned(),
                    };
                    if fs::symlink_metadata(place.path()).is_ok() {
                        return Err(io::Error::other(
                            "its folder is a symbolic link to nothing in the image",
                        ));
                    }
                    let attributes = Attributes {
                        uid: 0,
                        gid: 0,
                        mode: 0o755,
                    };
                    self.make_folder(&place, attributes)?;
                    self.folder(&inner)?
                }
                opened => opened?,
            };
        }
        Ok(last)
    }

    /// The place of a path; `None` for the root. The path consists of names only.
    pub(super) fn place(&self, path: &Path) -> io::Result<Option<Place>> {
        let path: PathBuf = path
            .components()
            .filter(|part| matches!(part, Component::Normal(_)))
            .collect();
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(None);
        };
        Ok(Some(Place {
            folder: self.created_folder(parent)?,
            name: name.to_owned(),
        }))
    }

    fn own(&self, place: &Place, attributes: Attributes) -> io::Result<()> {
        let (uid, gid) = (attributes.uid + self.shift, attributes.gid + self.shift);
        copy::own(&place.path(), uid, gid)
    }

    /// Creates a folder, or changes the one that is there.
    pub(super) fn make_folder(&self, place: &Place, attributes: Attributes) -> io::Result<()> {
        let path = place.path();
        let is_there = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir());
        if !is_there {
            place.clear()?;
            fs::create_dir(&path)?;
        }
        self.own(place, attributes)?;
        // A folder that its owner cannot write to could not be filled by a worker that is not root.
        let writable = if copy::is_root() { 0 } else { 0o700 };
        let mode = fs::Permissions::from_mode(attributes.mode & 0o7777 | writable);
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW)
            .open(&path)?;
        opened.set_permissions(mode)
    }

    /// Creates a file with contents.
    pub(super) fn make_file(
        &self,
        place: &Place,
        attributes: Attributes,
        contents: &mut dyn io::Read,
    ) -> io::Result<u64> {
        place.clear()?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(place.path())?;
        let bytes = io::copy(contents, &mut file)?;
        self.own(place, attributes)?;
        file.set_permissions(fs::Permissions::from_mode(attributes.mode & 0o7777))?;
        Ok(bytes)
    }

    /// Creates a symbolic link. Its target is kept as it is.
    pub(super) fn make_link(
        &self,
        place: &Place,
        attributes: Attributes,
        target: &Path,
    ) -> io::Result<()> {
        place.clear()?;
        symlink(target, place.path())?;
        self.own(place, attributes)
    }

    /// Creates another name of a file in this root.
    pub(super) fn make_name(place: &Place, of: &Place) -> io::Result<()> {
        let metadata = fs::symlink_metadata(of.path())?;
        if metadata.is_dir() {
            return Err(io::Error::other("its target is a folder"));
        }
        place.clear()?;
        // Does not follow symbolic links.
        fs::hard_link(of.path(), place.path())
    }

    /// Removes what a folder contains.
    pub(super) fn empty(&self, path: &Path) -> io::Result<()> {
        let folder = match self.folder(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            folder => folder?,
        };
        let listed = format!("/proc/self/fd/{}", folder.as_raw_fd());
        for entry in fs::read_dir(listed)? {
            let name = entry?.file_name();
            let folder = folder.try_clone()?;
            Place { folder, name }.clear()?;
        }
        Ok(())
    }
}
