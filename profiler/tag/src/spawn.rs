//! Tokio tasks that inherit the spawning thread's tag.

use crate::current::current;
use crate::task::counted::Counted;
use std::future::Future;
use tokio::task::JoinHandle;

/// Attributes what the threads of a tokio runtime do between tasks to the task that follows
/// ([`thread_parks`](crate::thread_parks)). Replaces other hooks of `on_thread_park` and `on_thread_unpark`.
pub fn attribute_parking(builder: &mut tokio::runtime::Builder) -> &mut tokio::runtime::Builder {
    builder
        .on_thread_park(crate::thread_parks)
        .on_thread_unpark(crate::thread_unparks)
}

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
