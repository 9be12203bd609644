//! Runs blocking work outside of the async threads, and reports its panics as errors. Outside of a tokio runtime, which
//! is where the simulator runs the archive, the work runs where it is awaited.

use crate::error::{Error, ErrorKind, Result};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tokio::runtime::Handle;

/// A blocking task panicked.
#[derive(Debug, thiserror::Error)]
#[error("panic: {0}")]
pub(crate) struct Panicked(String);

/// The message of a panic.
fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message (the panic payload is not a string)")
        .to_owned()
}

/// The error of a task that panicked.
fn panicked(task: &'static str, payload: Box<dyn Any + Send>) -> Error {
    let panic = Panicked(message(&*payload));
    tracing::error!(task, panic = panic.0, "blocking task panicked");
    Error::caused(
        ErrorKind::Internal,
        format!("cannot {task} because of a bug in the archive; report it"),
        panic,
    )
}

/// Runs `work`, which `task` names, on a blocking thread. A panic is logged and becomes an error
/// whose source is [`Panicked`].
pub(crate) async fn blocking<T: Send + 'static>(
    task: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    #[cfg(test)]
    let work = failpoint::wrap(task, work);
    if Handle::try_current().is_err() {
        // Others run first, as they may while a thread does the work.
        tokio::task::yield_now().await;
        let done = catch_unwind(AssertUnwindSafe(work));
        return done.map_err(|payload| panicked(task, payload));
    }
    match davy_tag::spawn_blocking(work).await {
        Ok(done) => Ok(done),
        Err(error) => match error.try_into_panic() {
            Ok(payload) => Err(panicked(task, payload)),
            Err(error) => Err(Error::caused(
                ErrorKind::Unavailable,
                format!("cannot {task} because the process is stopping; retry"),
                error,
            )),
        },
    }
}

/// Panics that a test plants in blocking tasks.
#[cfg(test)]
pub(crate) mod failpoint {
    use std::cell::Cell;

    thread_local! {
        static PLANTED: Cell<Option<(&'static str, usize)>> = const { Cell::new(None) };
    }

    /// Makes the `nth` (from 0) task of this name panic. The test must run on one async thread.
    pub(crate) fn plant(task: &'static str, nth: usize) {
        PLANTED.set(Some((task, nth)));
    }

    pub(super) fn wrap<T>(task: &'static str, work: impl FnOnce() -> T) -> impl FnOnce() -> T {
        let fails = match PLANTED.get() {
            Some((name, 0)) if name == task => {
                PLANTED.set(None);
                true
            }
            Some((name, nth)) if name == task => {
                PLANTED.set(Some((name, nth - 1)));
                false
            }
            _ => false,
        };
        move || {
            assert!(!fails, "planted in {task}");
            work()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    #[tokio::test]
    async fn panic_becomes_an_error_that_keeps_the_payload() {
        let panics = || -> u8 { panic!("index {} is gone", 7) };
        let error = blocking("count", panics).await.expect_err("a panic");
        assert_eq!(error.kind, ErrorKind::Internal);
        assert_eq!(
            error.to_string(),
            "cannot count because of a bug in the archive; report it: panic: index 7 is gone"
        );
        assert!(
            error
                .source()
                .is_some_and(<dyn std::error::Error>::is::<Panicked>)
        );
    }

    #[test]
    fn work_outside_of_a_runtime_runs_where_it_is_awaited() {
        let caller = std::thread::current().id();
        let mut work = std::pin::pin!(blocking("count", || std::thread::current().id()));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(work.as_mut().poll(&mut context).is_pending());
        let std::task::Poll::Ready(Ok(thread)) = work.as_mut().poll(&mut context) else {
            panic!("not done after others could run");
        };
        assert_eq!(thread, caller);
        let mut panics = std::pin::pin!(blocking("count", || -> u8 { panic!("gone") }));
        assert!(panics.as_mut().poll(&mut context).is_pending());
        let std::task::Poll::Ready(Err(error)) = panics.as_mut().poll(&mut context) else {
            panic!("no error");
        };
        assert!(error.to_string().ends_with("panic: gone"), "{error}");
    }
}
