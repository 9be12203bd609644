//! Files that several parts of a scan read at the same time.

use super::fault::ReadError;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{Shared, WeakShared};
use rustc_hash::FxHashMap;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

/// The read of a file.
pub(super) type Load = Pin<Box<dyn Future<Output = Result<Bytes, ReadError>> + Send>>;

/// The reads that are in progress, by key.
#[derive(Default)]
pub(super) struct Loads(Mutex<FxHashMap<String, WeakShared<Load>>>);

impl Loads {
    /// The read of this key that is in progress, or `load`. All who wait for it get its result, an error included. Each of
    /// them drives it, so that none waits for another one that is not polled: a scan stops polling the parts that it reads
    /// ahead when it has enough of them. It is cancelled when nobody waits for it.
    pub(super) fn join(&self, key: &str, load: impl FnOnce() -> Load) -> Shared<Load> {
        let mut loads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(load) = loads.get(key).and_then(WeakShared::upgrade) {
            return load;
        }
        loads.retain(|_, load| load.upgrade().is_some());
        let load = load().shared();
        if let Some(weak) = load.downgrade() {
            loads.insert(key.to_owned(), weak);
        }
        load
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use std::cell::Cell;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn all_who_wait_get_the_result_of_one_read_even_if_the_first_is_not_polled() {
        let loads = Loads::default();
        let (answer, answered) = oneshot::channel();
        let mut first = loads.join("k", || {
            Box::pin(async { Ok(answered.await.expect("an answer")) })
        });
        assert!((&mut first).now_or_never().is_none(), "it waits");
        let second = loads.join("k", || panic!("read twice"));
        let other = loads.join("other", || Box::pin(async { Err(ReadError::Gone) }));
        answer
            .send(Bytes::from_static(b"bytes"))
            .expect("waited for");
        assert_eq!(second.await.expect("read"), "bytes");
        assert!(matches!(other.await, Err(ReadError::Gone)));
        assert_eq!(first.await.expect("read"), "bytes");
    }

    #[tokio::test]
    async fn error_is_that_of_all_and_the_next_read_starts_again() {
        let loads = Loads::default();
        let reads = Cell::new(0);
        let join = || {
            loads.join("k", || {
                reads.set(reads.get() + 1);
                Box::pin(async { Err(Error::corrupt("no").into()) })
            })
        };
        let (first, second) = (join(), join());
        assert!(first.await.is_err());
        assert!(second.await.is_err());
        assert_eq!(reads.get(), 1);
        assert!(join().await.is_err());
        assert_eq!(reads.get(), 2);
    }

    #[tokio::test]
    async fn read_for_which_nobody_waits_is_cancelled() {
        let loads = Loads::default();
        let (answer, answered) = oneshot::channel::<Bytes>();
        let waits = loads.join("k", || {
            Box::pin(async { Ok(answered.await.expect("an answer")) })
        });
        drop(waits);
        assert!(answer.is_closed());
        let again = loads.join("k", || Box::pin(async { Ok(Bytes::new()) }));
        assert!(again.await.is_ok());
    }
}
