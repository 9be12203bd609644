//! Mounts of the kernel's overlay file system: a folder that shows others and keeps changes apart.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// The options of a mount, at most; a page of the kernel.
const OPTIONS_BYTES_MAX: usize = 4_000;

/// The folders of a mount.
pub(crate) struct Overlay<'a> {
    /// What is shown below the changes, the uppermost first.
    pub(crate) lower: &'a [PathBuf],
    /// Keeps the changes.
    pub(crate) upper: &'a Path,
    /// An empty folder on the file system of `upper`.
    pub(crate) work: &'a Path,
}

fn c_string(bytes: &[u8]) -> io::Result<CString> {
    CString::new(bytes).map_err(io::Error::other)
}

impl Overlay<'_> {
    /// Mounts it on a folder.
    pub(crate) fn mount(&self, target: &Path) -> io::Result<()> {
        let mut options = Vec::from(&b"lowerdir="[..]);
        for (index, folder) in self.lower.iter().enumerate() {
            if index > 0 {
                options.push(b':');
            }
            options.extend(folder.as_os_str().as_bytes());
        }
        for (name, folder) in [(",upperdir=", self.upper), (",workdir=", self.work)] {
            options.extend(name.as_bytes());
            options.extend(folder.as_os_str().as_bytes());
        }
        let folders = self.lower.iter().map(PathBuf::as_path);
        let mut folders = folders.chain([self.upper, self.work]);
        let has_separator = |path: &Path| {
            path.as_os_str()
                .as_bytes()
                .iter()
                .any(|byte| b":,\\".contains(byte))
        };
        if options.len() > OPTIONS_BYTES_MAX || folders.any(has_separator) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the paths cannot be options of an overlay mount",
            ));
        }
        let (kind, options) = (c_string(b"overlay")?, c_string(&options)?);
        let target = c_string(target.as_os_str().as_bytes())?;
        // SAFETY: all pointers are to strings that end with a zero byte and outlive the call.
        let result = unsafe {
            libc::mount(
                kind.as_ptr(),
                target.as_ptr(),
                kind.as_ptr(),
                libc::MS_NODEV,
                options.as_ptr().cast(),
            )
        };
        if result == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }
}

/// Whether overlays can be mounted on this folder; if not, why.
pub(crate) fn probe(folder: &Path) -> io::Result<()> {
    let probe = folder.join("overlay-probe");
    crate::folder::remove(&probe)?;
    let part = |name: &str| {
        let part = probe.join(name);
        fs::create_dir_all(&part).map(|()| part)
    };
    let (lower, upper) = (part("lower")?, part("upper")?);
    let (work, target) = (part("work")?, part("target")?);
    let overlay = Overlay {
        lower: &[lower],
        upper: &upper,
        work: &work,
    };
    let mounted = overlay.mount(&target);
    unmount(&target)?;
    crate::folder::remove(&probe)?;
    mounted
}

/// Unmounts a folder as soon as nobody uses it. One that is not mounted is unmounted.
pub(crate) fn unmount(target: &Path) -> io::Result<()> {
    let target = c_string(target.as_os_str().as_bytes())?;
    // SAFETY: the pointer is to a string that ends with a zero byte and outlives the call.
    let result =
        unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH | libc::UMOUNT_NOFOLLOW) };
    if result == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        // Not mounted, absent, or a user who could not have mounted it.
        Some(libc::EINVAL | libc::ENOENT | libc::EPERM) => Ok(()),
        _ => Err(error),
    }
}
