//! The trace and the span that the calling thread works for.
//!
//! Tags are few and live for ever; spans are many and short. So a span is not a tag: its ids are three numbers beside the
//! tag, which samples carry as the labels `trace_id` and `span_id`.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering, compiler_fence};

/// Ids of a trace and of a span in it, as OpenTelemetry has them; 0 is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanIds {
    /// Id of the trace.
    pub trace: u128,
    /// Id of the span.
    pub span: u64,
}

/// The words of the current ids. A signal handler may interrupt a change of them, so the first one says whether the
/// others are valid.
struct Current {
    is_set: AtomicU64,
    trace: [AtomicU64; 2],
    span: AtomicU64,
}

thread_local! {
    /// Const-initialised and without `Drop`, so that a signal handler may read it at any point of a thread's life.
    static CURRENT: Current = const {
        Current {
            is_set: AtomicU64::new(0),
            trace: [const { AtomicU64::new(0) }; 2],
            span: AtomicU64::new(0),
        }
    };
}

impl SpanIds {
    /// The ids of the span that the calling thread works for; zeros if there is none. May be called from a signal handler.
    ///
    /// Not inlined, so that its accesses to thread-locals are compiled by the profile of this package.
    #[inline(never)]
    pub fn current() -> Self {
        CURRENT.with(|current| {
            if current.is_set.load(Ordering::Relaxed) == 0 {
                return Self::default();
            }
            let [high, low] = [0, 1].map(|at: usize| current.trace[at].load(Ordering::Relaxed));
            Self {
                trace: u128::from(high) << 64 | u128::from(low),
                span: current.span.load(Ordering::Relaxed),
            }
        })
    }

    /// Makes this the span of the calling thread. [`SpanIds::default`] ends a span.
    #[inline]
    pub fn set_current(self) {
        CURRENT.with(|current| {
            // Only a handler on this thread reads them, so the order of the program is enough.
            current.is_set.store(0, Ordering::Relaxed);
            compiler_fence(Ordering::SeqCst);
            current.trace[0].store((self.trace >> 64) as u64, Ordering::Relaxed);
            current.trace[1].store(self.trace as u64, Ordering::Relaxed);
            current.span.store(self.span, Ordering::Relaxed);
            compiler_fence(Ordering::SeqCst);
            let is_set = self != Self::default();
            current.is_set.store(u64::from(is_set), Ordering::Relaxed);
        });
    }

    /// Makes this the span of the calling thread until the guard is dropped, which restores the one before.
    pub fn enter(self) -> SpanGuard {
        let before = Self::current();
        self.set_current();
        SpanGuard {
            before,
            not_send: PhantomData,
        }
    }
}

/// Ends a span of the calling thread when it is dropped. Guards must be dropped in reverse order of their creation.
#[derive(Debug)]
#[must_use = "the span lasts only as long as its guard"]
pub struct SpanGuard {
    before: SpanIds,
    not_send: PhantomData<*const ()>,
}

impl Drop for SpanGuard {
    fn drop(&mut self) {
        self.before.set_current();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guards_nest_and_threads_have_spans_of_their_own() {
        let ids = |span| SpanIds {
            trace: u128::MAX - 7,
            span,
        };
        let outer = ids(1).enter();
        let inner = ids(2).enter();
        assert_eq!(SpanIds::current(), ids(2));
        let other = std::thread::spawn(SpanIds::current).join();
        assert_eq!(other.expect("thread ended"), SpanIds::default());
        drop(inner);
        assert_eq!(SpanIds::current(), ids(1));
        drop(outer);
        assert_eq!(SpanIds::current(), SpanIds::default());
    }
}
