//! Copies of folders where the file system has no overlays, and changes of owners.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown, symlink};
use std::path::Path;

/// Copies files, folders and symbolic links with their modes and, as root, their owners. Others are left out.
pub(crate) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut folders = vec![(from.to_owned(), to.to_owned())];
    let mut modes = Vec::new();
    while let Some((from, to)) = folders.pop() {
        for entry in fs::read_dir(&from)? {
            let entry = entry?;
            let (source, target) = (entry.path(), to.join(entry.file_name()));
            let metadata = entry.metadata()?;
            let kind = metadata.file_type();
            if kind.is_dir() {
                fs::create_dir(&target)?;
                modes.push((target.clone(), metadata.permissions().mode()));
                folders.push((source, target.clone()));
            } else if kind.is_symlink() {
                symlink(fs::read_link(&source)?, &target)?;
            } else if kind.is_file() {
                fs::copy(&source, &target)?;
            } else {
                continue;
            }
            own(&target, metadata.uid(), metadata.gid())?;
        }
    }
    // Last: a folder without permission to write can have contents.
    for (folder, mode) in modes {
        fs::set_permissions(folder, fs::Permissions::from_mode(mode & 0o7777))?;
    }
    Ok(())
}

/// Changes the owner, which only root can.
pub(crate) fn own(path: &Path, uid: u32, gid: u32) -> io::Result<()> {
    if !is_root() {
        return Ok(());
    }
    lchown(path, Some(uid), Some(gid))
}

/// Gives a folder with everything in it to an owner.
pub(crate) fn own_all(folder: &Path, owner: u32) -> io::Result<()> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        own(&folder, owner, owner)?;
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else {
                own(&entry.path(), owner, owner)?;
            }
        }
    }
    Ok(())
}

/// Whether this process is root.
pub(crate) fn is_root() -> bool {
    // SAFETY: geteuid has no preconditions.
    unsafe { libc::geteuid() == 0 }
}
