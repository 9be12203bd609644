//! The timers of a manual clock.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

/// The timers of a manual clock that wait, by deadline and then in the order of registration.
#[derive(Default)]
pub(crate) struct Timers(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    wakers: BTreeMap<(Duration, u64), Waker>,
    last_id: u64,
}

impl Timers {
    /// Wakes the tasks whose deadline is not after `now`, earliest first.
    pub(crate) fn fire(&self, now: Duration) {
        let due = {
            let mut waiting = self.lock();
            let later = waiting.wakers.split_off(&(now, u64::MAX));
            std::mem::replace(&mut waiting.wakers, later)
        };
        due.into_values().for_each(Waker::wake);
    }

    /// Registers a waker, or replaces the one registered under the same id. Returns its id.
    pub(crate) fn register(
        &self,
        registered: Option<u64>,
        deadline: Duration,
        waker: &Waker,
    ) -> u64 {
        let mut waiting = self.lock();
        let id = registered.unwrap_or_else(|| {
            waiting.last_id += 1;
            waiting.last_id
        });
        waiting.wakers.insert((deadline, id), waker.clone());
        id
    }

    /// Forgets a waker.
    pub(crate) fn cancel(&self, deadline: Duration, id: u64) {
        self.lock().wakers.remove(&(deadline, id));
    }

    /// The earliest deadline.
    pub(crate) fn first(&self) -> Option<Duration> {
        let waiting = self.lock();
        waiting.wakers.keys().next().map(|(deadline, _)| *deadline)
    }

    /// The number of registered wakers.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.lock().wakers.len()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
