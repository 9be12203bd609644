//! What the process of a worker uses, sent to the server beside the reports.

use crate::client::Client;
use crate::{Stop, Worker};
use serde::Serialize;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The file system of a worker's folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskUsage {
    /// Its size, in bytes.
    pub bytes: u64,
    /// What is free for the user of the worker, in bytes.
    pub free_bytes: u64,
}

impl DiskUsage {
    /// The file system of a path; `None` if it cannot be read.
    pub fn of(path: &Path) -> Option<Self> {
        let path = CString::new(path.as_os_str().as_bytes()).ok()?;
        // SAFETY: a struct of integers, for which zeros are valid.
        let mut found: libc::statvfs = unsafe { std::mem::zeroed() };
        // SAFETY: both pointers are valid for the call, and the path ends with a zero byte.
        if unsafe { libc::statvfs(path.as_ptr(), &raw mut found) } != 0 {
            return None;
        }
        Some(Self {
            bytes: found.f_blocks.saturating_mul(found.f_frsize),
            free_bytes: found.f_bavail.saturating_mul(found.f_frsize),
        })
    }
}

/// Sends the usage of a registered worker.
pub struct UsageSender {
    client: Client,
    stop: Stop,
    folder: PathBuf,
}

impl Worker {
    /// A sender of the usage of this worker, whose folder is `folder`.
    pub fn usage_sender(&self, folder: PathBuf) -> UsageSender {
        UsageSender {
            client: self.shared.runner.client.clone(),
            stop: self.shared.runner.stop.clone(),
            folder,
        }
    }
}

impl UsageSender {
    /// Sends what `read` returns every `interval`, until the worker is killed. Usage that cannot be sent is dropped:
    /// the next one has newer sums.
    pub fn run<T: Serialize>(self, interval: Duration, read: impl Fn(Option<DiskUsage>) -> T) {
        let mut is_failing = false;
        while !self.stop.is_killing() {
            let usage = read(DiskUsage::of(&self.folder));
            let sent = self.client.call("POST", "usage", &usage);
            match sent {
                Ok(serde::de::IgnoredAny) => is_failing = false,
                // Once, not every few seconds.
                Err(error) if !is_failing => {
                    tracing::warn!(%error, "cannot send the usage of this process, retrying");
                    is_failing = true;
                }
                Err(_) => {}
            }
            self.stop.wait(interval);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disk_has_a_size_and_a_missing_path_has_none() {
        let disk = DiskUsage::of(Path::new("/")).expect("a file system");
        assert!(disk.bytes > 0 && disk.free_bytes <= disk.bytes, "{disk:?}");
        assert_eq!(DiskUsage::of(Path::new("/no such folder")), None);
    }
}
