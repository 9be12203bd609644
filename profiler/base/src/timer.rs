//! Timers that follow a [`Clock`].
//!
//! Under the system's clock and under [`Clock::tokio`] a timer is tokio's. Under a manual clock it
//! fires when [`Clock::advance`] reaches its deadline, so a simulation decides the order of events.

use crate::clock::{Clock, Manual, Source};
use pin_project_lite::pin_project;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

impl Clock {
    /// Completes `span` from now.
    pub fn sleep(&self, span: Duration) -> Sleep {
        self.sleep_until(self.monotonic().saturating_add(span))
    }

    /// Completes when [`Clock::monotonic`] reaches `deadline`.
    #[expect(
        clippy::disallowed_methods,
        reason = "the only place that creates timers"
    )]
    pub fn sleep_until(&self, deadline: Duration) -> Sleep {
        let timer = match &self.0 {
            Source::System(_) | Source::Tokio(..) => {
                let span = deadline.saturating_sub(self.monotonic());
                Timer::Tokio(Box::pin(tokio::time::sleep(span)))
            }
            Source::Manual(manual) => Timer::Manual(Arc::clone(manual), None),
        };
        Sleep { deadline, timer }
    }

    /// The output of `future`, or [`Elapsed`] if it takes longer than `span`. The future is polled
    /// before the time is checked, so one that is ready immediately is never timed out.
    pub fn timeout<F: Future>(&self, span: Duration, future: F) -> Timeout<F> {
        Timeout {
            future,
            sleep: self.sleep(span),
        }
    }

    /// Ticks at once, then every `period`. After a late tick the next one is a whole `period` later,
    /// so ticks never come in a burst.
    pub fn interval(&self, period: Duration) -> Interval {
        Interval {
            clock: self.clone(),
            period,
            next: self.sleep(Duration::ZERO),
        }
    }
}

pin_project! {
    /// Returned by [`Clock::timeout`]. It holds the future once, where an `async fn` would hold it twice: as
    /// its argument and pinned.
    #[must_use = "a timeout does nothing unless it is awaited"]
    #[derive(Debug)]
    pub struct Timeout<F> {
        #[pin]
        future: F,
        sleep: Sleep,
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.future.poll(context) {
            return Poll::Ready(Ok(output));
        }
        Pin::new(this.sleep).poll(context).map(|()| Err(Elapsed))
    }
}

/// The time limit of [`Clock::timeout`] passed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("timed out")
    }
}

impl std::error::Error for Elapsed {}

/// Returned by [`Clock::sleep`]. Dropping it cancels the timer.
#[must_use = "a timer does nothing unless it is awaited"]
pub struct Sleep {
    deadline: Duration,
    timer: Timer,
}

enum Timer {
    Tokio(Pin<Box<tokio::time::Sleep>>),
    /// The clock, and the number of the registered waker.
    Manual(Arc<Manual>, Option<u64>),
}

impl Sleep {
    /// The reading of [`Clock::monotonic`] at which it completes.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let deadline = self.deadline;
        match &mut self.timer {
            Timer::Tokio(sleep) => sleep.as_mut().poll(context),
            Timer::Manual(manual, registered) => {
                // Registered before the time is read: an `advance` in between wakes the task.
                let id = manual
                    .timers
                    .register(*registered, deadline, context.waker());
                *registered = Some(id);
                if manual.monotonic() < deadline {
                    return Poll::Pending;
                }
                manual.timers.cancel(deadline, id);
                *registered = None;
                Poll::Ready(())
            }
        }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Timer::Manual(manual, Some(id)) = &self.timer {
            manual.timers.cancel(self.deadline, *id);
        }
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep")
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// Returned by [`Clock::interval`].
#[derive(Debug)]
pub struct Interval {
    clock: Clock,
    period: Duration,
    next: Sleep,
}

impl Interval {
    /// Completes at the next tick. Safe to cancel: a tick that was not awaited is not lost.
    pub async fn tick(&mut self) {
        (&mut self.next).await;
        self.reset();
    }

    /// Moves the next tick to a whole period from now.
    pub fn reset(&mut self) {
        self.next = self.clock.sleep(self.period);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Waker;

    fn manual() -> Clock {
        Clock::manual(Timestamp::EPOCH)
    }

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl std::task::Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn sleep_on_a_manual_clock_completes_when_advance_reaches_its_deadline() {
        let clock = manual();
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let mut context = Context::from_waker(&waker);
        let mut sleep = clock.sleep(Duration::from_secs(10));
        assert!(Pin::new(&mut sleep).poll(&mut context).is_pending());

        clock.advance(Duration::from_secs(9));
        assert_eq!(wakes.0.load(Ordering::Relaxed), 0);
        assert!(Pin::new(&mut sleep).poll(&mut context).is_pending());

        clock.advance(Duration::from_secs(1));
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        assert!(Pin::new(&mut sleep).poll(&mut context).is_ready());
    }

    #[test]
    fn next_deadline_is_that_of_the_earliest_timer_that_waits() {
        let clock = manual();
        assert_eq!(clock.next_deadline(), None);
        let mut context = Context::from_waker(Waker::noop());
        let [mut late, mut early] = [7, 3].map(|seconds| clock.sleep(Duration::from_secs(seconds)));
        assert!(Pin::new(&mut late).poll(&mut context).is_pending());
        assert!(Pin::new(&mut early).poll(&mut context).is_pending());
        assert_eq!(clock.next_deadline(), Some(Duration::from_secs(3)));
        drop(early);
        assert_eq!(clock.next_deadline(), Some(Duration::from_secs(7)));
    }

    #[test]
    fn dropped_sleep_leaves_no_waker_behind() {
        let clock = manual();
        let mut sleep = clock.sleep(Duration::from_secs(1));
        let mut context = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut sleep).poll(&mut context).is_pending());
        let Source::Manual(manual) = &clock.0 else {
            unreachable!("a manual clock")
        };
        assert_eq!(manual.timers.waiting(), 1);
        drop(sleep);
        assert_eq!(manual.timers.waiting(), 0);
    }

    #[tokio::test]
    async fn advance_decides_whether_a_timeout_passes() {
        let clock = manual();
        let ready = clock.timeout(Duration::ZERO, std::future::ready(7)).await;
        assert_eq!(ready, Ok(7));

        let (mover, limited) = (clock.clone(), clock.clone());
        let waiting = limited.timeout(Duration::from_hours(1), std::future::pending::<()>());
        let (answer, ()) = tokio::join!(waiting, async move {
            mover.advance(Duration::from_hours(1));
        });
        assert_eq!(answer, Err(Elapsed));
    }

    #[tokio::test(start_paused = true)]
    async fn interval_never_ticks_in_a_burst() {
        let clock = Clock::tokio(Timestamp::EPOCH);
        let mut interval = clock.interval(Duration::from_secs(10));
        interval.tick().await;
        clock.sleep(Duration::from_secs(35)).await;
        interval.tick().await;
        assert_eq!(clock.monotonic(), Duration::from_secs(35));
        interval.tick().await;
        assert_eq!(clock.monotonic(), Duration::from_secs(45));
    }
}
