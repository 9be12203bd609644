//! Stops a worker.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How far a worker has been stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    #[default]
    Running,
    /// No new builds; the running ones finish.
    Landing,
    /// The worker ends; running tasks go on and are found by the next process.
    Leaving,
    /// Running tasks are killed.
    Killing,
}

/// Stops a worker. Cheap to clone; all clones stop the same one.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<(Mutex<Stage>, Condvar)>);

impl Stop {
    /// Takes no new builds, and stops when the running ones are over.
    pub fn land(&self) {
        self.raise(Stage::Landing);
    }

    /// Stops at once. Running tasks go on under their shims, and the next process of the worker finds them.
    pub fn leave(&self) {
        self.raise(Stage::Leaving);
    }

    /// Kills the running tasks and stops.
    pub fn kill(&self) {
        self.raise(Stage::Killing);
    }

    pub(crate) fn is_landing(&self) -> bool {
        *self.stage() >= Stage::Landing
    }

    pub(crate) fn is_leaving(&self) -> bool {
        *self.stage() >= Stage::Leaving
    }

    pub(crate) fn is_killing(&self) -> bool {
        *self.stage() >= Stage::Killing
    }

    /// Waits for this time, or until the worker is stopped further.
    pub(crate) fn wait(&self, span: Duration) {
        let stage = self.stage();
        let before = *stage;
        // Whether it was woken or the time has passed makes no difference.
        let _ = self
            .0
            .1
            .wait_timeout_while(stage, span, |stage| *stage == before);
    }

    /// Waits until the worker is stopped.
    pub(crate) fn wait_for_landing(&self) {
        let stage = self.stage();
        let landing = self.0.1.wait_while(stage, |stage| *stage < Stage::Landing);
        drop(landing);
    }

    fn raise(&self, to: Stage) {
        let mut stage = self.stage();
        *stage = (*stage).max(to);
        self.0.1.notify_all();
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
