//! Writes tars.

use super::read::{At, END, LABEL, Label, Scan, TAR_BLOCK, io_failed, list, read, scan};
use crate::blocking::blocking;
use crate::bucket::ReadError;
use crate::copy::piece::Entry;
use crate::error::{Error, ErrorKind, Result};
use ::tar::{EntryType, Header};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

/// Where the bytes go.
enum Sink {
    File(Arc<File>),
    Stream(Box<dyn Write + Send>),
}

impl Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::File(file) => (&**file).write_all(bytes),
            Self::Stream(out) => out.write_all(bytes),
        }
    }
}

/// A tar file that is copied to.
#[derive(Clone)]
pub(in crate::copy) struct TarTarget {
    name: String,
    sink: Arc<Mutex<Sink>>,
    /// Who writes an entry.
    turn: Arc<Turn<()>>,
    /// The file, if it can be read.
    file: Option<Arc<File>>,
    entries: Arc<Mutex<BTreeMap<String, At>>>,
    /// Length of the entries.
    end: Arc<Mutex<u64>>,
}

/// Nothing panics while one of these is held.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An entry that is being written.
pub(in crate::copy) struct TarUpload {
    tar: TarTarget,
    _turn: OwnedMutexGuard<()>,
    key: String,
    start: u64,
    at: At,
    written: u64,
}

/// The header of an entry; the name of a long one is in an entry of its own before it.
fn header(key: &str, size: u64, modified: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut header = Header::new_gnu();
    header.set_mode(0o644);
    header.set_mtime(modified);
    if header.set_path(key).is_err() {
        let mut long = Header::new_gnu();
        long.set_entry_type(EntryType::GNULongName);
        long.set_path("././@LongLink")?;
        long.set_mode(0o644);
        long.set_size(key.len() as u64 + 1);
        long.set_cksum();
        bytes.extend_from_slice(long.as_bytes());
        bytes.extend_from_slice(key.as_bytes());
        bytes.push(0);
        bytes.resize(bytes.len().next_multiple_of(TAR_BLOCK as usize), 0);
        header.set_path("long-name")?;
    }
    header.set_entry_type(EntryType::Regular);
    header.set_size(size);
    header.set_cksum();
    bytes.extend_from_slice(header.as_bytes());
    Ok(bytes)
}

impl TarTarget {
    /// A new file, or one that an export began.
    pub(in crate::copy) fn open(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let failed = |error| io_failed("write", &name, error);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(path).map_err(failed)?;
        file.try_lock().map_err(|_| {
            let text = format!("cannot write {name}: another export writes it");
            Error::new(ErrorKind::Unavailable, text)
        })?;
        let Scan { entries, end, .. } = scan(&file, &name)?;
        file.set_len(end).map_err(failed)?;
        (&file).seek(SeekFrom::Start(end)).map_err(failed)?;
        let file = Arc::new(file);
        let mut tar = Self::new(name, Sink::File(Arc::clone(&file)));
        tar.file = Some(file);
        tar.entries = Arc::new(Mutex::new(entries));
        *locked(&tar.end) = end;
        tar.label()
    }

    /// A stream.
    pub(in crate::copy) fn stream(out: Box<dyn Write + Send>) -> Result<Self> {
        Self::new("standard output".to_owned(), Sink::Stream(out)).label()
    }

    fn new(name: String, sink: Sink) -> Self {
        Self {
            name,
            sink: Arc::new(Mutex::new(sink)),
            turn: Arc::default(),
            file: None,
            entries: Arc::default(),
            end: Arc::default(),
        }
    }

    /// Writes the first entry.
    fn label(self) -> Result<Self> {
        let mut end = locked(&self.end);
        if *end == 0 {
            let content = Label::own()?;
            let write = || {
                let mut bytes = header(LABEL, content.len() as u64, 0)?;
                bytes.extend_from_slice(&content);
                bytes.resize(bytes.len().next_multiple_of(TAR_BLOCK as usize), 0);
                locked(&self.sink).write(&bytes)?;
                Ok(bytes.len() as u64)
            };
            *end = write().map_err(|error| io_failed("write", &self.name, error))?;
        }
        drop(end);
        Ok(self)
    }

