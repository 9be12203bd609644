//! Lets a new thread announce itself to the drainer, which is several modules above it.

use std::sync::{Arc, Mutex, PoisonError};

/// Receives the ids of new threads. Must neither wait nor allocate.
pub(crate) trait Nudged: Send + Sync {
    fn nudge(&self, thread: i32);
}

static TARGET: Mutex<Option<Arc<dyn Nudged>>> = Mutex::new(None);

/// Sets the receiver of nudges.
pub(crate) fn set_target(target: Option<Arc<dyn Nudged>>) {
    *TARGET.lock().unwrap_or_else(PoisonError::into_inner) = target;
}

/// Makes the drainer sample a thread from now on instead of from its next tick. Never waits for a lock: in a
/// child that was forked while the lock was held, it is never released.
pub(crate) fn nudge(thread: i32) {
    if let Ok(target) = TARGET.try_lock()
        && let Some(target) = &*target
    {
        target.nudge(thread);
    }
}
