//! What is known of each living task, in places that are never freed and need no lock.

use super::TaskSnapshot;
use crate::Tag;
use crate::account::ticks;
use std::ops::Deref;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering, fence};

const CHUNK: usize = 256;
const CHUNKS: usize = 256;
/// Tasks that can be listed at a time.
pub const TASKS_LISTED_MAX: usize = CHUNK * CHUNKS;
/// Frames that a task notes; what lies nearer to its own poll is cut.
const FRAMES: usize = 24;

/// Written by the task, which is polled by one thread at a time; read by all.
#[derive(Debug, Default)]
pub(super) struct Slot {
    index: u32,
    /// One above the index of the next that is free; 0 at the end.
    next_free: AtomicU32,
    tag: AtomicU32,
    /// When the task was made, in ticks; 0 while the slot is free.
    begun: AtomicU64,
    pub(super) polls: AtomicU64,
    /// What [`super::ASKED`] was when the task last noted where it waits.
    pub(super) asked: AtomicU64,
    /// Odd while the frames are being written.
    version: AtomicU64,
    noted_at_poll: AtomicU64,
    count: AtomicU32,
    frames: [AtomicU64; FRAMES],
}

static SLOTS: [AtomicPtr<Slot>; CHUNKS] = [const { AtomicPtr::new(std::ptr::null_mut()) }; CHUNKS];
/// Slots that were ever used.
static USED: AtomicU32 = AtomicU32::new(0);
/// One above the index of the first that is free, and a count of changes in the upper half, so
/// that a slot which went and came again is not taken for one that stayed.
static FREE: AtomicU64 = AtomicU64::new(0);

/// A slot that belongs to a task; dropping it frees it.
#[derive(Debug)]
pub(super) struct Owned(&'static Slot);

impl Deref for Owned {
    type Target = Slot;

    fn deref(&self) -> &Slot {
        self.0
    }
}

/// A slot for a new task; none where all are taken.
pub(super) fn take(tag: Tag) -> Option<Owned> {
    let slot = pop().or_else(add)?;
    slot.tag.store(tag.index(), Ordering::Relaxed);
    slot.polls.store(0, Ordering::Relaxed);
    slot.asked.store(0, Ordering::Relaxed);
    slot.count.store(0, Ordering::Relaxed);
    slot.begun.store(ticks::now().max(1), Ordering::Release);
    Some(Owned(slot))
}

fn at(index: u32) -> Option<&'static Slot> {
    let chunk = SLOTS.get(index as usize / CHUNK)?.load(Ordering::Acquire);
    // SAFETY: null, or a chunk that was leaked.
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
            // SAFETY: another thread's chunk is there, and nobody has seen this one.
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
    /// Keeps the frames that `write` writes.
    pub(super) fn note(&self, write: impl FnOnce(&mut [u64]) -> usize) {
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
        self.noted_at_poll.store(polls, Ordering::Relaxed);
        self.version.store(version + 2, Ordering::Release);
    }

    /// The task that has the slot now, if one has.
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
        let noted = self.noted_at_poll.load(Ordering::Relaxed);
        let polls = self.polls.load(Ordering::Relaxed);
        let tag = Tag::from_index(self.tag.load(Ordering::Relaxed));
        fence(Ordering::Acquire);
        // Frames that changed meanwhile are no stack.
        if version % 2 == 1 || self.version.load(Ordering::Relaxed) != version {
            count = 0;
        }
        let is_same = self.begun.load(Ordering::Relaxed) == begun;
        is_same.then_some(TaskSnapshot {
            tag,
            age_nanos: ticks::scale().to_nanos(now.saturating_sub(begun)),
            polls,
            is_outdated: count > 0 && polls > noted,
            frames: &frames[..count],
        })
    }
}

/// Shows every task that lives.
pub(super) fn visit(mut each: impl FnMut(&TaskSnapshot<'_>)) {
    let now = ticks::now();
    let mut frames = [0; FRAMES];
    for slot in (0..USED.load(Ordering::Acquire)).filter_map(at) {
        if let Some(task) = slot.read(now, &mut frames) {
            each(&task);
        }
    }
}
