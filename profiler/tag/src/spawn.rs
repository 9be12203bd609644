//! Tokio tasks that inherit the spawning thread's tag.

use crate::current::current;
use crate::task::counted::Counted;
use std::future::Future;
use tokio::task::JoinHandle;

/// Like [`tokio::spawn`], with the current tag. The task is counted for that tag.
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(current().task(future))
}

/// Like [`tokio::task::spawn_blocking`], with the current tag. The task is counted for that tag.
#[track_caller]
pub fn spawn_blocking<F, R>(work: F) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    let tag = current();
    let counted = Counted::new(tag);
    tokio::task::spawn_blocking(move || {
        let _counted = counted;
        let _guard = tag.enter();
        work()
    })
}
