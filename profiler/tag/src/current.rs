//! The tag of the calling thread.

use crate::origin::{self, Origin};
use crate::table::{MAX_TAGS, Tag};
use std::cell::Cell;
use std::sync::OnceLock;

/// Marks a default tag; indices of tags are smaller.
const DEFAULT: u32 = 1 << 30;
/// The value of an untagged thread that has parked; see [`crate::parking`].
const PARKED: u32 = 1 << 29;

thread_local! {
    /// The index of a tag, or the thread's [`BASE`], or [`PARKED`], or the ticket of untagged work that was
    /// sampled.
    ///
    /// Const-initialised and without `Drop`, so it has no lazy initialisation and no destructor: a
    /// signal handler may read it at any point of a thread's life.
    static CURRENT: Cell<u32> = const { Cell::new(0) };
    /// The value while the thread has no tag: 0, or a marked default tag; see [`crate::thread`].
    static BASE: Cell<u32> = const { Cell::new(0) };
}

/// Returns the tag of the calling thread. May be called from a signal handler and from an allocator.
#[inline]
pub fn current() -> Tag {
    let raw = raw();
    Tag::from_index(if raw < MAX_TAGS as u32 {
        raw
    } else {
        default()
    })
}

#[inline]
pub(crate) fn raw() -> u32 {
    CURRENT.with(Cell::get)
}

/// The index of the calling thread's tag, or its base: what has to be restored after another tag.
#[inline]
pub(crate) fn index_or_base() -> u32 {
    let raw = raw();
    if raw < MAX_TAGS as u32 { raw } else { base() }
}

/// Whether the calling thread may have parked since its last tag.
#[inline]
pub(crate) fn may_have_parked() -> bool {
    raw() >= MAX_TAGS as u32
}

/// Marks the calling thread, which must be untagged, as one that has parked.
pub(crate) fn set_parked() {
    CURRENT.with(|current| current.set(PARKED));
}

/// Whether the calling thread has a tag other than its default.
#[inline]
pub(crate) fn is_tagged() -> bool {
    (1..MAX_TAGS as u32).contains(&raw())
}

/// The index of the calling thread's tag, or the ticket of its untagged work, issued now if there is none.
/// Signal-safe.
///
/// Not inlined, so that its accesses to thread-locals are compiled by the profile of this package; see the test
/// `signal_handler_reaches_nothing_that_allocates_locks_or_waits`.
#[inline(never)]
pub(crate) fn index_or_ticket() -> u32 {
    let raw = raw();
    if raw != 0 && raw & (DEFAULT | PARKED) == 0 {
        return raw;
    }
    let ticket = origin::issue(default());
    CURRENT.with(|current| current.set(ticket));
    ticket
}

impl Origin {
    /// The origin of a sample of the calling thread that is taken now. May be called from a signal handler.
    pub fn of_this_thread() -> Self {
        Self::from_number(index_or_ticket())
    }
}

/// Takes the ticket of the calling thread's untagged work, so that it ends with the work so far.
#[inline]
pub(crate) fn take_ticket() -> Option<u32> {
    let raw = raw();
    if !origin::is_ticket(raw) {
        return None;
    }
    CURRENT.with(|current| current.set(base()));
    Some(raw)
}

/// Sets the ticket of the calling thread, which must be untagged.
pub(crate) fn set_ticket(ticket: u32) {
    CURRENT.with(|current| current.set(ticket));
}

#[inline]
pub(crate) fn base() -> u32 {
    BASE.with(Cell::get)
}

/// The index of the calling thread's default tag; 0 if it has none.
#[inline]
pub(crate) fn default() -> u32 {
    base() & !DEFAULT
}

/// Sets the default tag of the calling thread alone, and returns the base before.
#[cfg(feature = "http")]
pub(crate) fn replace_base(base: u32) -> u32 {
    BASE.with(|own| own.replace(base))
}

/// The base of a thread with a default tag.
pub(crate) fn base_of(tag: u32) -> u32 {
    if tag == 0 { 0 } else { DEFAULT | tag }
}

/// Sets the default tag of the calling thread, and its tag if it only has a default. Returns the base.
pub(crate) fn set_default(tag: Tag) -> u32 {
    let next = base_of(tag.index());
    let has_own = is_tagged();
    BASE.with(|base| base.set(next));
    if !has_own {
        set(next);
    }
    next
}

/// Sets the tag of the calling thread.
#[inline]
pub(crate) fn set(tag: u32) {
    CURRENT.with(|current| current.set(tag));
    #[cfg(all(
        feature = "otel",
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64")
    ))]
    crate::otel::switched(tag);
}

/// Runs `work` with the tag of the profiler, so that its allocations are not attributed to the current tag.
pub(crate) fn as_profiler<T>(work: impl FnOnce() -> T) -> T {
    let own = PROFILER.get().copied().unwrap_or_default();
    let before = CURRENT.with(|current| current.replace(own.index()));
    let output = work();
    CURRENT.with(|current| current.set(before));
    output
}

/// The tag of the counters.
static PROFILER: OnceLock<Tag> = OnceLock::new();

/// Makes [`as_profiler`] attribute allocations to `profiler`.
pub(crate) fn start() {
    PROFILER.get_or_init(|| Tag::new("profiler", "accounting"));
}
