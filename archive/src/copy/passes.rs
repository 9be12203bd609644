//! Passes over the source, until one of them has copied everything that it listed.

use super::ends::{Source, Target};
use super::options::{CopyOptions, CopyReport};
use super::piece::{Entry, Piece, PieceId, identify, pieces};
use crate::bucket::ReadError;
use crate::error::{Error, ErrorKind, Result};
use crate::progress::Progress;
use futures_util::{StreamExt, stream};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Pieces that are copied concurrently. Each holds one part in memory.
const TOGETHER: usize = 4;

/// Passes over the source before the copy gives up.
const PASSES: usize = 10;

/// The state of a copy.
#[derive(Default)]
pub(super) struct State {
    pub(super) report: CopyReport,
    /// Sizes of the objects of the target.
    pub(super) there: BTreeMap<String, u64>,
    /// Written objects and their sizes.
    pub(super) written: BTreeMap<String, u64>,
    done: u64,
    total: u64,
}

/// A copy in progress.
pub(super) struct Copy<'a> {
    pub(super) from: Source,
    pub(super) to: Target,
    pub(super) options: &'a CopyOptions,
    progress: Progress<'a>,
    state: Mutex<State>,
}

impl<'a> Copy<'a> {
    pub(super) fn new(
        from: Source,
        to: Target,
        options: &'a CopyOptions,
        progress: Progress<'a>,
    ) -> Self {
        Self {
            from,
            to,
            options,
            progress,
            state: Mutex::default(),
        }
    }

    /// The state; nothing panics while it is held.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts bytes that are done.
    pub(super) fn advance(&self, bytes: u64) {
        let (done, total) = {
            let mut state = self.state();
            state.done += bytes;
            (state.done, state.total)
        };
        (self.progress)(done.min(total), total);
    }

    pub(super) async fn run(self) -> Result<CopyReport> {
        let mut copied: BTreeSet<PieceId> = BTreeSet::new();
        for pass in 1.. {
            self.state().report.passes = pass;
            let gone = self.pass(&mut copied).await?;
            if gone == 0 {
                break;
            }
            tracing::info!(
                pass,
                gone,
                "pieces were deleted while they were copied, listing again"
            );
            if pass == PASSES {
                return Err(Error::new(
                    ErrorKind::Unavailable,
                    format!(
                        "{gone} segments and blocks were deleted in each of {PASSES} attempts to copy them; repeat the \
                         command, which skips what is copied"
                    ),
                ));
            }
        }
        if !self.options.is_dry_run {
            self.to.close().await?;
            self.compare_sizes().await?;
        }
        Ok(std::mem::take(&mut self.state().report))
    }

    /// Copies what a listing shows, without the pieces in `copied`, and adds them. Returns how many were deleted before
    /// they could be copied.
    async fn pass(&self, copied: &mut BTreeSet<PieceId>) -> Result<usize> {
        let tenants = self.from.tenants().await?;
        let mut all: Vec<(PieceId, Piece)> = Vec::new();
        for tenant in tenants {
            if !self.options.contains_tenant(&tenant) {
                continue;
            }
            let listed = pieces(self.from.list(&tenant).await?, self.options);
            all.extend(listed.into_iter().filter(|(id, _)| !copied.contains(id)));
            let there = self.to.list(&tenant).await?;
            let sizes = there.into_iter().map(|entry| (entry.key, entry.size));
            self.state().there.extend(sizes);
        }
        let bytes: u64 = all.iter().map(|(_, piece)| piece.bytes()).sum();
        {
            let mut state = self.state();
            state.total = state.done + bytes;
        }
        self.advance(0);
        let copies = all.iter().map(|(id, piece)| async move {
            let outcome = if self.options.is_dry_run {
                self.plan(id, piece);
                Ok(())
            } else {
                self.piece(id, piece).await
            };
            (id, outcome)
        });
        let mut copies = stream::iter(copies).buffer_unordered(TOGETHER);
        let mut gone = 0;
        while let Some((id, outcome)) = copies.next().await {
            match outcome {
                Ok(()) => {
                    copied.insert(id.clone());
                }
                Err(ReadError::Gone) => gone += 1,
                Err(ReadError::Failed(error)) => return Err(error),
            }
        }
        Ok(gone)
    }

    /// Says what would be copied, without reading objects.
    fn plan(&self, id: &PieceId, piece: &Piece) {
        for entry in &piece.entries {
            let there = self.state().there.get(&entry.key).copied();
            match there {
                None => self.state().report.copied.add(entry.size),
                Some(size) if size != entry.size && !matches!(id, PieceId::Symbols(_)) => {
                    self.conflict(entry, &format!("{} and {size} bytes", entry.size));
                }
                Some(_) => self.state().report.skipped.add(entry.size),
            }
            self.advance(entry.size);
        }
    }

    /// Reports an object that has other content in the target.
    pub(super) fn conflict(&self, entry: &Entry, what: &str) {
        let (key, from, to) = (&entry.key, self.from.name(), self.to.name());
        let text = format!("{from}/{key} and {to}/{key} differ: {what}");
        self.state().report.conflicts.push(text);
    }

    /// Reports an object that is damaged in the source.
    pub(super) fn damaged(&self, key: &str, what: &str) {
        let text = format!("{}/{key}: {what}", self.from.name());
        tracing::warn!(key, what, "damaged object copied as it is");
        self.state().report.damaged.push(text);
    }

    /// Compares the sizes of what was written with those in the target. What a listing does not show yet is asked for.
    async fn compare_sizes(&self) -> Result<()> {
        let written = std::mem::take(&mut self.state().written);
        let mut listed: BTreeMap<String, u64> = BTreeMap::new();
        let mut tenant = None;
        for (key, size) in &written {
            let of = key.split('/').next();
            if of != tenant {
                tenant = of;
                let entries = self.to.list(of.unwrap_or_default()).await?;
                listed = entries
                    .into_iter()
                    .filter(|entry| identify(&entry.key).is_some())
                    .map(|entry| (entry.key, entry.size))
                    .collect();
            }
            let found = match listed.get(key) {
                Some(found) if found == size => continue,
                _ => self.to.size(key).await?,
            };
            if found != Some(*size) {
                let found = found.map_or("nothing".to_owned(), |size| format!("{size} bytes"));
                return Err(Error::new(
                    ErrorKind::Unavailable,
                    format!(
                        "{}/{key} has {found} although {size} bytes were stored; something else changes the target, or \
                         its store is faulty",
                        self.to.name()
                    ),
                ));
            }
        }
        Ok(())
    }
}
