//! Counts the tasks of each tag.

use crate::table::{self, MAX_TAGS, Tag};
use std::sync::atomic::{AtomicU64, Ordering};

static CREATED: [AtomicU64; MAX_TAGS] = [const { AtomicU64::new(0) }; MAX_TAGS];
static DROPPED: [AtomicU64; MAX_TAGS] = [const { AtomicU64::new(0) }; MAX_TAGS];

/// Tasks of a tag that exist now, and tasks created so far.
pub(crate) fn counts(tag: Tag) -> (u64, u64) {
    let dropped = DROPPED[tag.index() as usize].load(Ordering::Acquire);
    let created = CREATED[tag.index() as usize].load(Ordering::Acquire);
    (created.saturating_sub(dropped), created)
}

/// Returns the number of tasks that exist now.
pub fn task_count() -> u64 {
    (0..table::count() as u32)
        .map(|index| counts(Tag::from_index(index)).0)
        .sum()
}

/// Counts as a task of its tag until it is dropped.
#[derive(Debug)]
pub(crate) struct Counted(Tag);

impl Counted {
    pub(crate) fn new(tag: Tag) -> Self {
        CREATED[tag.index() as usize].fetch_add(1, Ordering::Relaxed);
        Self(tag)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        DROPPED[self.0.index() as usize].fetch_add(1, Ordering::Release);
    }
}
