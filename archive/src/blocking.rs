//! Runs blocking work outside of the async threads, and reports its panics as errors.

use crate::error::{Error, ErrorKind, Result};
use std::any::Any;

/// A blocking task panicked.
#[derive(Debug, thiserror::Error)]
#[error("panic: {0}")]
pub(crate) struct Panicked(String);

/// The message of a panic.
fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("the payload is not text")
        .to_owned()
}

/// Runs `work`, which `task` names, on a blocking thread. A panic is logged and becomes an error
/// whose source is [`Panicked`].
pub(crate) async fn blocking<T: Send + 'static>(
    task: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    #[cfg(test)]
    let work = failpoint::wrap(task, work);
    match davy_tag::spawn_blocking(work).await {
        Ok(done) => Ok(done),
        Err(error) => match error.try_into_panic() {
            Ok(payload) => {
                let panic = Panicked(message(&*payload));
                tracing::error!(task, panic = panic.0, "blocking task panicked");
                Err(Error::caused(
                    ErrorKind::Internal,
                    format!("cannot {task} because of a bug in the archive; report it"),
                    panic,
                ))
            }
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
}
