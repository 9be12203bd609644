//! Futures that are counted, and listed with the stack at which they wait.

pub(crate) mod counted;
mod slot;
mod stack_source;
mod watch;

pub use counted::task_count;
pub use slot::{TASKS_LISTED_MAX, TaskSnapshot};
pub use stack_source::{StackSource, ask_tasks, set_stack_source};

use crate::account;
use crate::future::Tagged;
use crate::table::Tag;
use counted::Counted;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Calls `visit` with every existing task, without stopping any. Tasks beyond [`TASKS_LISTED_MAX`] are
/// only counted. Tasks of [`spawn_blocking`](crate::spawn_blocking) never wait and are not listed.
pub fn for_each_task(visit: impl FnMut(&TaskSnapshot<'_>)) {
    slot::visit(visit);
}

/// A [`Tagged`] future that is counted as a task of its tag until it is dropped.
#[derive(Debug)]
#[must_use = "a future does nothing unless it is polled"]
pub struct Task<F> {
    // Fields are dropped in this order: the task exists until its future has been dropped.
    future: Tagged<F>,
    slot: Option<slot::Owned>,
    _counted: Counted,
}

impl Tag {
    /// Tags a future and counts it as a task, from now until it is dropped. Spawn the result.
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
            && slot.count_poll(stack_source::latest_request())
            && let Some(source) = stack_source::stack_source()
        {
            return watch::poll(slot, source, future, context);
        }
        future.poll(context)
    }
}
