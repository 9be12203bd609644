//! The state of each task, in slots that are never freed and need no lock.

use crate::account::ticks;
use crate::table::Tag;
use std::ops::Deref;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering, fence};

const CHUNK: usize = 256;
const CHUNKS: usize = 256;
/// Number of tasks that can be listed.
pub const TASKS_LISTED_MAX: usize = CHUNK * CHUNKS;
/// Frames recorded of a task; further ones, towards the task's own poll, are dropped.
const FRAMES: usize = 24;

/// The state of a task.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TaskSnapshot<'a> {
    /// The task's tag.
    pub tag: Tag,
    /// Time since the task was created, in nanoseconds.
    pub age_nanos: u64,
    /// Number of polls.
    pub polls: u64,
    /// Whether the task was polled after its frames were recorded, so it may wait elsewhere by now.
    pub is_outdated: bool,
    /// Return addresses from where the task's waker was cloned to the task's own poll: where it waits.
    /// Empty if unknown.
    pub frames: &'a [u64],
}

/// Written by its task only, which is polled by one thread at a time.
#[derive(Debug, Default)]
pub(super) struct Slot {
    index: u32,
    /// Index of the next free slot plus 1; 0 at the end.
    next_free: AtomicU32,
    tag: AtomicU32,
    /// Creation time of the task in ticks; 0 while the slot is free.
    begun: AtomicU64,
    polls: AtomicU64,
    /// The latest request when the task last recorded its frames.
    answered: AtomicU64,
    /// A seqlock: odd while the frames are being written.
    version: AtomicU64,
    recorded_at_poll: AtomicU64,
    count: AtomicU32,
    frames: [AtomicU64; FRAMES],
}

static SLOTS: [AtomicPtr<Slot>; CHUNKS] = [const { AtomicPtr::new(std::ptr::null_mut()) }; CHUNKS];
/// Number of slots used so far.
static USED: AtomicU32 = AtomicU32::new(0);
/// Index of the first free slot plus 1, with a count of changes in the upper half against the ABA
/// problem.
static FREE: AtomicU64 = AtomicU64::new(0);

/// A slot owned by a task, which frees it when dropped.
#[derive(Debug)]
pub(super) struct Owned(&'static Slot);

impl Deref for Owned {
    type Target = Slot;

    fn deref(&self) -> &Slot {
        self.0
    }
}

/// Acquires a slot for a new task; `None` if all are in use.
pub(super) fn take(tag: Tag) -> Option<Owned> {
    let slot = pop().or_else(add)?;
    slot.tag.store(tag.index(), Ordering::Relaxed);
    slot.polls.store(0, Ordering::Relaxed);
    slot.answered.store(0, Ordering::Relaxed);
    slot.count.store(0, Ordering::Relaxed);
    slot.begun.store(ticks::now().max(1), Ordering::Release);
    Some(Owned(slot))
}

fn at(index: u32) -> Option<&'static Slot> {
    let chunk = SLOTS.get(index as usize / CHUNK)?.load(Ordering::Acquire);
    // SAFETY: null, or a leaked chunk.
    (!chunk.is_null()).then(|| unsafe { &*chunk.add(index as usize % CHUNK) })
}

fn pop() -> Option<&'static Slot> {
    let mut head = FREE.load(Ordering::Acquire);
    loop {
        let slot = at((head as u32).checked_sub(1)?)?;
        let next =
            (head >> 32).wrapping_add(1) << 32 | u64::from(slot.next_free.load(Ordering::Relaxed));
        match FREE.compare_exchange_weak(head, next, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return Some(slot),
            Err(other) => head = other,
        }
    }
}

