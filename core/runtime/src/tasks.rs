//! The tasks that one run of a member spawned.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::task::{AbortHandle, JoinHandle};

/// Tracks live tasks, so that those that outlive the run are found.
#[derive(Debug, Default)]
pub(crate) struct Tasks(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    /// `None` until the handle of the spawned task is known.
    live: HashMap<u64, Option<AbortHandle>>,
    closed: bool,
}

/// Moved into a task; removes it from the live tasks when it is dropped, however the task ends.
pub(crate) struct Alive {
    tasks: Arc<Tasks>,
    id: u64,
}

impl Tasks {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `spawn`, which must move its argument into the task that it spawns.
    pub(crate) fn spawn<T>(
        self: &Arc<Self>,
        spawn: impl FnOnce(Alive) -> JoinHandle<T>,
    ) -> JoinHandle<T> {
        let id = {
            let mut inner = self.lock();
            inner.next += 1;
            let id = inner.next;
            inner.live.insert(id, None);
            id
        };
        // Without the lock, because a runtime that shuts down drops the task here.
        let task = spawn(Alive {
            tasks: self.clone(),
            id,
        });
        let mut inner = self.lock();
        if inner.closed {
            inner.live.remove(&id);
            task.abort();
        } else if let Some(handle) = inner.live.get_mut(&id) {
            *handle = Some(task.abort_handle());
        }
        task
    }

    /// The number of live tasks.
    #[cfg(test)]
    pub(crate) fn alive(&self) -> usize {
        self.lock().live.len()
    }

    /// Cancels all live tasks and those spawned later; returns how many were alive.
    ///
    /// Blocking work that has begun is counted, although it cannot be cancelled.
    pub(crate) fn cancel(&self) -> usize {
        let live = {
            let mut inner = self.lock();
            inner.closed = true;
            std::mem::take(&mut inner.live)
        };
        for handle in live.values().flatten() {
            handle.abort();
        }
        live.len()
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.tasks.lock().live.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spawn(
        tasks: &Arc<Tasks>,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> JoinHandle<()> {
        tasks.spawn(|alive| {
            tokio::spawn(async move {
                let _alive = alive;
                future.await;
            })
        })
    }

    #[tokio::test]
    async fn cancel_counts_only_tasks_that_have_not_ended() {
        let tasks = Arc::new(Tasks::default());
        spawn(&tasks, async {}).await.expect("no panic");
        let left = [
            spawn(&tasks, std::future::pending()),
            spawn(&tasks, std::future::pending()),
        ];
        assert_eq!(tasks.alive(), 2);
        assert_eq!(tasks.cancel(), 2);
        for task in left {
            assert!(task.await.expect_err("it was cancelled").is_cancelled());
        }
    }

    #[tokio::test]
    async fn tasks_spawned_after_cancel_are_cancelled() {
        let tasks = Arc::new(Tasks::default());
        tasks.cancel();
        let late = spawn(&tasks, std::future::pending());
        assert!(late.await.expect_err("it was cancelled").is_cancelled());
        assert_eq!(tasks.alive(), 0);
    }
}
