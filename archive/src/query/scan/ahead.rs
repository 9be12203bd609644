//! Reads on while what was read is used.

use futures_util::stream::{Fuse, Stream, StreamExt};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

/// A stream that goes on while its items are used. Items that come early are kept, so something else must limit their number,
/// such as the memory that they share.
pub(super) struct Ahead<S: Stream> {
    stream: Pin<Box<Fuse<S>>>,
    early: VecDeque<S::Item>,
}

impl<S: Stream> Ahead<S> {
    pub(super) fn of(stream: S) -> Self {
        Self {
            stream: Box::pin(stream.fuse()),
            early: VecDeque::new(),
        }
    }

    /// The next item.
    pub(super) async fn next(&mut self) -> Option<S::Item> {
        match self.early.pop_front() {
            Some(early) => Some(early),
            None => self.stream.next().await,
        }
    }

    /// Awaits `work`, and reads on meanwhile.
    pub(super) async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|context: &mut Context<'_>| {
            if let Poll::Ready(done) = work.as_mut().poll(context) {
                return Poll::Ready(done);
            }
            while let Poll::Ready(Some(item)) = self.stream.as_mut().poll_next(context) {
                self.early.push_back(item);
            }
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use std::cell::RefCell;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn stream_goes_on_during_work_and_no_item_is_lost() {
        let read = RefCell::new(Vec::new());
        let numbers = stream::iter(0..4).then(async |number| {
            tokio::task::yield_now().await;
            read.borrow_mut().push(number);
            number
        });
        let mut ahead = Ahead::of(numbers);
        assert_eq!(ahead.next().await, Some(0));
        // The work ends when the third item was read.
        let work = poll_fn(|context| {
            if read.borrow().len() == 3 {
                return Poll::Ready("done");
            }
            context.waker().wake_by_ref();
            Poll::Pending
        });
        assert_eq!(ahead.during(work).await, "done");
        assert_eq!(*read.borrow(), [0, 1, 2]);
        for number in 1..4 {
            assert_eq!(ahead.next().await, Some(number));
        }
        assert_eq!(ahead.next().await, None);
        assert_eq!(ahead.during(async { 7 }).await, 7);
    }

    #[tokio::test]
    async fn items_that_share_memory_with_the_work_come_after_it() {
        // As parts of a scan wait for the memory of the one that is shown.
        let (end, ended) = oneshot::channel();
        let waiting = stream::once(async { ended.await.expect("the end") });
        let mut ahead = Ahead::of(waiting);
        ahead.during(tokio::task::yield_now()).await;
        end.send(5).expect("a receiver");
        assert_eq!(ahead.next().await, Some(5));
    }
}