fn add() -> Option<&'static Slot> {
    let index = USED
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            ((used as usize) < TASKS_LISTED_MAX).then_some(used + 1)
        })
        .ok()?;
    let chunk = &SLOTS[index as usize / CHUNK];
    if chunk.load(Ordering::Acquire).is_null() {
        let first = index - index % CHUNK as u32;
        let slots = (0..CHUNK as u32).map(|at| Slot {
            index: first + at,
            ..Slot::default()
        });
        let ours: Box<[Slot]> = slots.collect();
        let ours = Box::into_raw(ours);
        let null = std::ptr::null_mut();
        let stored = chunk.compare_exchange(null, ours.cast(), Ordering::AcqRel, Ordering::Acquire);
        if stored.is_err() {
            // SAFETY: another thread stored its chunk first, so this one was never shared.
            drop(unsafe { Box::from_raw(ours) });
        }
    }
    at(index)
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.begun.store(0, Ordering::Release);
        let mut head = FREE.load(Ordering::Acquire);
        loop {
            self.0.next_free.store(head as u32, Ordering::Relaxed);
            let next = (head >> 32).wrapping_add(1) << 32 | u64::from(self.0.index + 1);
            match FREE.compare_exchange_weak(head, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return,
                Err(other) => head = other,
            }
        }
    }
}

impl Slot {
    /// Counts a poll. Returns whether the task has to record its frames.
    #[inline]
    pub(super) fn count_poll(&self, latest_request: u64) -> bool {
        let polls = self.polls.load(Ordering::Relaxed) + 1;
        self.polls.store(polls, Ordering::Relaxed);
        self.answered.load(Ordering::Relaxed) != latest_request
    }

    /// Marks a request as answered.
    pub(super) fn answer(&self, request: u64) {
        self.answered.store(request, Ordering::Relaxed);
    }

    /// Records the frames that `write` writes.
    pub(super) fn record(&self, write: impl FnOnce(&mut [u64]) -> usize) {
        let mut frames = [0; FRAMES];
        let count = write(&mut frames).min(FRAMES);
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version + 1, Ordering::Relaxed);
        fence(Ordering::Release);
        for (to, from) in self.frames.iter().zip(&frames[..count]) {
            to.store(*from, Ordering::Relaxed);
        }
        self.count.store(count as u32, Ordering::Relaxed);
        let polls = self.polls.load(Ordering::Relaxed);
        self.recorded_at_poll.store(polls, Ordering::Relaxed);
        self.version.store(version + 2, Ordering::Release);
    }

    /// The state of the task that owns the slot, if any.
    fn read<'a>(&self, now: u64, frames: &'a mut [u64; FRAMES]) -> Option<TaskSnapshot<'a>> {
        let begun = self.begun.load(Ordering::Acquire);
        if begun == 0 {
            return None;
        }
        let version = self.version.load(Ordering::Acquire);
        let mut count = (self.count.load(Ordering::Relaxed) as usize).min(FRAMES);
        for (to, from) in frames.iter_mut().zip(&self.frames[..count]) {
            *to = from.load(Ordering::Relaxed);
        }
        let recorded = self.recorded_at_poll.load(Ordering::Relaxed);
        let polls = self.polls.load(Ordering::Relaxed);
        let tag = Tag::from_index(self.tag.load(Ordering::Relaxed));
        fence(Ordering::Acquire);
        // Discards frames that changed while they were read.
        if version % 2 == 1 || self.version.load(Ordering::Relaxed) != version {
            count = 0;
        }
        let is_same = self.begun.load(Ordering::Relaxed) == begun;
        is_same.then_some(TaskSnapshot {
            tag,
            age_nanos: ticks::scale().to_nanos(now.saturating_sub(begun)),
            polls,
            is_outdated: count > 0 && polls > recorded,
            frames: &frames[..count],
        })
    }
}

/// Calls `each` with every existing task.
pub(super) fn visit(mut each: impl FnMut(&TaskSnapshot<'_>)) {
    let now = ticks::now();
    let mut frames = [0; FRAMES];
    for slot in (0..USED.load(Ordering::Acquire)).filter_map(at) {
        if let Some(task) = slot.read(now, &mut frames) {
            each(&task);
        }
    }
}
