//! The folder of a process's sockets to its children, and those that killed processes have left.
//!
//! A killed process can't remove its folder. So each holds a lock on a file in its own for as long as it
//! lives, and removes the folders of those whose lock it gets.

use crate::cli::Failure;
use std::fs::{self, DirBuilder, DirEntry, File, OpenOptions};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _,
};
use std::path::{Path, PathBuf};
use ulid::Ulid;

/// The file in a folder that the process of the folder holds a lock on.
const LOCK: &str = "lock";
/// That file before it is locked; nobody looks at it.
const UNLOCKED: &str = "lock.new";
/// Entries of the folder for temporary files that are looked at.
const ENTRIES_MAX: usize = 100_000;

/// A folder for sockets that nobody else can enter; it goes with the process. Paths of sockets are
/// short by nature (107 bytes), so it is not in the data folder.
pub(crate) struct SocketFolder {
    path: PathBuf,
    /// Locked for as long as the process lives.
    _lock: File,
}

impl SocketFolder {
    /// One for this process, once those of processes that are gone have been removed.
    pub(super) fn new(id: Ulid) -> Result<Self, Failure> {
        let place = std::env::temp_dir();
        let swept = sweep(&place);
        if swept > 0 {
            tracing::info!(
                folders = swept,
                "removed the socket folders of processes that were killed"
            );
        }
        Self::make(&place, id).map_err(|error| {
            Failure::Failed(format!(
                "the folder for the sockets of child processes can't be made in {}: {error}; TMPDIR names another place",
                place.display()
            ))
        })
    }

    fn make(place: &Path, id: Ulid) -> io::Result<Self> {
        let path = place.join(format!("davy-{id}"));
        DirBuilder::new().mode(0o700).create(&path)?;
        // It has its name only when it is locked, so that nobody gets the lock in between.
        let lock = File::create_new(path.join(UNLOCKED))?;
        // Where nothing can be locked, nobody removes what is left.
        if lock.try_lock().is_ok() {
            fs::rename(path.join(UNLOCKED), path.join(LOCK))?;
        }
        Ok(Self { path, _lock: lock })
    }

    /// The path of a socket in it.
    pub(super) fn socket(&self, index: usize) -> PathBuf {
        self.path.join(format!("{index}.sock"))
    }
}

impl Drop for SocketFolder {
    fn drop(&mut self) {
        // What can't be removed now is removed by the next process that starts.
        let _ = clear(&self.path);
    }
}

/// Removes the folders of processes that are gone; tells how many.
fn sweep(place: &Path) -> usize {
    let Ok(entries) = fs::read_dir(place) else {
        // Whoever makes a folder in there is told why it can't be.
        return 0;
    };
    let entries = entries.take(ENTRIES_MAX).flatten();
    let removed = entries.filter(|entry| is_folder_of_ours(entry) && is_abandoned(&entry.path()));
    removed.count()
}

fn is_folder_of_ours(entry: &DirEntry) -> bool {
    let name = entry.file_name();
    let id = name.to_str().and_then(|name| name.strip_prefix("davy-"));
    // The metadata are those of a link itself.
    id.is_some_and(|id| id.parse::<Ulid>().is_ok())
        && entry
            .metadata()
            .is_ok_and(|found| found.is_dir() && is_ours(found.uid()))
}

fn is_ours(uid: u32) -> bool {
    // SAFETY: it takes nothing, and can't fail.
    uid == unsafe { libc::geteuid() }
}

/// Whether the process of a folder is gone, and its folder now too.
fn is_abandoned(folder: &Path) -> bool {
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(folder.join(LOCK));
    let Ok(lock) = opened else { return false };
    let is_a_lock = lock
        .metadata()
        .is_ok_and(|found| found.is_file() && is_ours(found.uid()));
    is_a_lock && lock.try_lock().is_ok() && clear(folder).is_ok()
}

/// Removes the sockets, the lock and the folder; one in which there is anything else stays.
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

    const DEAD: &str = "davy-01J00000000000000000000000";

    /// A folder as a killed process leaves it, wherever it is called so.
    fn abandoned(folder: &Path) {
        fs::create_dir(folder).expect("a folder");
        fs::write(folder.join(LOCK), "").expect("a file");
        UnixListener::bind(folder.join("0.sock")).expect("a socket");
    }

    #[test]
    fn the_folder_of_a_process_that_is_gone_is_removed_and_that_of_a_living_one_is_not() {
        let place = tempfile::tempdir().expect("a folder");
        abandoned(&place.path().join(DEAD));
        let living = SocketFolder::make(place.path(), Ulid(7)).expect("a folder");
        UnixListener::bind(living.socket(0)).expect("a socket");
        assert_eq!(sweep(place.path()), 1);
        assert!(!place.path().join(DEAD).exists());
        assert!(living.socket(0).exists());
        drop(living);
        let left = fs::read_dir(place.path()).expect("a folder");
        assert_eq!(left.count(), 0);
    }

    #[test]
    fn what_is_not_a_processs_folder_is_not_touched() {
        let place = tempfile::tempdir().expect("a folder");
        let elsewhere = tempfile::tempdir().expect("a folder");
        // Another name, a link, and a lock that is a link.
        let named = place.path().join("davy-data");
        abandoned(&named);
        let target = elsewhere.path().join("target");
        abandoned(&target);
        symlink(&target, place.path().join(DEAD)).expect("a link");
        let linked = place.path().join("davy-01J00000000000000000000001");
        fs::create_dir(&linked).expect("a folder");
        symlink(target.join(LOCK), linked.join(LOCK)).expect("a link");
        assert_eq!(sweep(place.path()), 0);
        for kept in [&named, &target] {
            assert!(kept.join("0.sock").exists() && kept.join(LOCK).exists());
        }
        assert!(linked.exists());
    }

    #[test]
    fn other_files_in_a_folder_stay_with_it() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = place.path().join(DEAD);
        abandoned(&folder);
        fs::write(folder.join("notes.txt"), "mine").expect("a file");
        fs::write(folder.join("file.sock"), "no socket").expect("a file");
        assert_eq!(sweep(place.path()), 0);
        assert!(folder.join("notes.txt").exists() && folder.join("file.sock").exists());
        assert!(!folder.join("0.sock").exists());
    }
}
