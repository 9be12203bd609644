//! Futures that are counted while they live, and tell where they wait.

mod slot;
mod watch;

pub use slot::TASKS_LISTED_MAX;

use crate::table::MAX_TAGS;
use crate::{Tag, Tagged, account};
use slot::Slot;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::task::{Context, Poll};

static BEGUN: [AtomicU64; MAX_TAGS] = [const { AtomicU64::new(0) }; MAX_TAGS];
static ENDED: [AtomicU64; MAX_TAGS] = [const { AtomicU64::new(0) }; MAX_TAGS];

/// Every task notes where it waits at its first poll, and again after each change of this.
static ASKED: AtomicU64 = AtomicU64::new(1);
/// A [`StackSource`], or null.
static STACK_SOURCE: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());

/// Writes the calling thread's return addresses, from the leaf on, as far as their frames lie
/// below an address of its stack; answers how many. Must not allocate, lock or panic.
pub type StackSource = fn(below: usize, frames: &mut [u64]) -> usize;

/// Says how a stack is read. Without it tasks are listed, and do not tell where they wait.
pub fn set_stack_source(source: StackSource) {
    STACK_SOURCE.store(source as *mut (), Ordering::Release);
}

/// Has every task note where it waits at its next poll, which costs some 200 ns more that once.
pub fn ask_tasks() {
    ASKED.fetch_add(1, Ordering::Relaxed);
}

fn stack_source() -> Option<StackSource> {
    let source = STACK_SOURCE.load(Ordering::Acquire);
    // SAFETY: what is not null was a function of this type, in `set_stack_source`.
    (!source.is_null()).then(|| unsafe { std::mem::transmute::<*mut (), StackSource>(source) })
}

/// Tasks of this tag that live, and that ever lived.
pub(crate) fn counts(tag: Tag) -> (u64, u64) {
    let ended = ENDED[tag.index() as usize].load(Ordering::Acquire);
    let begun = BEGUN[tag.index() as usize].load(Ordering::Acquire);
    (begun.saturating_sub(ended), begun)
}

/// How many tasks live.
pub fn task_count() -> u64 {
    (0..crate::count() as u32)
        .map(|index| counts(Tag::from_index(index)).0)
        .sum()
}

/// A task as it is now.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TaskSnapshot<'a> {
    /// Whose task it is.
    pub tag: Tag,
    /// How long it has lived, in nanoseconds.
    pub age_nanos: u64,
    /// How often it was polled.
    pub polls: u64,
    /// Whether it was polled after it noted its frames, so that it may wait elsewhere by now.
    pub is_outdated: bool,
    /// Return addresses, from where the task's waker was taken to its own poll: where it waits.
    /// Empty where that is not known.
    pub frames: &'a [u64],
}

/// Shows every living task to `visit`, without stopping any; of more than [`TASKS_LISTED_MAX`] the
/// others are only counted. Those of [`spawn_blocking`](crate::spawn_blocking) never wait, and are
/// not shown either.
pub fn for_each_task(visit: impl FnMut(&TaskSnapshot<'_>)) {
    slot::visit(visit);
}

/// Counts as one task of its tag until it is dropped.
#[derive(Debug)]
pub(crate) struct Counted(Tag);

impl Counted {
    pub(crate) fn new(tag: Tag) -> Self {
        BEGUN[tag.index() as usize].fetch_add(1, Ordering::Relaxed);
        Self(tag)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        ENDED[self.0.index() as usize].fetch_add(1, Ordering::Release);
    }
}

/// A [`Tagged`] future that counts as a task of its tag for as long as it lives.
#[derive(Debug)]
#[must_use = "a future does nothing unless it is polled"]
pub struct Task<F> {
    // Dropped in this order: a task lives until its future has been dropped.
    future: Tagged<F>,
    slot: Option<slot::Owned>,
    _counted: Counted,
}

impl Tag {
    /// `future` under this tag, as a task: for whoever spawns it. The task lives from here until
    /// the future is dropped.
    pub fn task<F: Future>(self, future: F) -> Task<F> {
        Task {
            future: self.wrap(future),
            slot: slot::take(self),
            _counted: Counted::new(self),
        }
    }
}

impl<F: Future> Future for Task<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: `future` is pinned whenever `self` is: it is never moved out, `Task` has no
        // `Drop` of its own, and is `Unpin` only where `F` is. The slot is not pinned.
        let (future, slot) = unsafe {
            let this = self.get_unchecked_mut();
            (Pin::new_unchecked(&mut this.future), &this.slot)
        };
        if account::is_on()
            && let Some(slot) = slot
            && slot.is_asked()
            && let Some(source) = stack_source()
        {
            return watch::poll(slot, source, future, context);
        }
        future.poll(context)
    }
}

impl Slot {
    /// Counts a poll; answers whether the task is to note where it waits.
    #[inline]
    fn is_asked(&self) -> bool {
        let polls = self.polls.load(Ordering::Relaxed) + 1;
        self.polls.store(polls, Ordering::Relaxed);
        self.asked.load(Ordering::Relaxed) != ASKED.load(Ordering::Relaxed)
    }
}
