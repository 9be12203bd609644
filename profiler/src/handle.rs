//! What the rest of a program asks a running profiler.

use crate::aggregate::Filter;
use crate::assemble::assemble;
use crate::drain::{Asker, Collected, Command, Desk, Sort};
use crate::push::{Archiver, Outbox};
use crate::stats::{Dropped, LiveHeap, Stats};
use crate::symbol::Symbols;
use crate::{Error, heap};
use davy_profile::Profile;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

/// The longest profile that may be asked for.
pub const PROFILE_SPAN_MAX: Duration = Duration::from_mins(10);

/// The highest rate of CPU samples. Above the kernel's own tick samples weigh more rather than
/// come more often.
pub const HZ_MAX: u32 = 1_000;

/// A running profiler, for asking and for changing it. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(crate) desk: Arc<Desk>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) symbols: Arc<Mutex<Symbols>>,
}

impl Handle {
    /// Pushes windows to this archiver too, from now on; windows that were cut before are kept
    /// for it as far as their bound allows. With several, the next is tried when one fails.
    pub fn push_to(&self, url: &str) -> Result<(), Error> {
        self.outbox.add_archiver(Archiver::parse(url)?);
        Ok(())
    }

    /// Changes the rate of CPU samples, at once; 0 switches them off.
    pub fn set_hz(&self, hz: u32) -> Result<(), Error> {
        check_hz(hz, 0)?;
        self.desk.ask(Command::SetHz(hz))
    }

    /// Changes how many bytes lie between samples of the heap on average, at once: a power of two
    /// from 4 KiB to 1 GiB. What lives keeps the weight that it was sampled with.
    pub fn set_heap_rate(&self, bytes: u64) -> Result<(), Error> {
        if !bytes.is_power_of_two() || !(1 << 12..=1 << 30).contains(&bytes) {
            return Err(Error::Setting {
                name: "the rate of heap samples",
                value: format!("{bytes} bytes"),
                allowed: "a power of two from 4096 to 1073741824",
            });
        }
        heap::set_rate(bytes.trailing_zeros() as u8).map_err(Error::HeapOff)
    }

    /// Cuts windows of one second rather than longer ones for a span from now on: somebody watches.
    /// An archiver asks for the same by the header `Davy-Watch-Seconds` of its answer to a push.
    pub fn watch(&self, span: Duration) -> Result<(), Error> {
        self.desk.ask(Command::Watch(span.min(PROFILE_SPAN_MAX)))
    }

    /// Takes a CPU profile for a span, beside the windows. Blocks the calling thread for that
    /// long, and for the time that the names of its functions take.
    pub fn cpu_profile(&self, span: Duration, filter: &Filter) -> Result<Profile, Error> {
        self.over(Sort::Cpu, span, filter)
    }

    /// As [`Handle::cpu_profile`], of elapsed time: for each thread, who had it, and whether it
    /// ran, was ready to run, or waited. Counted, not sampled.
    pub fn wall_profile(&self, span: Duration, filter: &Filter) -> Result<Profile, Error> {
        self.over(Sort::Wall, span, filter)
    }

    /// The heap now: what lives, and all that was allocated since the profiler began, as far as
    /// the filter keeps it. Blocks until the names of its functions are known.
    pub fn heap_profile(&self, filter: &Filter) -> Result<Profile, Error> {
        self.now(Sort::Heap, filter)
    }

    /// What the heap grew by since so long ago; where it shrank, values are negative. Windows that
    /// ended are known, recent ones better than old ones; the profile tells the exact span.
    pub fn heap_growth(&self, ago: Duration, filter: &Filter) -> Result<Profile, Error> {
        self.now(Sort::HeapSince(ago), filter)
    }

    /// The tasks that live ([`davy_tag::Task`]), and where each one waits.
    pub fn tasks_profile(&self, filter: &Filter) -> Result<Profile, Error> {
        self.now(Sort::Tasks, filter)
    }

    /// The threads that live, and what each one did since it began.
    pub fn threads_profile(&self, filter: &Filter) -> Result<Profile, Error> {
        self.now(Sort::Threads, filter)
    }

