//! Files that are on disk while they are indexed.

use bytes::Bytes;
use davy_archive::{Error, ErrorKind, Result};
use davy_base::{Clock, Random, Timestamp};
use davy_profile::units;
use futures_util::{Stream, StreamExt as _};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

/// Age from which on a file was left by a process that was killed.
const STALE: Duration = Duration::from_hours(1);
/// The extension of all files in the folder.
const EXTENSION: &str = "debug-file";
/// How much is collected before it is written.
const WRITE_BYTES: usize = 1 << 20;

/// A folder of files, and the limit of their size.
#[derive(Clone, Debug)]
pub(crate) struct Spool {
    folder: PathBuf,
    limit: u64,
}

/// A file, which is deleted on drop.
#[derive(Debug)]
pub(crate) struct SpoolFile {
    pub(crate) path: PathBuf,
}

impl Drop for SpoolFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn failed(what: &str, path: &Path, error: std::io::Error) -> Error {
    let context = format!("cannot {what} {}", path.display());
    Error::caused(ErrorKind::Unavailable, context, error)
}

impl Spool {
    pub(crate) fn new(folder: PathBuf, limit: u64) -> Self {
        Self { folder, limit }
    }

    /// Deletes what killed processes left. Processes of one machine can share the folder.
    pub(crate) fn clean(&self, now: Timestamp) {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let is_own = path.extension().is_some_and(|of| of == EXTENSION);
            let modified = entry.metadata().and_then(|of| of.modified()).ok();
            let age = modified.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            let age =
                age.map(|at| Duration::from_millis(now.millis().max(0) as u64).saturating_sub(at));
            if is_own && age.is_some_and(|age| age > STALE) {
                let _ = fs::remove_file(path);
            }
        }
    }

    /// An empty file.
    pub(crate) fn create(&self) -> Result<(SpoolFile, File)> {
        fs::create_dir_all(&self.folder)
            .map_err(|error| failed("create the folder", &self.folder, error))?;
        let name = format!("{:032x}.{EXTENSION}", Random::system().next_u128());
        let path = self.folder.join(name);
        let file = File::create_new(&path).map_err(|error| failed("create", &path, error))?;
        Ok((SpoolFile { path }, file))
    }

    /// Writes the parts of a file. A pause of more than `idle` is an error.
    pub(crate) async fn write(
        &self,
        (clock, idle): (&Clock, Duration),
        mut parts: impl Stream<Item = Result<Bytes>> + Send + Unpin,
    ) -> Result<SpoolFile> {
        let (spooled, mut file) = self.create()?;
        let (mut total, mut collected) = (0u64, Vec::new());
        loop {
            let part = clock.timeout(idle, parts.next()).await.unwrap_or_else(|_| {
                Some(Err(Error::new(
                    ErrorKind::Late,
                    format!("the file paused for more than {idle:?}, the limit; retry"),
                )))
            });
            let part = part.transpose()?;
            let is_last = part.is_none();
            let part = part.unwrap_or_default();
            total += part.len() as u64;
            if total > self.limit {
                return Err(Error::new(
                    ErrorKind::TooLarge,
                    format!(
                        "the file is larger than {}, the limit archive.debug_file_bytes; strip its code with `objcopy --strip-unneeded`, or push its symbols with `davy symbols push`",
                        units::bytes(self.limit as f64)
                    ),
                ));
            }
            collected.extend_from_slice(&part);
            if collected.len() >= WRITE_BYTES || is_last {
                let path = spooled.path.clone();
                let written = davy_tag::spawn_blocking(move || {
                    let written = file.write_all(&collected);
                    written.map(|()| {
                        collected.clear();
                        (file, collected)
                    })
                });
                let written = written.await.map_err(|error| {
                    Error::caused(ErrorKind::Unavailable, "cannot write a debug file", error)
                })?;
                (file, collected) = written.map_err(|error| failed("write", &path, error))?;
            }
            if is_last {
                return Ok(spooled);
            }
        }
    }
}
