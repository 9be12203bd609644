//! The folder of a process's sockets to its children.
//!
//! A killed process can't remove its folder. Each process therefore holds a lock on a file in its folder
//! while it runs, and removes the folders whose lock it can acquire.

use crate::failure::Failure;
use std::fs::{self, DirBuilder, DirEntry, File, OpenOptions};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _,
};
use std::path::{Path, PathBuf};
use ulid::Ulid;

/// Name of the lock file in a folder of sockets.
const LOCK: &str = "lock";
/// The name of that file before it is locked; other processes ignore it.
const UNLOCKED: &str = "lock.new";
/// Maximum number of entries of the temporary folder that are checked.
const ENTRIES_MAX: usize = 100_000;

/// A folder for sockets that only this user can enter, removed on drop. It is in the temporary folder
/// because the path of a socket has at most 107 bytes, which a data folder may exceed.
pub(crate) struct SocketFolder {
    path: PathBuf,
    /// Locked while the process runs.
    _lock: File,
}

impl SocketFolder {
    /// Removes the folders of killed processes, then creates the folder of this process.
    pub(super) fn new(id: Ulid) -> Result<Self, Failure> {
        let temporary = std::env::temp_dir();
        let removed = remove_abandoned(&temporary);
        if removed > 0 {
            tracing::info!(
                folders = removed,
                "removed the socket folders of killed processes"
            );
        }
        Self::create(&temporary, id).map_err(|error| {
            Failure::because(format!(
                "cannot create the folder for the sockets of child processes in {}",
                temporary.display()
            ))(error)
            .with_hint("set TMPDIR to another folder")
        })
    }

    fn create(temporary: &Path, id: Ulid) -> io::Result<Self> {
        let path = temporary.join(format!("davy-{id}"));
        DirBuilder::new().mode(0o700).create(&path)?;
        // The file is renamed once it is locked, so that no other process can lock it first.
        let lock = File::create_new(path.join(UNLOCKED))?;
        // On a file system without locks the folder is never removed after a kill.
        if lock.try_lock().is_ok() {
            fs::rename(path.join(UNLOCKED), path.join(LOCK))?;
        }
        Ok(Self { path, _lock: lock })
    }

    /// The path of a socket in the folder.
    pub(super) fn socket(&self, index: usize) -> PathBuf {
        self.path.join(format!("{index}.sock"))
    }
}

impl Drop for SocketFolder {
    fn drop(&mut self) {
        // If this fails, the next process that starts removes the folder.
        let _ = clear(&self.path);
    }
}

/// Removes the socket folders of processes that have exited and returns their number.
fn remove_abandoned(temporary: &Path) -> usize {
    let Ok(entries) = fs::read_dir(temporary) else {
        // Creating a folder in it reports the error.
        return 0;
    };
    let entries = entries.take(ENTRIES_MAX).flatten();
    let removed = entries
        .filter(|entry| is_socket_folder_of_user(entry) && remove_if_abandoned(&entry.path()));
    removed.count()
}

fn is_socket_folder_of_user(entry: &DirEntry) -> bool {
    let name = entry.file_name();
    let id = name.to_str().and_then(|name| name.strip_prefix("davy-"));
    // `DirEntry::metadata` does not follow links.
    id.is_some_and(|id| id.parse::<Ulid>().is_ok())
        && entry
            .metadata()
            .is_ok_and(|found| found.is_dir() && is_owned_by_user(found.uid()))
}

fn is_owned_by_user(uid: u32) -> bool {
    // SAFETY: geteuid takes no argument and can't fail.
    uid == unsafe { libc::geteuid() }
}

/// Removes a folder whose process has exited. Returns whether it did.
fn remove_if_abandoned(folder: &Path) -> bool {
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(folder.join(LOCK));
    let Ok(lock) = opened else { return false };
    let is_lock_file = lock
        .metadata()
        .is_ok_and(|found| found.is_file() && is_owned_by_user(found.uid()));
    is_lock_file && lock.try_lock().is_ok() && clear(folder).is_ok()
}

/// Removes the sockets and the lock, then the folder unless it contains anything else.
fn clear(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let is_socket = entry.file_type()?.is_socket();
        if is_socket && entry.path().extension().is_some_and(|end| end == "sock") {
            fs::remove_file(entry.path())?;
        }
    }
    for name in [LOCK, UNLOCKED] {
        match fs::remove_file(folder.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::remove_dir(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    const ABANDONED: &str = "davy-01J00000000000000000000000";

    /// Creates a socket folder as a killed process leaves it.
    fn abandoned(folder: &Path) {
        fs::create_dir(folder).expect("create a folder");
        fs::write(folder.join(LOCK), "").expect("create a file");
        UnixListener::bind(folder.join("0.sock")).expect("bind a socket");
    }

    #[test]
    fn only_folders_of_exited_processes_are_removed() {
        let temporary = tempfile::tempdir().expect("create a folder");
        abandoned(&temporary.path().join(ABANDONED));
        let running = SocketFolder::create(temporary.path(), Ulid(7)).expect("create a folder");
        UnixListener::bind(running.socket(0)).expect("bind a socket");
        assert_eq!(remove_abandoned(temporary.path()), 1);
        assert!(!temporary.path().join(ABANDONED).exists());
        assert!(running.socket(0).exists());
        drop(running);
        let left = fs::read_dir(temporary.path()).expect("list the folder");
        assert_eq!(left.count(), 0);
    }

    #[test]
    fn foreign_folders_and_links_are_untouched() {
        let temporary = tempfile::tempdir().expect("create a folder");
        let outside = tempfile::tempdir().expect("create a folder");
        // A name that is not an id, a link to a folder, and a folder whose lock is a link.
        let named = temporary.path().join("davy-data");
        abandoned(&named);
        let target = outside.path().join("target");
        abandoned(&target);
        symlink(&target, temporary.path().join(ABANDONED)).expect("create a link");
        let linked = temporary.path().join("davy-01J00000000000000000000001");
        fs::create_dir(&linked).expect("create a folder");
        symlink(target.join(LOCK), linked.join(LOCK)).expect("create a link");
        assert_eq!(remove_abandoned(temporary.path()), 0);
        for kept in [&named, &target] {
            assert!(kept.join("0.sock").exists() && kept.join(LOCK).exists());
        }
        assert!(linked.exists());
    }

    #[test]
    fn folder_with_other_files_is_kept() {
        let temporary = tempfile::tempdir().expect("create a folder");
        let folder = temporary.path().join(ABANDONED);
        abandoned(&folder);
        fs::write(folder.join("notes.txt"), "mine").expect("create a file");
        fs::write(folder.join("file.sock"), "not a socket").expect("create a file");
        assert_eq!(remove_abandoned(temporary.path()), 0);
        assert!(folder.join("notes.txt").exists() && folder.join("file.sock").exists());
        assert!(!folder.join("0.sock").exists());
    }
}
