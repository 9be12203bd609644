//! Where the drainer is asked.

use super::collect::{Asker, Reply, Sort};
use crate::Error;
use crate::aggregate::Filter;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What the drainer is asked for.
pub(crate) enum Command {
    SetHz(u32),
    /// Short windows for a span from now on.
    Watch(Duration),
    /// What happens from now on for a span.
    Span {
        sort: Sort,
        span: Duration,
        /// At least this rate of CPU samples meanwhile.
        hz: u32,
        filter: Filter,
        asker: Asker,
        reply: Reply,
    },
    /// What is now.
    Now {
        sort: Sort,
        filter: Filter,
        reply: Reply,
    },
    Stop,
}

/// Commands on their way to the drainer, and its counts on their way back.
#[derive(Default)]
pub(crate) struct Desk {
    state: Mutex<DeskState>,
    changed: Condvar,
}

#[derive(Default)]
pub(super) struct DeskState {
    commands: Vec<Command>,
    /// A new thread said that it is there.
    is_nudged: bool,
    is_closed: bool,
    pub(super) counts: Counts,
}

/// What the drainer counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) engine: crate::cpu::Counts,
    /// Why threads are not sampled; empty where all are.
    pub(crate) refusal: Arc<str>,
    pub(crate) lost_nanos: u64,
    pub(crate) cpu_nanos: u64,
}

/// The desk of the profiler that runs, if one does.
static OPEN: Mutex<Option<Arc<Desk>>> = Mutex::new(None);

/// Has the drainer look for new threads now rather than at its next tick. Waits for nobody: in a child
/// that was forked while a lock was held, it is held for ever.
pub(crate) fn nudge() {
    if let Ok(desk) = OPEN.try_lock()
        && let Some(desk) = &*desk
        && let Ok(mut state) = desk.state.try_lock()
    {
        state.is_nudged = true;
        desk.changed.notify_all();
    }
}

impl Desk {
    pub(super) fn lock(&self) -> MutexGuard<'_, DeskState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the drainer; after its end the answer is that it was stopped.
    pub(crate) fn ask(&self, command: Command) -> Result<(), Error> {
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

    /// Waits for commands or new threads; answers the commands, and whether there are threads.
    pub(super) fn wait(&self, span: Duration) -> (Vec<Command>, bool) {
        let mut state = self.lock();
        if state.commands.is_empty() && !state.is_nudged {
            let waited = self.changed.wait_timeout(state, span);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let state = &mut *state;
        (
            std::mem::take(&mut state.commands),
            std::mem::take(&mut state.is_nudged),
        )
    }
}

/// Opens the desk; it is closed when this is dropped.
pub(super) fn open(desk: &Arc<Desk>) -> Closing {
    *OPEN.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(desk));
    Closing(Arc::clone(desk))
}

/// A closed desk answers everybody, even if its thread ended by a panic.
pub(super) struct Closing(Arc<Desk>);

impl Drop for Closing {
    fn drop(&mut self) {
        *OPEN.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let mut state = self.0.lock();
        state.is_closed = true;
        // Their senders learn from the dropped replies.
        state.commands.clear();
    }
}
