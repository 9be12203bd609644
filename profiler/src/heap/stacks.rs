//! Totals of sampled allocations by stack and tag, in lock-free tables of fixed size.
//!
//! The first numbers belong to the tags themselves: an allocation whose stack does not fit is still counted
//! for its member and operation.

use davy_tag::{MAX_TAGS, Tag};
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};

/// Number of stacks. All numbers, including those of tags, fit into 16 bits.
const STACKS: usize = 1 << 15;
/// Words of all stacks. Pages are allocated when they are first used.
const WORDS: usize = 1 << 20;
const PROBES_MAX: usize = 64;

/// Objects are summed in units of 1/1024, because a sample stands for a fractional number of them.
pub(super) const OBJECT: f64 = 1_024.0;

/// The number of objects, from a sum of units.
pub(super) fn objects(sum: i64) -> i64 {
    (sum as f64 / OBJECT).round() as i64
}

/// The frames of the entry are not written yet.
const PENDING: u64 = 0;
/// The frames of the entry did not fit.
const NO_SPACE: u64 = u64::MAX;
const LENGTH_BITS: u32 = 16;

/// Estimated totals of one stack under one tag.
pub(super) struct Entry {
    /// 0 while the entry is unused.
    hash: AtomicU64,
    /// Offset and length of the frames, or one of the constants above.
    frames: AtomicU64,
    tag: AtomicU64,
    pub(super) allocated_objects: AtomicI64,
    pub(super) allocated_bytes: AtomicI64,
    pub(super) live_objects: AtomicI64,
    pub(super) live_bytes: AtomicI64,
}

#[cfg(test)]
impl Entry {
    pub(super) fn live(&self) -> i64 {
        self.live_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn allocated(&self) -> i64 {
        self.allocated_bytes.load(Ordering::Relaxed)
    }
}

impl Entry {
    const fn new() -> Self {
        Self {
            hash: AtomicU64::new(0),
            frames: AtomicU64::new(PENDING),
            tag: AtomicU64::new(0),
            allocated_objects: AtomicI64::new(0),
            allocated_bytes: AtomicI64::new(0),
            live_objects: AtomicI64::new(0),
            live_bytes: AtomicI64::new(0),
        }
    }
}

static ENTRIES: [Entry; MAX_TAGS + STACKS] = [const { Entry::new() }; MAX_TAGS + STACKS];
static FRAMES: [AtomicU64; WORDS] = [const { AtomicU64::new(0) }; WORDS];
static FRAMES_USED: AtomicUsize = AtomicUsize::new(0);
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Number of sampled allocations whose stack did not fit.
pub(super) fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// Estimated live memory of a tag: the sums of all its entries, maintained so that reading them is cheap.
pub(super) struct Live {
    pub(super) objects: AtomicI64,
    pub(super) bytes: AtomicI64,
}

static LIVE: [Live; MAX_TAGS] = [const {
    Live {
        objects: AtomicI64::new(0),
        bytes: AtomicI64::new(0),
    }
}; MAX_TAGS];

/// Live memory of the tag with this index.
pub(super) fn live(index: usize) -> &'static Live {
    &LIVE[index % MAX_TAGS]
}

/// Adds to the allocated memory of a number returned by [`find`].
pub(super) fn add_allocated(number: u16, objects: i64, bytes: i64) {
    let entry = entry(number);
    entry
        .allocated_objects
        .fetch_add(objects, Ordering::Relaxed);
    entry.allocated_bytes.fetch_add(bytes, Ordering::Relaxed);
}

/// Adds to the live memory of a number returned by [`find`] and of its tag.
pub(super) fn add_live(number: u16, objects: i64, bytes: i64) {
    let entry = entry(number);
    let live = live(match usize::from(number) {
        tag if tag < MAX_TAGS => tag,
        _ => entry.tag.load(Ordering::Relaxed) as usize,
    });
    for (sum, amount) in [
        (&entry.live_objects, objects),
        (&entry.live_bytes, bytes),
        (&live.objects, objects),
        (&live.bytes, bytes),
    ] {
        sum.fetch_add(amount, Ordering::Relaxed);
    }
}

/// The totals of a number returned by [`find`].
pub(super) fn entry(number: u16) -> &'static Entry {
    &ENTRIES[usize::from(number) % ENTRIES.len()]
}

