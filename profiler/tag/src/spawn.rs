//! Tokio tasks that inherit their spawner's tag.

use crate::current;
use crate::task::Counted;
use std::future::Future;
use tokio::task::JoinHandle;

/// [`tokio::spawn`] under the tag of the spawner, counted as a task of it.
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(current().task(future))
}

/// [`tokio::task::spawn_blocking`] under the tag of the spawner, counted as a task of it.
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
