//! Windows on disk, so that they outlive the process.
//!
//! ```text
//! <folder>/<owner>/lock              held by the process that writes there, for as long as it lives
//! <folder>/<owner>/<number>.window   the body of a push, complete
//! <folder>/<owner>/<number>.part     one that is being written
//! ```
//!
//! Many processes may share a folder. One that begins takes over what those left that have ended:
//! it can take their lock. Nothing is synced to the disk: windows survive the process, not a crash
//! of the machine.

use davy_base::{Random, Timestamp};
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

const SUFFIX: &str = "window";

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
        let own = folder.join(format!("{:016x}", random.next_u64()));
        fs::create_dir_all(&own)?;
        let lock = try_lock(&own)?
            .ok_or_else(|| io::Error::other("another process has a folder of the same name"))?;
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
            if path == spool.own || !path.is_dir() {
                continue;
            }
            if let Ok(Some(lock)) = try_lock(&path) {
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
            fs::remove_dir_all(path)?;
        }
        Ok((spool, found))
    }

    fn name(&self, suffix: &str) -> PathBuf {
        self.own.join(format!("{:012}.{suffix}", self.next))
    }

    /// Writes a window; it is there whole or not at all.
    pub(super) fn write(&mut self, body: &[u8]) -> io::Result<PathBuf> {
        let (part, path) = (self.name("part"), self.name(SUFFIX));
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
            let _ = fs::remove_dir_all(&self.own);
        }
    }
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

/// The lock of a folder; none where another process has it. It goes with the process.
fn try_lock(folder: &Path) -> io::Result<Option<File>> {
    let file = File::create(folder.join("lock"))?;
    // SAFETY: the descriptor is open for the length of the call.
    if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } == 0 {
        return Ok(Some(file));
    }
    let error = io::Error::last_os_error();
    match error.kind() {
        io::ErrorKind::WouldBlock => Ok(None),
        _ => Err(error),
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
}
