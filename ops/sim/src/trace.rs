//! The trace of a history: a hash of all events, and their lines if they are kept.

use davy_base::Timestamp;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use xxhash_rust::xxh3::Xxh3;

/// How much of a history is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Nothing, which is fastest.
    None,
    /// A hash of all lines.
    Hash,
    /// The hash, and the lines.
    Lines,
}

/// A trace. Cheap to clone; clones are the same trace.
#[derive(Clone)]
pub(crate) struct Trace {
    detail: Detail,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    hash: Xxh3,
    lines: Vec<String>,
}

impl Trace {
    /// An empty trace.
    pub(crate) fn new(detail: Detail) -> Self {
        Self {
            detail,
            kept: Arc::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line, unless nothing is kept.
    pub(crate) fn event(&self, at: Timestamp, line: impl FnOnce() -> String) {
        if self.detail == Detail::None {
            return;
        }
        let line = format!("{at} {}", line());
        let mut kept = self.lock();
        kept.hash.update(line.as_bytes());
        kept.hash.update(b"\n");
        if self.detail == Detail::Lines {
            kept.lines.push(line);
        }
    }

    /// Adds bytes to the hash.
    pub(crate) fn digest(&self, bytes: &[u8]) {
        if self.detail != Detail::None {
            self.lock().hash.update(bytes);
        }
    }

    /// The hash of everything so far.
    pub(crate) fn hash(&self) -> u128 {
        self.lock().hash.digest128()
    }

    /// The lines, oldest first.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lock().lines.clone()
    }
}
