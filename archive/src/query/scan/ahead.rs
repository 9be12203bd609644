//! Reads the next items of a stream while the current one is processed.

use futures_util::stream::{Fuse, Stream, StreamExt};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Number of items that are kept until they are wanted.
const KEPT: usize = 8;

/// A stream whose next items are read while the current one is processed.
pub(super) struct ReadAhead<S: Stream> {
    stream: Pin<Box<Fuse<S>>>,
    kept: VecDeque<S::Item>,
}

impl<S: Stream> ReadAhead<S> {
    pub(super) fn of(stream: S) -> Self {
        Self {
            stream: Box::pin(stream.fuse()),
            kept: VecDeque::new(),
        }
    }

    /// The next item.
    pub(super) async fn next(&mut self) -> Option<S::Item> {
        match self.kept.pop_front() {
            Some(kept) => Some(kept),
            None => self.stream.next().await,
        }
    }

    /// Awaits `work`, and reads the next items meanwhile.
    pub(super) fn during<'a, T>(
        &'a mut self,
        work: impl Future<Output = T> + 'a,
    ) -> impl Future<Output = T> + 'a {
        // Boxed, because it is a large future.
        let mut work = Box::pin(work);
        poll_fn(move |context: &mut Context<'_>| {
            if let Poll::Ready(done) = work.as_mut().poll(context) {
                return Poll::Ready(done);
            }
            while self.kept.len() < KEPT
                && let Poll::Ready(Some(item)) = self.stream.as_mut().poll_next(context)
            {
                self.kept.push_back(item);
            }
            Poll::Pending
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use std::cell::RefCell;
    use tokio::sync::oneshot;

    /// Ends when a list has this many items.
    async fn until<T>(list: &RefCell<Vec<T>>, length: usize) {
        poll_fn(|context| {
            if list.borrow().len() == length {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    #[tokio::test]
    async fn next_items_are_read_during_work_and_none_is_lost() {
        let read = RefCell::new(Vec::new());
        let numbers = stream::iter(0..4).then(async |number| {
            tokio::task::yield_now().await;
            read.borrow_mut().push(number);
            number
        });
        let mut ahead = ReadAhead::of(numbers);
        assert_eq!(ahead.next().await, Some(0));
        ahead.during(until(&read, 3)).await;
        assert_eq!(*read.borrow(), [0, 1, 2]);
        for number in 1..4 {
            assert_eq!(ahead.next().await, Some(number));
        }
        assert_eq!(ahead.next().await, None);
        assert_eq!(ahead.during(async { 7 }).await, 7);
    }

    #[tokio::test]
    async fn number_of_items_that_are_read_ahead_is_limited() {
        let read = RefCell::new(Vec::new());
        let numbers = stream::iter(0..100).inspect(|number| read.borrow_mut().push(*number));
        let mut ahead = ReadAhead::of(numbers);
        assert_eq!(ahead.next().await, Some(0));
        for _ in 0..3 {
            ahead.during(tokio::task::yield_now()).await;
        }
        assert_eq!(read.borrow().len(), 1 + KEPT);
        let all = [1, 2, 3];
        for number in all {
            assert_eq!(ahead.next().await, Some(number));
        }
        ahead.during(tokio::task::yield_now()).await;
        assert_eq!(read.borrow().len(), 1 + KEPT + all.len());
    }

    #[tokio::test]
    async fn item_that_waits_for_the_work_is_read_after_it() {
        // As parts of a scan wait for the memory of the one that is shown.
        let (end, ended) = oneshot::channel();
        let waiting = stream::once(async { ended.await.expect("the end") });
        let mut ahead = ReadAhead::of(waiting);
        ahead.during(tokio::task::yield_now()).await;
        end.send(5).expect("a receiver");
        assert_eq!(ahead.next().await, Some(5));
    }
}
