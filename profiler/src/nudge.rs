//! Lets code in a new thread wake the drainer, which is several modules above it.

use std::sync::{Arc, Mutex, PoisonError};

/// Receives nudges. Must neither wait nor allocate.
pub(crate) trait Nudged: Send + Sync {
    fn nudge(&self);
}

static TARGET: Mutex<Option<Arc<dyn Nudged>>> = Mutex::new(None);

/// Sets the receiver of nudges.
pub(crate) fn set_target(target: Option<Arc<dyn Nudged>>) {
    *TARGET.lock().unwrap_or_else(PoisonError::into_inner) = target;
}

/// Makes the drainer look for new threads now instead of at its next tick. Never waits for a lock: in a
/// child that was forked while the lock was held, it is never released.
pub(crate) fn nudge() {
    if let Ok(target) = TARGET.try_lock()
        && let Some(target) = &*target
    {
        target.nudge();
    }
}