/// The number of a stack under a tag. Frames are given from the leaf to the root.
pub(super) fn find(tag: Tag, frames: &[u64]) -> u16 {
    let hash = hash(tag, frames);
    let first = hash as usize % STACKS;
    for probe in 0..PROBES_MAX {
        let index = MAX_TAGS + (first + probe) % STACKS;
        let entry = &ENTRIES[index];
        let known = match entry
            .hash
            .compare_exchange(0, hash, Ordering::AcqRel, Ordering::Acquire)
        {
            Ok(_) => {
                entry.tag.store(u64::from(tag.index()), Ordering::Relaxed);
                entry.frames.store(store_frames(frames), Ordering::Release);
                hash
            }
            Err(known) => known,
        };
        if known == hash {
            if entry.frames.load(Ordering::Acquire) == NO_SPACE {
                break;
            }
            return index as u16;
        }
    }
    DROPPED.fetch_add(1, Ordering::Relaxed);
    tag.index() as u16
}

/// The number of the same stack under another tag.
pub(super) fn with_tag(number: u16, tag: Tag) -> u16 {
    if usize::from(number) < MAX_TAGS {
        // The frames did not fit.
        return tag.index() as u16;
    }
    let location = entry(number).frames.load(Ordering::Acquire);
    find(tag, &frames_at(location))
}

fn frames_at(location: u64) -> Vec<u64> {
    if location == PENDING || location == NO_SPACE {
        return Vec::new();
    }
    let begin = (location >> LENGTH_BITS) as usize;
    let length = (location & ((1 << LENGTH_BITS) - 1)) as usize;
    let words = FRAMES[begin..begin + length].iter();
    words.map(|word| word.load(Ordering::Relaxed)).collect()
}

/// Copies the frames into the table, and returns their offset and length.
fn store_frames(frames: &[u64]) -> u64 {
    let begin = FRAMES_USED.fetch_add(frames.len(), Ordering::Relaxed);
    if frames.is_empty() || begin + frames.len() > WORDS {
        return NO_SPACE;
    }
    for (word, frame) in FRAMES[begin..].iter().zip(frames) {
        word.store(*frame, Ordering::Relaxed);
    }
    (begin as u64) << LENGTH_BITS | frames.len() as u64
}

/// A hash of 64 bits identifies a stack: among 32,768 stacks, a collision occurs in one of 10^10 processes.
fn hash(tag: Tag, frames: &[u64]) -> u64 {
    let start = u64::from(tag.index()).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = frames.iter().fold(start, |hash, frame| {
        let mixed = (hash ^ frame).wrapping_mul(0xff51_afd7_ed55_8ccd);
        mixed ^ (mixed >> 32)
    });
    mixed.max(1)
}

/// Visits every entry in use, with its number and frames. Entries whose frames did not fit have none.
pub(super) fn visit(mut each: impl FnMut(u16, Tag, &[u64], &Entry)) {
    for (number, entry) in ENTRIES.iter().enumerate() {
        let mut frames = Vec::new();
        let tag = if number < MAX_TAGS {
            if entry.allocated_bytes.load(Ordering::Relaxed) == 0 {
                continue;
            }
            Tag::from_index(number as u32)
        } else {
            let location = entry.frames.load(Ordering::Acquire);
            if location == PENDING || location == NO_SPACE {
                continue;
            }
            frames = frames_at(location);
            Tag::from_index(entry.tag.load(Ordering::Relaxed) as u32)
        };
        each(number as u16, tag, &frames, entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_stacks_under_a_tag_share_one_number() {
        let (a, b) = (Tag::new("stacks", "a"), Tag::new("stacks", "b"));
        let number = find(a, &[3, 2, 1]);
        assert_eq!(find(a, &[3, 2, 1]), number);
        assert_ne!(find(b, &[3, 2, 1]), number);
        assert_ne!(find(a, &[3, 2]), number);
        let mut seen = 0;
        visit(|of, tag, frames, _| {
            if of == number {
                assert_eq!((tag, frames), (a, [3, 2, 1].as_slice()));
                seen += 1;
            }
        });
        assert_eq!(seen, 1);
    }

    #[test]
    fn stack_that_does_not_fit_is_counted_for_its_tag() {
        let tag = Tag::new("stacks", "no space");
        assert_eq!(find(tag, &[]), tag.index() as u16);
    }
}
