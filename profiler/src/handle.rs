//! Queries and changes of a running profiler.

use crate::aggregate::Filter;
use crate::assemble::assemble;
use crate::drain::{Collected, Command, Mailbox, ProfileSource, Waiter};
use crate::push::{Archiver, Outbox};
use crate::requests::RequestCounts;
use crate::sampler::HZ_MAX;
use crate::stats::{Dropped, LiveHeap, Stats};
use crate::symbols::Symbols;
use crate::{Error, heap};
use davy_profile::Profile;
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// Maximum span of a requested profile.
pub const PROFILE_SPAN_MAX: Duration = Duration::from_mins(10);

/// Queries and changes a running profiler. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) symbols: Arc<Symbols>,
}

impl Handle {
    /// Adds an archiver to push to. It also gets the windows that are still waiting. If there are several
    /// archivers, the next one is tried when a push fails.
    pub fn push_to(&self, url: &str) -> Result<(), Error> {
        self.outbox.add_archiver(Archiver::parse(url)?);
        Ok(())
    }

    /// Changes the rate of CPU samples with immediate effect; 0 turns them off.
    pub fn set_hz(&self, hz: u32) -> Result<(), Error> {
        check_hz(hz, 0)?;
        self.mailbox.send(Command::SetHz(hz))
    }

    /// Changes the mean distance between sampled bytes of the heap: a power of two from 4 KiB to 1 GiB. Live
    /// samples keep their weight.
    pub fn set_heap_rate(&self, bytes: u64) -> Result<(), Error> {
        if !bytes.is_power_of_two() || !(1 << 12..=1 << 30).contains(&bytes) {
            return Err(Error::Setting {
                name: "heap sampling rate",
                value: format!("{bytes} B"),
                allowed: "a power of two from 4096 B (4 KiB) to 1073741824 B (1 GiB)",
            });
        }
        heap::set_rate(bytes.trailing_zeros() as u8).map_err(Error::HeapOff)
    }

    /// Adds the requests of the program to each window, as a profile named `requests` with the values `requests`, `errors`
    /// and `duration`, by the duration's bucket. `source` reads what was counted since the start of the process, by tag; it
    /// is called at the end of each window, and must not block.
    pub fn count_requests(
        &self,
        source: impl Fn() -> Vec<RequestCounts> + Send + Sync + 'static,
    ) -> Result<(), Error> {
        self.mailbox.send(Command::CountRequests(Arc::new(source)))
    }

    /// Makes windows one second long for a span from now on, for a live view. An archiver requests the
    /// same by the header `Davy-Watch-Seconds` in its response to a push.
    pub fn watch(&self, span: Duration) -> Result<(), Error> {
        self.mailbox
            .send(Command::Watch(span.min(PROFILE_SPAN_MAX)))
    }

    /// Takes a CPU profile over a span, independent of the windows. Blocks the calling thread for that time
    /// and until the names are resolved.
    pub fn cpu_profile(&self, span: Duration, filter: &Filter) -> Result<Profile, Error> {
        self.over(ProfileSource::Cpu, span, filter)
    }

    /// Takes a profile of elapsed time over a span: for each thread, by which tag it was used and whether it
    /// was running, runnable or waiting. Measured, not sampled. Blocks like [`Handle::cpu_profile`].
    pub fn wall_profile(&self, span: Duration, filter: &Filter) -> Result<Profile, Error> {
        self.over(ProfileSource::Wall, span, filter)
    }

    /// The current heap: live memory, and everything allocated since the profiler was started. Blocks until
    /// the names are resolved.
    pub fn heap_profile(&self, filter: &Filter) -> Result<Profile, Error> {
        self.now(ProfileSource::Heap, filter)
    }

    /// The growth of the heap since a time in the past; values are negative where it shrank. Readings are
    /// taken at the end of windows and kept for hours, the older the sparser; the profile has the exact span.
    pub fn heap_growth(&self, ago: Duration, filter: &Filter) -> Result<Profile, Error> {
        self.now(ProfileSource::HeapSince(ago), filter)
    }

    /// The live tasks ([`davy_tag::Task`]), and where each one waits.
    pub fn tasks_profile(&self, filter: &Filter) -> Result<Profile, Error> {
        self.now(ProfileSource::Tasks, filter)
    }

    /// The live threads, and the time that each has spent running, runnable and waiting.
    pub fn threads_profile(&self, filter: &Filter) -> Result<Profile, Error> {
        self.now(ProfileSource::Threads, filter)
    }

