//! Windows on disk, so that they outlive the process.
//!
//! ```text
//! <folder>/<owner>/lock              held by the process that writes there, for as long as it lives
//! <folder>/<owner>/<number>.window   the body of a push, complete
//! <folder>/<owner>/<number>.part     one that is being written
//! <folder>/<owner>.new/lock          an owner that is about to be
//! ```
//!
//! An owner is sixteen hexadecimal digits. Many processes may share a folder. One that begins takes
//! over what those left that have ended: it can take their lock. Nothing but what is drawn above is
//! ever moved or removed, so the folder may hold other things. Nothing is synced to the disk: windows survive the process, not a crash
//! of the machine.

use davy_base::{Random, Timestamp};
use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

const LOCK: &str = "lock";
const SUFFIX: &str = "window";
const PART: &str = "part";
const OWNER_DIGITS: usize = 16;

/// A folder that this process owns.
#[derive(Debug)]
pub(super) struct Spool {
    own: PathBuf,
    next: u64,
    _lock: File,
}

/// A window that was found there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) bytes: usize,
    pub(super) written: Timestamp,
}

impl Spool {
    /// Makes a folder of its own in `folder`.
    pub(super) fn create(folder: &Path, random: &mut Random) -> io::Result<Self> {
        let name = format!("{:0OWNER_DIGITS$x}", random.next_u64());
        let (new, own) = (folder.join(format!("{name}.new")), folder.join(name));
        fs::create_dir_all(&new)?;
        // Nobody who begins meanwhile finds it unlocked: it has no owner's name yet.
        let lock = try_lock(File::create_new(new.join(LOCK))?)?
            .ok_or_else(|| io::Error::other("another process has a folder of the same name"))?;
        fs::rename(&new, &own)?;
        Ok(Self {
            own,
            next: 0,
            _lock: lock,
        })
    }

    /// As [`Spool::create`], and moves into it what processes that ended have left, which is
    /// answered, the oldest first.
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

    /// Writes a window; it is there whole or not at all.
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
        // Only a folder without windows is of no more use.
        if windows(&self.own).is_empty() {
            remove(&self.own);
        }
    }
}

/// Removes an owner's folder; one that holds what no spool writes stays.
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

/// The windows in a folder, by when they were written and by number.
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

/// The lock on a file; none where another process has it. It goes with the process.
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
        let read = |found: &Found| fs::read(&found.path).expect("it is there");
        found.iter().map(read).collect()
    }

    #[test]
    fn what_a_process_left_is_found_by_the_next_in_order_and_by_one_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut random = Random::seeded(9);
        let (mut first, found) = Spool::open(folder.path(), &mut random).expect("open");
        assert_eq!(found, []);
        first.write(b"one").expect("written");
        first.write(b"two").expect("written");
        fs::write(first.own.join("x.part"), b"half").expect("written");

        let (second, found) = Spool::open(folder.path(), &mut random).expect("open");
        assert_eq!(found, [], "the first one lives");
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
    fn what_no_spool_has_written_stays() {
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
                fs::read(folder.path().join(file)).expect("it is there"),
                file.as_bytes()
            );
        }
    }

    #[test]
    fn spools_that_begin_at_once_do_not_take_each_others_folders() {
        let folder = tempfile::tempdir().expect("a folder");
        std::thread::scope(|scope| {
            for seed in 0..8 {
                let folder = folder.path();
                scope.spawn(move || {
                    let mut random = Random::seeded(seed);
                    for _ in 0..50 {
                        let (mut spool, _) = Spool::open(folder, &mut random).expect("open");
                        spool.write(b"window").expect("its folder is there");
                    }
                });
            }
        });
    }
}