    pub(in crate::copy) fn name(&self) -> &str {
        &self.name
    }

    pub(in crate::copy) fn list(&self, tenant: &str) -> Vec<Entry> {
        list(&locked(&self.entries), tenant)
    }

    /// Size of an object; None if it is not in the tar.
    pub(in crate::copy) fn size(&self, key: &str) -> Option<u64> {
        locked(&self.entries).get(key).map(|at| at.size)
    }

    pub(in crate::copy) async fn read(
        &self,
        key: &str,
        range: Range<u64>,
    ) -> Result<Bytes, ReadError> {
        let at = locked(&self.entries).get(key).copied();
        let (at, file) = at.zip(self.file.as_ref()).ok_or(ReadError::Gone)?;
        Ok(read(file, &self.name, at, range).await?)
    }

    async fn write(&self, bytes: Bytes) -> Result<()> {
        let sink = Arc::clone(&self.sink);
        let write = move || locked(&sink).write(&bytes);
        let written = blocking("write a tar", write).await?;
        written.map_err(|error| io_failed("write", &self.name, error))
    }

    /// Begins an entry; others wait until it is complete.
    pub(in crate::copy) async fn upload(&self, entry: &Entry) -> Result<TarUpload> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let start = *locked(&self.end);
        let header = header(&entry.key, entry.size, entry.modified);
        let header = header.map_err(|error| io_failed("write", &self.name, error))?;
        let at = At {
            offset: start + header.len() as u64,
            size: entry.size,
            modified: entry.modified,
        };
        self.write(header.into()).await?;
        Ok(TarUpload {
            tar: self.clone(),
            _turn: turn,
            key: entry.key.clone(),
            start,
            at,
            written: 0,
        })
    }

    /// Ends the tar.
    pub(in crate::copy) async fn close(&self) -> Result<()> {
        let header = header(END, 0, 0).map_err(|error| io_failed("write", &self.name, error))?;
        self.write(header.into()).await?;
        self.write(Bytes::from_static(&[0; 2 * TAR_BLOCK as usize]))
            .await?;
        let sink = Arc::clone(&self.sink);
        let flush = move || match &mut *locked(&sink) {
            Sink::File(file) => file.sync_all(),
            Sink::Stream(out) => out.flush(),
        };
        let flushed = blocking("write a tar", flush).await?;
        flushed.map_err(|error| io_failed("write", &self.name, error))
    }
}

impl TarUpload {
    pub(in crate::copy) async fn part(&mut self, bytes: Bytes) -> Result<()> {
        self.written += bytes.len() as u64;
        self.tar.write(bytes).await
    }

    async fn pad(&mut self) -> Result<()> {
        const ZEROS: &[u8] = &[0; 1 << 16];
        let end = self.at.size.next_multiple_of(TAR_BLOCK);
        while self.written < end {
            let count = (end - self.written).min(ZEROS.len() as u64);
            self.part(Bytes::from_static(&ZEROS[..count as usize]))
                .await?;
        }
        *locked(&self.tar.end) = self.at.offset + end;
        Ok(())
    }

    pub(in crate::copy) async fn finish(mut self) -> Result<()> {
        self.pad().await?;
        locked(&self.tar.entries).insert(self.key, self.at);
        Ok(())
    }

    /// Removes the entry. In a stream it stays, filled with zeros: the meta object of its piece does not follow.
    pub(in crate::copy) async fn abort(mut self) -> Result<()> {
        let Some(file) = &self.tar.file else {
            return self.pad().await;
        };
        let removed = file.set_len(self.start);
        let removed = removed.and_then(|()| (&**file).seek(SeekFrom::Start(self.start)));
        removed
            .map(drop)
            .map_err(|error| io_failed("write", &self.tar.name, error))
    }
}
