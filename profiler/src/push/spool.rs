//! Windows on disk, so that they outlive the process.
//!
//! ```text
//! <folder>/<owner>/lock              locked by the process that writes to this subfolder, while it runs
//! <folder>/<owner>/<number>.window   the complete body of a push
//! <folder>/<owner>/<number>.part     a body that is being written
//! <folder>/<owner>.new/lock          a subfolder that is being created
//! ```
//!
//! `<owner>` is sixteen hexadecimal digits. Processes may share a folder. One that starts takes over the
//! windows of processes that have ended, which it recognizes by taking their lock. Only the files above are
//! moved or removed, so the folder may hold other files. Files are not synced to disk: windows survive the
//! process, not a crash of the machine.

use davy_base::{Random, Timestamp};
use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

const LOCK: &str = "lock";
const SUFFIX: &str = "window";
const PART: &str = "part";
const OWNER_DIGITS: usize = 16;

/// A subfolder that this process owns.
#[derive(Debug)]
pub(super) struct Spool {
    own: PathBuf,
    next: u64,
    _lock: File,
}

/// A window that another process left.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) bytes: usize,
    pub(super) written: Timestamp,
}

impl Spool {
    /// Creates a subfolder of `folder`.
    pub(super) fn create(folder: &Path, random: &mut Random) -> io::Result<Self> {
        let name = format!("{:0OWNER_DIGITS$x}", random.next_u64());
        let (new, own) = (folder.join(format!("{name}.new")), folder.join(name));
        fs::create_dir_all(&new)?;
        // The subfolder gets its final name after it is locked, so that no other process finds it unlocked.
        let lock = try_lock(File::create_new(new.join(LOCK))?)?
            .ok_or_else(|| io::Error::other("another process locked the new spool folder"))?;
        fs::rename(&new, &own)?;
        Ok(Self {
            own,
            next: 0,
            _lock: lock,
        })
    }

    /// Like [`Spool::create`], but also moves the windows of processes that have ended into the subfolder.
    /// Returns them, the oldest first.
    pub(super) fn open(folder: &Path, random: &mut Random) -> io::Result<(Self, Vec<Found>)> {
        let mut spool = Self::create(folder, random)?;
        let mut left: Vec<(std::time::SystemTime, PathBuf)> = Vec::new();
        let mut folders = Vec::new();
        for entry in fs::read_dir(folder)?.flatten() {
            let path = entry.path();
            if path == spool.own || !is_owner(&entry.file_name()) {
                continue;
            }
            let Ok(lock) = File::open(path.join(LOCK)) else {
                continue;
            };
            if let Ok(Some(lock)) = try_lock(lock) {
                left.extend(windows(&path));
                folders.push((path, lock));
            }
        }
        left.sort();
        let mut found = Vec::new();
        for (written, path) in left {
            let bytes = fs::metadata(&path)?.len() as usize;
            let to = spool.name(SUFFIX);
            fs::rename(&path, &to)?;
            spool.next += 1;
            let written = timestamp(written);
            found.push(Found {
                path: to,
                bytes,
                written,
            });
        }
        for (path, _lock) in folders {
            remove(&path);
        }
        Ok((spool, found))
    }

    fn name(&self, suffix: &str) -> PathBuf {
        self.own.join(format!("{:012}.{suffix}", self.next))
    }

    /// Writes a window atomically.
    pub(super) fn write(&mut self, body: &[u8]) -> io::Result<PathBuf> {
        let (part, path) = (self.name(PART), self.name(SUFFIX));
        fs::write(&part, body)?;
        fs::rename(&part, &path)?;
        self.next += 1;
        Ok(path)
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        // A subfolder with windows is left to the next process.
        if windows(&self.own).is_empty() {
            remove(&self.own);
        }
    }
}

/// Removes a subfolder, unless it holds other files.
fn remove(own: &Path) {
    for entry in fs::read_dir(own).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|suffix| suffix == PART) || entry.file_name() == LOCK {
            let _ = fs::remove_file(path);
        }
    }
    let _ = fs::remove_dir(own);
}

fn is_owner(name: &OsStr) -> bool {
    let digits = name.as_encoded_bytes();
    digits.len() == OWNER_DIGITS && digits.iter().all(u8::is_ascii_hexdigit)
}

fn timestamp(time: std::time::SystemTime) -> Timestamp {
    let since = time.duration_since(std::time::UNIX_EPOCH);
    Timestamp::EPOCH.plus(since.unwrap_or_default())
}

/// The windows in a subfolder, with the time when each was written.
fn windows(folder: &Path) -> Vec<(std::time::SystemTime, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let windows = entries.filter_map(|entry| {
        let path = entry.path();
        let is_window = path.extension().is_some_and(|suffix| suffix == SUFFIX);
        let written = entry.metadata().ok()?.modified().ok()?;
        is_window.then_some((written, path))
    });
    windows.collect()
}

/// The locked file; none if another process holds the lock. The lock is released when the file is closed.
fn try_lock(file: File) -> io::Result<Option<File>> {
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bodies(found: &[Found]) -> Vec<Vec<u8>> {
        let read = |found: &Found| fs::read(&found.path).expect("readable");
        found.iter().map(read).collect()
    }

    #[test]
    fn windows_of_an_ended_process_are_taken_over_in_order_by_one_process() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut random = Random::seeded(9);
        let (mut first, found) = Spool::open(folder.path(), &mut random).expect("open");
        assert_eq!(found, []);
        first.write(b"one").expect("written");
        first.write(b"two").expect("written");
        fs::write(first.own.join("x.part"), b"half").expect("written");

        let (second, found) = Spool::open(folder.path(), &mut random).expect("open");
        assert_eq!(found, [], "the first process still holds its lock");
        drop(first);
        let (third, found) = Spool::open(folder.path(), &mut random).expect("open");
        assert_eq!(bodies(&found), [b"one".to_vec(), b"two".to_vec()]);
        drop(second);
        let (fourth, found) = Spool::open(folder.path(), &mut random).expect("open");
        assert_eq!(found, []);
        drop((third, fourth));
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
    }

    #[test]
    fn spool_leaves_foreign_files_untouched() {
        let folder = tempfile::tempdir().expect("a folder");
        let foreign = [
            "database/lock",
            "database/1.window",
            "0123456789abcdef/1.window",
            "fedcba9876543210/lock",
            "fedcba9876543210/main.db",
        ];
        for file in foreign {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, file).expect("written");
        }
        let (spool, found) = Spool::open(folder.path(), &mut Random::seeded(9)).expect("open");
        assert_eq!(found, []);
        drop(spool);
        for file in foreign
            .iter()
            .filter(|file| **file != "fedcba9876543210/lock")
        {
            assert_eq!(
                fs::read(folder.path().join(file)).expect("readable"),
                file.as_bytes()
            );
        }
    }

    #[test]
    fn spools_that_open_concurrently_do_not_take_each_others_folders() {
        let folder = tempfile::tempdir().expect("a folder");
        std::thread::scope(|scope| {
            for seed in 0..8 {
                let folder = folder.path();
                scope.spawn(move || {
                    let mut random = Random::seeded(seed);
                    for _ in 0..50 {
                        let (mut spool, _) = Spool::open(folder, &mut random).expect("open");
                        spool.write(b"window").expect("the subfolder exists");
                    }
                });
            }
        });
    }
}
