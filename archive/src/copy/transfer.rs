//! Copies single pieces.

use super::extents::{Check, Extent, SEGMENT_TAIL, of_file, of_segment};
use super::passes::Copy;
use super::piece::{Entry, Piece, PieceId, file};
use crate::bucket::ReadError;
use crate::error::Result;
use crate::format::Table;
use crate::format::block::{FileMeta, Meta};
use crate::format::symbols::{SymbolTable, SymbolsMeta};
use crate::key::META;
use bytes::Bytes;

/// How often an object is read whose checksum does not match.
const ATTEMPTS: usize = 2;

impl Copy<'_> {
    /// Copies a piece.
    pub(super) async fn piece(&self, id: &PieceId, piece: &Piece) -> Result<(), ReadError> {
        match (id, piece.entries.as_slice()) {
            (PieceId::Segment(_), [entry]) => self.segment(entry).await,
            (PieceId::Hour(_) | PieceId::Day(_) | PieceId::Month(_), _) => self.block(piece).await,
            (PieceId::Symbols(folder), _) => self.symbols(folder, piece).await,
            (_, entries) => {
                for entry in entries {
                    self.other(entry).await?;
                }
                Ok(())
            }
        }
    }

    /// Size of an object of the target.
    fn there(&self, key: &str) -> Option<u64> {
        self.state().there.get(key).copied()
    }

    fn skip(&self, entry: &Entry) {
        self.state().report.skipped.add(entry.size);
        self.advance(entry.size);
    }

    fn written(&self, key: &str, size: u64) {
        let mut state = self.state();
        state.report.copied.add(size);
        state.written.insert(key.to_owned(), size);
        state.there.insert(key.to_owned(), size);
    }

    async fn segment(&self, entry: &Entry) -> Result<(), ReadError> {
        let tail = entry.size.saturating_sub(SEGMENT_TAIL)..entry.size;
        let here = self.from.read(&entry.key, tail.clone()).await?;
        let Some(size) = self.there(&entry.key) else {
            let Some(extents) = of_segment(&here, entry.size) else {
                self.transfer(entry, &[]).await?;
                self.damaged(&entry.key, "not a segment, or truncated");
                return Ok(());
            };
            return self.verified(entry, &extents).await;
        };
        // The end of a segment contains the checksum of the rest.
        if size != entry.size || self.to.read(&entry.key, tail).await? != here {
            self.conflict(entry, "the segments have other checksums");
        } else {
            self.skip(entry);
        }
        Ok(())
    }

    /// Copies an object that is verified by checksums.
    async fn verified(&self, entry: &Entry, extents: &[Extent]) -> Result<(), ReadError> {
        if !self.transfer(entry, extents).await? {
            self.damaged(&entry.key, "checksum mismatch");
        }
        Ok(())
    }

    /// Copies an object part by part. Returns whether it has these checksums. If not, it was read twice.
    async fn transfer(&self, entry: &Entry, extents: &[Extent]) -> Result<bool, ReadError> {
        let mut is_intact = false;
        for attempt in 1..=ATTEMPTS {
            let mut check = Check::new(extents);
            let is_last = attempt == ATTEMPTS;
            if entry.size <= self.to.part_bytes() {
                let bytes = self.from.read(&entry.key, 0..entry.size).await?;
                check.add(&bytes);
                is_intact = check.is_intact();
                if is_intact || is_last {
                    self.to.put(entry, bytes).await?;
                    self.advance(entry.size);
                    break;
                }
            } else if self.stream(entry, &mut check, is_last).await? {
                is_intact = check.is_intact();
                break;
            }
        }
        self.written(&entry.key, entry.size);
        Ok(is_intact)
    }

    /// Copies a large object. Returns whether it was written, which it is if it is intact or `is_last`.
    async fn stream(
        &self,
        entry: &Entry,
        check: &mut Check<'_>,
        is_last: bool,
    ) -> Result<bool, ReadError> {
        let mut upload = self.to.upload(entry).await?;
        let (part, mut at) = (self.to.part_bytes(), 0);
        while at < entry.size {
            let end = entry.size.min(at + part);
            let bytes = match self.from.read(&entry.key, at..end).await {
                Ok(bytes) => bytes,
                Err(error) => {
                    upload.abort().await?;
                    return Err(error);
                }
            };
            check.add(&bytes);
            upload.part(bytes).await?;
            self.advance(end - at);
            at = end;
        }
        if check.is_intact() || is_last {
            upload.finish().await?;
            return Ok(true);
        }
        upload.abort().await?;
        Ok(false)
    }

    /// Copies a block; its meta object is last.
    async fn block(&self, piece: &Piece) -> Result<(), ReadError> {
        let Some(entry) = piece.meta() else {
            return Ok(());
        };
        let text = self.from.whole(&entry.key).await?;
        let is_there = self.there(&entry.key).is_some();
        if is_there && self.to.whole(&entry.key).await? != text {
            self.conflict(entry, "the blocks have other meta objects");
            return Ok(());
        }
        let meta = match Meta::read(&text) {
            Ok(meta) => Some(meta),
            Err(error) if error.is_damage => {
                self.damaged(&entry.key, &error.message);
                None
            }
            Err(error) => return Err(error.within(&entry.key).into()),
        };
        for table in meta.iter().flat_map(|meta| meta.tables.keys()) {
            let name = format!("{table}.parquet");
            // The values by hour of a day block expire.
            let may_miss = name == Table::Samples.file();
            if !may_miss && !piece.entries.iter().any(|of| file(&of.key) == name) {
                self.damaged(&entry.key, &format!("the block has no {name}"));
            }
        }
        let (mut new, mut kept) = (Vec::new(), Vec::new());
        for of in piece.entries.iter().filter(|of| file(&of.key) != META) {
            let name = file(&of.key).strip_suffix(".parquet");
            let table = name.and_then(Table::of_name);
            let described = meta.as_ref().zip(table);
            let described = described.and_then(|(meta, table)| meta.file(table).ok());
            let copied = self.table(of, described, is_there).await;
            match copied {
                Ok(true) => new.push(of.key.clone()),
                Ok(false) => kept.push((of, described)),
                Err(error) => {
                    // A block that was deleted does not come back.
                    if matches!(error, ReadError::Gone) && !is_there {
                        self.to.forget(&new).await;
                    }
                    return Err(error);
                }
            }
        }
        if is_there {
            self.skip(entry);
            return Ok(());
        }
        self.put(entry, text).await?;
        // An archiver of the target may have deleted what an interrupted copy left. Now that the block exists, it does
        // not.
        for (of, file) in kept {
            if self.to.size(&of.key).await? != Some(of.size) {
                self.verified(of, &file.map(of_file).unwrap_or_default())
                    .await?;
            }
        }
        Ok(())
    }

    /// Copies a file of a block or of symbols unless the target has it. Returns whether it was written.
    async fn table(
        &self,
        entry: &Entry,
        file: Option<&FileMeta>,
        is_whole: bool,
    ) -> Result<bool, ReadError> {
        let extents = file.map(of_file).unwrap_or_default();
        let is_there = self.there(&entry.key);
        if let (true, Some(size)) = (is_whole, is_there) {
            if size == entry.size {
                self.skip(entry);
            } else {
                self.conflict(entry, &format!("{} and {size} bytes", entry.size));
            }
            return Ok(false);
        }
        // What a copy that was interrupted left behind is kept if it has the checksums.
        if is_there == Some(entry.size)
            && !extents.is_empty()
            && self.is_intact(entry, &extents).await?
        {
            self.skip(entry);
            return Ok(false);
        }
        self.verified(entry, &extents).await?;
        if file.is_some_and(|file| file.bytes != entry.size) {
            self.damaged(&entry.key, "not the size that the meta object states");
        }
        Ok(true)
    }

    /// Whether an object of the target has these checksums.
    async fn is_intact(&self, entry: &Entry, extents: &[Extent]) -> Result<bool, ReadError> {
        let (part, mut at) = (self.to.part_bytes(), 0);
        let mut check = Check::new(extents);
        while at < entry.size {
            let end = entry.size.min(at + part);
            check.add(&self.to.read(&entry.key, at..end).await?);
            at = end;
        }
        Ok(check.is_intact())
    }

    async fn put(&self, entry: &Entry, bytes: Bytes) -> Result<()> {
        let size = bytes.len() as u64;
        let entry = Entry {
            size,
            ..entry.clone()
        };
        self.to.put(&entry, bytes).await?;
        self.written(&entry.key, size);
        self.advance(size);
        Ok(())
    }

    /// Copies the symbols of a build, unless those of the target name more functions.
    async fn symbols(&self, folder: &str, piece: &Piece) -> Result<(), ReadError> {
        let Some(entry) = piece.meta() else {
            return Ok(());
        };
        let text = self.from.whole(&entry.key).await?;
        let meta = match SymbolsMeta::read(&text) {
            Ok(meta) => meta,
            Err(error) if error.is_damage => {
                self.damaged(&entry.key, &error.message);
                return Ok(());
            }
            Err(error) => return Err(error.within(&entry.key).into()),
        };
        let before = match self.there(&entry.key) {
            None => None,
            Some(_) => Some(self.to.whole(&entry.key).await?),
        };
        let is_same = before.as_ref() == Some(&text);
        let known = before.and_then(|before| SymbolsMeta::read(&before).ok());
        if !is_same && known.is_some_and(|known| known.functions > meta.functions) {
            self.skip(entry);
            return Ok(());
        }
        let content = format!("{folder}/{}/", meta.content);
        let listed = |table: SymbolTable| {
            let key = format!("{content}{}", table.file());
            piece.entries.iter().any(|of| of.key == key)
        };
        if !SymbolTable::ALL.into_iter().all(listed) {
            // They were replaced after the listing.
            return Err(ReadError::Gone);
        }
        for of in piece
            .entries
            .iter()
            .filter(|of| of.key.starts_with(&content))
        {
            let mut tables = SymbolTable::ALL.into_iter();
            let table = tables.find(|table| table.file() == file(&of.key));
            let described = table.and_then(|table| meta.file(table).ok());
            self.table(of, described, is_same).await?;
        }
        if is_same {
            self.skip(entry);
        } else {
            self.put(entry, text).await?;
        }
        Ok(())
    }

    /// Copies any other object, or compares it.
    async fn other(&self, entry: &Entry) -> Result<(), ReadError> {
        let Some(size) = self.there(&entry.key) else {
            self.transfer(entry, &[]).await?;
            return Ok(());
        };
        if size != entry.size {
            self.conflict(entry, &format!("{} and {size} bytes", entry.size));
            return Ok(());
        }
        let (part, mut at) = (self.to.part_bytes(), 0);
        while at < size {
            let range = at..size.min(at + part);
            at = range.end;
            let here = self.from.read(&entry.key, range.clone()).await?;
            if self.to.read(&entry.key, range).await? != here {
                self.conflict(entry, "the content is not the same");
                return Ok(());
            }
        }
        self.skip(entry);
        Ok(())
    }
}
