//! The tasks that one run of a member has spawned.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::task::{AbortHandle, JoinHandle};

/// Knows what is alive, so that nothing outlives the run unseen.
#[derive(Debug, Default)]
pub(crate) struct Tasks(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    /// `None` between the spawning and the moment at which its handle is known.
    live: HashMap<u64, Option<AbortHandle>>,
    closed: bool,
}

/// Lives inside a task, and strikes it off when the task has ended in whatever way.
pub(crate) struct Alive {
    tasks: Arc<Tasks>,
    id: u64,
}

impl Tasks {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Spawns by `spawn`, which must move what it is handed into the task.
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
        // Not under the lock: a runtime that shuts down drops the task right here.
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

    /// How many are alive.
    #[cfg(test)]
    pub(crate) fn alive(&self) -> usize {
        self.lock().live.len()
    }

    /// Cancels what is alive, and whatever is spawned from now on; gives how many were alive.
    ///
    /// Blocking work that has begun can't be cancelled; it is counted all the same.
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
    async fn ended_tasks_are_struck_off_and_the_rest_is_cancelled_and_counted() {
        let tasks = Arc::new(Tasks::default());
        spawn(&tasks, async {}).await.expect("it ends");
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
    async fn what_is_spawned_after_the_end_is_cancelled() {
        let tasks = Arc::new(Tasks::default());
        tasks.cancel();
        let late = spawn(&tasks, std::future::pending());
        assert!(late.await.expect_err("it was cancelled").is_cancelled());
        assert_eq!(tasks.alive(), 0);
    }
}