    fn over(&self, sort: Sort, span: Duration, filter: &Filter) -> Result<Profile, Error> {
        let (sender, receiver) = mpsc::channel();
        let waiting = Arc::new(());
        let asker = Arc::downgrade(&waiting);
        self.collect(sort, (span, 0), filter, asker, move |collected| {
            let _ = sender.send(collected);
        })?;
        let collected = receiver.recv().map_err(|_| Error::Stopped)??;
        Ok(self.name(&collected))
    }

    fn now(&self, sort: Sort, filter: &Filter) -> Result<Profile, Error> {
        let (sender, receiver) = mpsc::channel();
        self.collect_now(sort, filter, move |collected| {
            let _ = sender.send(collected);
        })?;
        let collected = receiver.recv().map_err(|_| Error::Stopped)??;
        Ok(self.name(&collected))
    }

    /// Hands what happens in a span to `reply`, on the drainer's thread; CPU time at a rate of at
    /// least `hz`. A profiler that stops drops `reply` without a call, and so may one whose asker
    /// is gone.
    pub(crate) fn collect(
        &self,
        sort: Sort,
        (span, hz): (Duration, u32),
        filter: &Filter,
        asker: Asker,
        reply: impl FnOnce(Result<Collected, Error>) + Send + 'static,
    ) -> Result<(), Error> {
        if span.is_zero() || span > PROFILE_SPAN_MAX {
            return Err(Error::Setting {
                name: "the span of a profile",
                value: format!("{} s", span.as_secs_f64()),
                allowed: "above 0 and at most 600 s",
            });
        }
        check_hz(hz, 0)?;
        self.desk.ask(Command::Span {
            sort,
            span,
            hz,
            filter: filter.clone(),
            asker,
            reply: Box::new(reply),
        })
    }

    /// Hands what is now to `reply`, on the drainer's thread.
    pub(crate) fn collect_now(
        &self,
        sort: Sort,
        filter: &Filter,
        reply: impl FnOnce(Result<Collected, Error>) + Send + 'static,
    ) -> Result<(), Error> {
        self.desk.ask(Command::Now {
            sort,
            filter: filter.clone(),
            reply: Box::new(reply),
        })
    }

    /// Finds the names of what was collected.
    pub(crate) fn name(&self, collected: &Collected) -> Profile {
        let mut symbols = self.symbols.lock().unwrap_or_else(PoisonError::into_inner);
        symbols.resolve(&collected.modules, &collected.aggregate.addresses);
        assemble(
            &collected.aggregate,
            collected.taken,
            &collected.modules,
            &symbols,
        )
    }

    /// What lives in the heap by member and operation, in some microseconds: for counters that are
    /// read often.
    pub fn live_heap(&self) -> LiveHeap {
        heap::live_heap()
    }

    /// What the profiler did, dropped and cost so far; at most a tick old.
    pub fn stats(&self) -> Stats {
        let drain = self.desk.counts();
        let push = self.outbox.counts();
        let engine = drain.engine;
        Stats {
            samples: engine.samples,
            dropped: Dropped {
                ring_full: engine.ring_full,
                stray_signals: engine.strays,
                window_full_nanos: drain.lost_nanos,
                windows_overflow: push.overflowed,
                windows_refused: push.refused,
                tags: davy_tag::overflowed(),
            },
            stacks_cut: engine.cut,
            overruns: engine.overruns,
            threads: engine.threads,
            threads_unsampled: engine.unsampled_threads,
            unsampled_because: drain.refusal.to_string(),
            rings: engine.slots,
            handler_seconds: engine.handler_nanos as f64 / 1e9,
            thread_seconds: (drain.cpu_nanos + push.cpu_nanos) as f64 / 1e9,
            windows_pushed: push.pushed,
            windows_pending: push.pending,
            spool_bytes: push.bytes,
            push_failures: push.failures,
            push_error: self.outbox.last_failure(),
            ack_delay: push.ack_delay,
            symbol_children: crate::symbol::children(),
            heap: heap::stats(),
        }
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

pub(crate) fn check_hz(hz: u32, min: u32) -> Result<(), Error> {
    if (min..=HZ_MAX).contains(&hz) {
        return Ok(());
    }
    Err(Error::Setting {
        name: "hz",
        value: hz.to_string(),
        allowed: match min {
            0 => "at most 1000",
            _ => "at least 1 and at most 1000",
        },
    })
}