    fn over(
        &self,
        source: ProfileSource,
        span: Duration,
        filter: &Filter,
    ) -> Result<Profile, Error> {
        let (sender, receiver) = mpsc::channel();
        let waiting = Arc::new(());
        let waiter = Arc::downgrade(&waiting);
        self.collect(source, (span, 0), filter, waiter, move |collected| {
            let _ = sender.send(collected);
        })?;
        let collected = receiver.recv().map_err(|_| Error::Stopped)??;
        Ok(self.name(&collected))
    }

    fn now(&self, source: ProfileSource, filter: &Filter) -> Result<Profile, Error> {
        let (sender, receiver) = mpsc::channel();
        self.collect_now(source, filter, move |collected| {
            let _ = sender.send(collected);
        })?;
        let collected = receiver.recv().map_err(|_| Error::Stopped)??;
        Ok(self.name(&collected))
    }

    /// Collects a profile over a span, CPU time at a rate of at least `hz`, and passes it to `reply` on the
    /// drainer's thread. If the profiler stops, `reply` is dropped without a call; the same may happen if
    /// the waiter is gone.
    pub(crate) fn collect(
        &self,
        source: ProfileSource,
        (span, hz): (Duration, u32),
        filter: &Filter,
        waiter: Waiter,
        reply: impl FnOnce(Result<Collected, Error>) + Send + 'static,
    ) -> Result<(), Error> {
        if span.is_zero() || span > PROFILE_SPAN_MAX {
            return Err(Error::Setting {
                name: "profile span",
                value: format!("{} s", span.as_secs_f64()),
                allowed: "more than 0 s and at most 600 s",
            });
        }
        check_hz(hz, 0)?;
        self.mailbox.send(Command::CollectSpan {
            source,
            span,
            hz,
            filter: filter.clone(),
            waiter,
            reply: Box::new(reply),
        })
    }

    /// Takes a profile of the current state, and passes it to `reply` on the drainer's thread.
    pub(crate) fn collect_now(
        &self,
        source: ProfileSource,
        filter: &Filter,
        reply: impl FnOnce(Result<Collected, Error>) + Send + 'static,
    ) -> Result<(), Error> {
        self.mailbox.send(Command::CollectNow {
            source,
            filter: filter.clone(),
            reply: Box::new(reply),
        })
    }

    /// Resolves the names of a collected profile.
    pub(crate) fn name(&self, collected: &Collected) -> Profile {
        let Collected {
            aggregate,
            meta,
            modules,
        } = collected;
        self.symbols.wait(modules, &aggregate.addresses);
        assemble(aggregate, *meta, modules, &self.symbols.names(modules))
    }

    /// Live heap memory by member and operation. Takes microseconds, so it can be read often.
    pub fn live_heap(&self) -> LiveHeap {
        heap::live_heap()
    }

    /// The profiler's counters, at most 200 ms old.
    pub fn stats(&self) -> Stats {
        let drain = self.mailbox.counts();
        let push = self.outbox.counts();
        let sampler = drain.sampler;
        Stats {
            samples: sampler.samples,
            dropped: Dropped {
                ring_full: sampler.ring_full,
                foreign_signals: sampler.foreign_signals,
                window_full_nanos: drain.lost_nanos,
                windows_overflow: push.overflowed,
                windows_refused: push.refused,
                tags: davy_tag::overflowed(),
            },
            stacks_truncated: sampler.truncated,
            overruns: sampler.overruns,
            threads: sampler.threads,
            threads_unsampled: sampler.unsampled_threads,
            unsampled_reason: drain.refusal.to_string(),
            no_kernel_stacks_reason: drain.kernel_refusal.to_string(),
            rings: sampler.rings,
            handler_seconds: sampler.handler_nanos as f64 / 1e9,
            thread_seconds: (drain.cpu_nanos + push.cpu_nanos) as f64 / 1e9,
            windows_pushed: push.pushed,
            windows_pending: push.pending,
            spool_bytes: push.bytes,
            push_failures: push.failures,
            push_error: self.outbox.last_failure(),
            ack_delay: push.ack_delay,
            symbol_children: crate::symbolizer::children(),
            symbol_children_seconds: crate::symbolizer::cpu_nanos() as f64 / 1e9,
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
            _ => "1 to 1000",
        },
    })
}
