//! Receives a tar file that cannot be read twice. The tables of a block precede its meta object, so they are stored
//! first and verified where they are stored; a block whose meta object does not arrive does not exist.

use super::extents::{Check, Extent, SEGMENT_TAIL, of_file, of_segment};
use super::objects::Objects;
use super::options::{CopyOptions, CopyReport};
use super::piece::{Entry, PieceId, days, file, identify};
use super::tar::{END, LABEL, Label, incomplete, io_failed};
use crate::blocking::blocking;
use crate::bucket::ReadError;
use crate::bucket::fault::failed;
use crate::error::{Error, Result};
use crate::format::Table;
use crate::format::block::{FileMeta, Meta};
use crate::format::symbols::SymbolsMeta;
use crate::key::META;
use crate::progress::Progress;
use bytes::{Bytes, BytesMut};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// For messages.
const NAME: &str = "standard input";

/// Maximum size of an object that is held in memory: a segment, or a meta object.
const IN_MEMORY: u64 = 1 << 30;

/// An event of the stream.
enum Event {
    Begin(Entry),
    Part(Bytes),
}

/// Reads the tar on a blocking thread.
fn read(input: Box<dyn Read + Send>, part: usize, events: &Sender<Event>) -> Result<()> {
    let failed = |error| io_failed("read", NAME, error);
    let mut tar = ::tar::Archive::new(input);
    for entry in tar.entries().map_err(failed)? {
        let mut entry = entry.map_err(failed)?;
        let key = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let mut left = entry.size();
        let begin = Event::Begin(Entry {
            key,
            size: left,
            modified: 0,
        });
        // A receiver that is gone has failed.
        if events.blocking_send(begin).is_err() {
            return Ok(());
        }
        while left > 0 {
            let mut bytes = vec![0; left.min(part as u64) as usize];
            entry.read_exact(&mut bytes).map_err(failed)?;
            left -= bytes.len() as u64;
            if events.blocking_send(Event::Part(bytes.into())).is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

struct Import<'a> {
    to: &'a Objects,
    options: &'a CopyOptions,
    events: Receiver<Event>,
    report: CopyReport,
    /// Tenants whose objects are in `there`.
    listed: BTreeSet<String>,
    there: BTreeMap<String, u64>,
}

/// Imports a tar file.
pub(super) async fn receive(
    input: Box<dyn Read + Send>,
    to: &Objects,
    options: &CopyOptions,
    progress: Progress<'_>,
) -> Result<CopyReport> {
    let (sender, events) = channel(1);
    let part = to.part_bytes() as usize;
    let reading = blocking("read a tar", move || read(input, part, &sender));
    let mut import = Import {
        to,
        options,
        events,
        report: CopyReport {
            passes: 1,
            ..CopyReport::default()
        },
        listed: BTreeSet::new(),
        there: BTreeMap::new(),
    };
    let (read, imported) = tokio::join!(reading, import.run(progress));
    let is_complete = imported?;
    read??;
    if !is_complete {
        return Err(incomplete(NAME));
    }
    Ok(import.report)
}

/// The file of a table that a meta object describes.
struct Described<'a> {
    key: String,
    meta: &'a FileMeta,
}

impl Import<'_> {
    /// Returns whether the tar is complete.
    async fn run(&mut self, progress: Progress<'_>) -> Result<bool> {
        let (mut is_first, mut done) = (true, 0);
        while let Some(event) = self.events.recv().await {
            let Event::Begin(entry) = event else { continue };
            done += entry.size;
            if is_first {
                is_first = false;
                let label = self.collect(&entry).await?;
                Label::check(NAME, &entry.key, &label)?;
                continue;
            }
            match entry.key.as_str() {
                LABEL => self.drain(&entry).await,
                END => {
                    self.events.close();
                    return Ok(true);
                }
                _ => self.entry(&entry).await?,
            }
            // How long the tar is, is unknown.
            progress(done, done);
        }
        Ok(false)
    }

    async fn part(&mut self) -> Option<Bytes> {
        match self.events.recv().await {
            Some(Event::Part(bytes)) => Some(bytes),
            Some(Event::Begin(_)) | None => None,
        }
    }

    async fn drain(&mut self, entry: &Entry) {
        let mut left = entry.size;
        while left > 0 {
            let Some(bytes) = self.part().await else {
                break;
            };
            left -= bytes.len() as u64;
        }
    }

    async fn collect(&mut self, entry: &Entry) -> Result<Bytes> {
        if entry.size > IN_MEMORY {
            let (key, size) = (&entry.key, entry.size);
            let text = format!("{key} in {NAME} has {size} bytes, more than {IN_MEMORY}");
            return Err(Error::invalid(text));
        }
        let mut all = BytesMut::new();
        while (all.len() as u64) < entry.size {
            let part = self.part().await.ok_or_else(|| incomplete(NAME))?;
            all.extend_from_slice(&part);
        }
        Ok(all.freeze())
    }

    fn conflict(&mut self, key: &str, what: &str) {
        let to = self.to.name();
        let text = format!("{key} in {NAME} and {to}/{key} differ: {what}");
        self.report.conflicts.push(text);
    }

    fn damaged(&mut self, key: &str, what: &str) {
        self.report.damaged.push(format!("{key} in {NAME}: {what}"));
    }

    fn written(&mut self, entry: &Entry) {
        self.report.copied.add(entry.size);
        self.there.insert(entry.key.clone(), entry.size);
    }

    async fn entry(&mut self, entry: &Entry) -> Result<()> {
        let tenant = entry.key.split('/').next().unwrap_or_default().to_owned();
        let id = identify(&entry.key).filter(|_| {
            self.options.contains_tenant(&tenant) && self.options.contains(days(&entry.key))
        });
        let Some(id) = id else {
            self.drain(entry).await;
            return Ok(());
        };
        if self.listed.insert(tenant.clone()) {
            let there = self.to.list(&tenant).await?;
            let sizes = there.into_iter().map(|entry| (entry.key, entry.size));
            self.there.extend(sizes);
        }
        let is_there = self.there.get(&entry.key).copied();
        if self.options.is_dry_run {
            match is_there {
                Some(_) => self.report.skipped.add(entry.size),
                None => self.report.copied.add(entry.size),
            }
            self.drain(entry).await;
            return Ok(());
        }
        match id {
            PieceId::Segment(_) => self.segment(entry, is_there).await,
            PieceId::Hour(_) | PieceId::Day(_) | PieceId::Month(_) if file(&entry.key) == META => {
                self.block(entry, is_there.is_some()).await
            }
            PieceId::Symbols(folder) if entry.key == format!("{folder}/{META}") => {
                self.symbols(&folder, entry, is_there.is_some()).await
            }
            PieceId::Hour(folder) | PieceId::Day(folder) | PieceId::Month(folder) => {
                let is_whole = self.there.contains_key(&format!("{folder}/{META}"));
                self.store(entry, is_there.filter(|_| is_whole), false)
                    .await
            }
            PieceId::Symbols(_) => self.store(entry, is_there, false).await,
            PieceId::Other(_) => self.store(entry, is_there, true).await,
        }
    }

    async fn segment(&mut self, entry: &Entry, is_there: Option<u64>) -> Result<()> {
        let bytes = self.collect(entry).await?;
        let tail = entry.size.saturating_sub(SEGMENT_TAIL)..entry.size;
        let here = bytes.slice(tail.start as usize..);
        if let Some(size) = is_there {
            if size != entry.size || self.read(&entry.key, tail).await? != here {
                self.conflict(&entry.key, "the segments have other checksums");
            } else {
                self.report.skipped.add(size);
            }
            return Ok(());
        }
        let extents = of_segment(&here, entry.size);
        let is_intact = extents.is_some_and(|extents| {
            let mut check = Check::new(&extents);
            check.add(&bytes);
            check.is_intact()
        });
        if !is_intact {
            self.damaged(&entry.key, "checksum mismatch");
        }
        self.to.put(&entry.key, bytes).await?;
        self.written(entry);
        Ok(())
    }

    /// Reads what was stored.
    async fn read(&self, key: &str, range: std::ops::Range<u64>) -> Result<Bytes> {
        self.to.read(key, range).await.map_err(|error| match error {
            ReadError::Failed(error) => error,
            ReadError::Gone => Error::new(
                crate::error::ErrorKind::Unavailable,
                format!("{}/{key} was deleted during the import", self.to.name()),
            ),
        })
    }

    /// Stores an object, unless it is there.
    async fn store(&mut self, entry: &Entry, is_there: Option<u64>, compare: bool) -> Result<()> {
        if let Some(size) = is_there {
            let mut is_same = size == entry.size;
            let mut at = 0;
            while at < entry.size {
                let Some(bytes) = self.part().await else {
                    break;
                };
                let end = at + bytes.len() as u64;
                is_same = is_same && (!compare || self.read(&entry.key, at..end).await? == bytes);
                at = end;
            }
            if is_same {
                self.report.skipped.add(size);
            } else {
                self.conflict(&entry.key, "the content is not the same");
            }
            return Ok(());
        }
        if entry.size <= self.to.part_bytes() {
            let bytes = self.collect(entry).await?;
            self.to.put(&entry.key, bytes).await?;
        } else {
            let path = self.to.path(&entry.key)?;
            let to = self.to;
            let fails = |fault| failed("put", &path, fault);
            let mut upload = to.client().upload(&path).await.map_err(fails)?;
            let mut left = entry.size;
            while left > 0 {
                let Some(bytes) = self.part().await else {
                    upload.abort().await;
                    return Ok(());
                };
                left -= bytes.len() as u64;
                upload.part(bytes).await.map_err(fails)?;
            }
            upload.finish().await.map_err(fails)?;
        }
        self.written(entry);
        Ok(())
    }

    /// Whether all tables were stored; the damaged ones are reported.
    async fn verify(&mut self, tables: Vec<Described<'_>>) -> Result<bool> {
        for Described { key, meta } in tables {
            if self.there.get(&key) != Some(&meta.bytes) {
                if file(&key) == Table::Samples.file() && !self.there.contains_key(&key) {
                    // The values by hour of a day block expire.
                    continue;
                }
                self.damaged(&key, "missing, or not the size that the meta object states");
                return Ok(false);
            }
            let extents: Vec<Extent> = of_file(meta);
            let mut check = Check::new(&extents);
            let mut at = 0;
            while at < meta.bytes {
                let end = meta.bytes.min(at + self.to.part_bytes());
                check.add(&self.read(&key, at..end).await?);
                at = end;
            }
            if !check.is_intact() {
                self.damaged(&key, "checksum mismatch");
            }
        }
        Ok(true)
    }

    async fn block(&mut self, entry: &Entry, is_there: bool) -> Result<()> {
        let text = self.collect(entry).await?;
        if is_there {
            if self.read(&entry.key, 0..entry.size).await? == text {
                self.report.skipped.add(entry.size);
            } else {
                self.conflict(&entry.key, "the blocks have other meta objects");
            }
            return Ok(());
        }
        let meta = Meta::read(&text).map_err(|error| error.within(&entry.key))?;
        let folder = entry.key.trim_end_matches(META);
        let tables = meta.tables.iter().map(|(name, meta)| Described {
            key: format!("{folder}{name}.parquet"),
            meta,
        });
        if self.verify(tables.collect()).await? {
            self.to.put(&entry.key, text).await?;
            self.written(entry);
        }
        Ok(())
    }

    async fn symbols(&mut self, folder: &str, entry: &Entry, is_there: bool) -> Result<()> {
        let text = self.collect(entry).await?;
        let meta = SymbolsMeta::read(&text).map_err(|error| error.within(&entry.key))?;
        if is_there {
            let size = self.there.get(&entry.key).copied().unwrap_or_default();
            let before = self.read(&entry.key, 0..size).await?;
            let known = SymbolsMeta::read(&before).ok();
            if before == text || known.is_some_and(|known| known.functions > meta.functions) {
                self.report.skipped.add(entry.size);
                return Ok(());
            }
        }
        let tables = meta.tables.iter().map(|(name, file)| Described {
            key: format!("{folder}/{}/{name}.parquet", meta.content),
            meta: file,
        });
        if self.verify(tables.collect()).await? {
            self.to.put(&entry.key, text).await?;
            self.written(entry);
        }
        Ok(())
    }
}
