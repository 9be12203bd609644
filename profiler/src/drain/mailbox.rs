//! Commands for the drainer, and its counters.

use super::collect::{ProfileSource, Reply, Waiter};
use crate::Error;
use crate::aggregate::Filter;
use crate::nudge::{self, Nudged};
use crate::requests::RequestSource;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub(crate) enum Command {
    SetHz(u32),
    /// Make short windows for a span from now on.
    Watch(Duration),
    /// Collect a profile over a span from now on.
    CollectSpan {
        source: ProfileSource,
        span: Duration,
        /// Minimum rate of CPU samples meanwhile.
        hz: u32,
        filter: Filter,
        waiter: Waiter,
        reply: Reply,
    },
    /// Take a profile of the current state.
    CollectNow {
        source: ProfileSource,
        filter: Filter,
        reply: Reply,
    },
    /// Count the requests of the program from this source.
    CountRequests(RequestSource),
    Stop,
}

/// Threads that may register between two turns of the drainer. Any more are found by its next scan.
const NEW_THREADS_MAX: usize = 256;

/// Passes commands to the drainer, and its counters back.
pub(crate) struct Mailbox {
    state: Mutex<State>,
    changed: Condvar,
}

impl Default for Mailbox {
    fn default() -> Self {
        let new_threads = Vec::with_capacity(NEW_THREADS_MAX);
        Self {
            state: Mutex::new(State {
                new_threads,
                ..State::default()
            }),
            changed: Condvar::new(),
        }
    }
}

#[derive(Default)]
struct State {
    commands: Vec<Command>,
    /// Ids of threads that have registered. Its capacity is [`NEW_THREADS_MAX`] from the start.
    new_threads: Vec<i32>,
    is_closed: bool,
    counts: Counts,
}

/// The drainer's counters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) sampler: crate::sampler::Counts,
    /// Why threads are not sampled; empty if all are.
    pub(crate) refusal: Arc<str>,
    /// Why the kernel's part of stacks is not recorded; empty if it is, or if it is not wanted.
    pub(crate) kernel_refusal: Arc<str>,
    pub(crate) lost_nanos: u64,
    pub(crate) cpu_nanos: u64,
}

impl Nudged for Mailbox {
    fn nudge(&self, thread: i32) {
        if let Ok(mut state) = self.state.try_lock()
            && state.new_threads.len() < NEW_THREADS_MAX
        {
            state.new_threads.push(thread);
            // For any further threads, the drainer has been woken already.
            if state.new_threads.len() == 1 {
                self.changed.notify_all();
            }
        }
    }
}

impl Mailbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a command. Fails once the drainer has ended.
    pub(crate) fn send(&self, command: Command) -> Result<(), Error> {
        let mut state = self.lock();
        if state.is_closed {
            return Err(Error::Stopped);
        }
        state.commands.push(command);
        self.changed.notify_all();
        Ok(())
    }

    pub(crate) fn counts(&self) -> Counts {
        self.lock().counts.clone()
    }

    pub(super) fn set_counts(&self, counts: Counts) {
        self.lock().counts = counts;
    }

    /// Waits for commands and, if `is_for_threads`, for new threads, at most for `span`. Returns the commands, and
    /// adds the ids of threads that have registered to `threads`.
    pub(super) fn wait(
        &self,
        span: Duration,
        is_for_threads: bool,
        threads: &mut Vec<i32>,
    ) -> Vec<Command> {
        let is_idle = |state: &mut State| {
            state.commands.is_empty() && (!is_for_threads || state.new_threads.is_empty())
        };
        let waited = self.changed.wait_timeout_while(self.lock(), span, is_idle);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        threads.append(&mut state.new_threads);
        std::mem::take(&mut state.commands)
    }
}

/// Makes new threads nudge this mailbox, until the returned guard is dropped.
pub(super) fn open(mailbox: &Arc<Mailbox>) -> OpenMailbox {
    nudge::set_target(Some(Arc::clone(mailbox) as Arc<dyn Nudged>));
    OpenMailbox(Arc::clone(mailbox))
}

/// Closes the mailbox when it is dropped, even if the drainer panics.
pub(super) struct OpenMailbox(Arc<Mailbox>);

impl Drop for OpenMailbox {
    fn drop(&mut self) {
        nudge::set_target(None);
        let mut state = self.0.lock();
        state.is_closed = true;
        // Dropping a command drops its reply channel, so the sender stops waiting.
        state.commands.clear();
    }
}
