//! Interns pairs of member and operation for the life of the process.
//!
//! Lookups take no lock: an open-addressed index refers to a table whose entries are written once. Only
//! a new pair locks the mutex.

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Maximum number of tags, including the untagged and the overflow tag.
pub const MAX_TAGS: usize = 4_096;

/// Maximum length of a name in bytes; longer ones are truncated at a character boundary.
pub const MAX_NAME_BYTES: usize = 256;

const INDEX_SLOTS: usize = MAX_TAGS * 2;
const UNTAGGED: u32 = 0;
const OVERFLOW: u32 = 1;

#[derive(Clone, Copy)]
struct Pair {
    member: &'static str,
    op: &'static str,
}

static PAIRS: [OnceLock<Pair>; MAX_TAGS] = [const { OnceLock::new() }; MAX_TAGS];
/// Indices of pairs, probed linearly from the slot of the hash; 0 marks a free slot.
static INDEX: [AtomicU32; INDEX_SLOTS] = [const { AtomicU32::new(0) }; INDEX_SLOTS];
/// The first free index.
static NEXT: AtomicU32 = AtomicU32::new(OVERFLOW + 1);
static WRITER: Mutex<()> = Mutex::new(());
static OVERFLOWED: AtomicU64 = AtomicU64::new(0);

/// A member and one of its operations, interned.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Tag(u32);

impl Tag {
    /// Work without a tag.
    pub const UNTAGGED: Self = Self(UNTAGGED);

    /// The tag of pairs that are new when the table is full.
    pub const OVERFLOW: Self = Self(OVERFLOW);

    /// Returns the tag of a pair; the same pair always has the same tag.
    ///
    /// Keep a tag that is used often, instead of the names. A new pair is [`Tag::OVERFLOW`] if there are
    /// [`MAX_TAGS`] tags; two empty names are [`Tag::UNTAGGED`].
    pub fn new(member: &str, op: &str) -> Self {
        let (member, op) = (cut(member), cut(op));
        if member.is_empty() && op.is_empty() {
            return Self::UNTAGGED;
        }
        let hash = hash(member, op);
        match find(hash, member, op) {
            Ok(found) => found,
            Err(_) => insert(hash, member, op),
        }
    }

    /// The member; "" if untagged.
    pub fn member(self) -> &'static str {
        self.pair().member
    }

    /// The operation; "" if untagged or if the member has only one.
    pub fn op(self) -> &'static str {
        self.pair().op
    }

    /// Whether this is [`Tag::UNTAGGED`].
    pub const fn is_untagged(self) -> bool {
        self.0 == UNTAGGED
    }

    /// The index, below [`MAX_TAGS`].
    #[inline]
    pub const fn index(self) -> u32 {
        self.0
    }

    /// The tag of an index from [`Tag::index`]; untagged if the index is out of range.
    #[inline]
    pub const fn from_index(index: u32) -> Self {
        if (index as usize) < MAX_TAGS {
            Self(index)
        } else {
            Self::UNTAGGED
        }
    }

    fn pair(self) -> Pair {
        match self.0 {
            UNTAGGED => Pair { member: "", op: "" },
            OVERFLOW => Pair {
                member: "(overflow)",
                op: "(overflow)",
            },
            index => PAIRS[index as usize]
                .get()
                .copied()
                .unwrap_or(Pair { member: "", op: "" }),
        }
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({:?}, {:?})", self.member(), self.op())
    }
}

/// Returns the number of tags, including the untagged and the overflow tag.
pub fn count() -> usize {
    NEXT.load(Ordering::Acquire) as usize
}

/// Returns how often a new pair found the table full.
pub fn overflowed() -> u64 {
    OVERFLOWED.load(Ordering::Relaxed)
}

/// Calls `visit` with every tag so far.
pub fn for_each_tag(visit: impl FnMut(Tag)) {
    (OVERFLOW + 1..NEXT.load(Ordering::Acquire))
        .map(Tag)
        .for_each(visit);
}

fn cut(name: &str) -> &str {
    if name.len() <= MAX_NAME_BYTES {
        return name;
    }
    let end = (0..=MAX_NAME_BYTES)
        .rev()
        .find(|end| name.is_char_boundary(*end));
    &name[..end.unwrap_or(0)]
}

/// FNV-1a of both names, separated by a byte that does not occur in UTF-8.
fn hash(member: &str, op: &str) -> usize {
    let bytes = member.bytes().chain([0xff]).chain(op.bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash ^ (hash >> 32)) as usize
}

/// Returns the tag of a pair, or the free slot for it.
fn find(hash: usize, member: &str, op: &str) -> Result<Tag, usize> {
    // At most half of the slots are used, so the search terminates.
    let mut slot = hash % INDEX_SLOTS;
    loop {
        let index = INDEX[slot].load(Ordering::Acquire);
        if index == 0 {
            return Err(slot);
        }
        let pair = Tag(index).pair();
        if pair.member == member && pair.op == op {
            return Ok(Tag(index));
        }
        slot = (slot + 1) % INDEX_SLOTS;
    }
}

#[cold]
fn insert(hash: usize, member: &str, op: &str) -> Tag {
    let _writer = WRITER.lock().unwrap_or_else(PoisonError::into_inner);
    let slot = match find(hash, member, op) {
        Ok(found) => return found,
        Err(slot) => slot,
    };
    let next = NEXT.load(Ordering::Relaxed);
    if next as usize >= MAX_TAGS {
        OVERFLOWED.fetch_add(1, Ordering::Relaxed);
        return Tag::OVERFLOW;
    }
    // Leaked on purpose: a profile may refer to a pair for as long as the process runs. MAX_TAGS and
    // MAX_NAME_BYTES limit the total to 2 MiB.
    let pair = Pair {
        member: String::leak(member.to_owned()),
        op: String::leak(op.to_owned()),
    };
    PAIRS[next as usize].get_or_init(|| pair);
    INDEX[slot].store(next, Ordering::Release);
    NEXT.store(next + 1, Ordering::Release);
    Tag(next)
}
