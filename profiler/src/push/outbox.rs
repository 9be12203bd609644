//! Windows that wait to be encoded and pushed.

use super::archiver::Archiver;
use super::http::Client;
use super::queue::Queue;
use super::settings::Settings;
use crate::aggregate::Aggregate;
use crate::modules::Module;
use crate::sample_kind::ProfileMeta;
use crate::symbols::Symbols;
use davy_base::Clock;
use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Maximum number of windows that wait to be encoded. Encoding is faster than windows arrive, so more
/// than a few wait only while no archiver is configured.
pub(super) const RAW_MAX: usize = 24;
pub(super) const BACKOFF_MIN: Duration = Duration::from_millis(250);
/// How long a new process waits before it looks for the names of its functions, which may take a child process. Processes
/// that end earlier do not need them.
const PREFETCH_AFTER: Duration = Duration::from_secs(1);
/// Time past the deadline for which a stop waits for the pusher to end.
const GRACE: Duration = Duration::from_millis(100);

/// A window that has ended and is not encoded yet.
pub(crate) struct RawWindow {
    pub(crate) meta: ProfileMeta,
    pub(crate) aggregate: Aggregate,
    pub(crate) modules: Arc<[Module]>,
}

/// What was not delivered when the deadline passed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Undelivered {
    pub(crate) windows: usize,
    pub(crate) bytes: usize,
    pub(crate) reason: String,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) pushed: u64,
    pub(crate) pending: usize,
    pub(crate) bytes: usize,
    pub(crate) overflowed: u64,
    pub(crate) refused: u64,
    pub(crate) failures: u64,
    pub(crate) ack_delay: Option<Duration>,
    pub(crate) cpu_nanos: u64,
}

/// Takes windows from the drainer, for the pusher to deliver.
pub(crate) struct Outbox {
    state: Mutex<State>,
    pub(super) changed: Condvar,
    pub(super) clock: Clock,
    pub(crate) symbols: Arc<Symbols>,
    /// Memory is nearly exhausted, so no thread is started.
    pub(crate) is_memory_low: AtomicBool,
}

/// Instants are of the monotonic clock.
pub(super) struct State {
    pub(super) raw: VecDeque<RawWindow>,
    pub(super) queue: Queue,
    pub(super) archivers: Vec<Archiver>,
    /// Index of the archiver to try next, modulo their number.
    pub(super) archiver: usize,
    pub(super) push_not_before: Duration,
    pub(super) backoff: Duration,
    /// When the names of the program are looked for; none once they were.
    pub(super) prefetch_at: Option<Duration>,
    /// The archiver that has a push which it may store only with its next segment.
    pub(super) awaited: Option<Archiver>,
    pub(super) uploads: Uploads,
    /// The deadline for delivering what is left, once the outbox is stopped.
    pub(super) stop_at: Option<Duration>,
    pub(super) has_ended: bool,
    /// The number of windows that are sent one by one, because a request with all of them was refused.
    pub(super) alone: usize,
    pub(super) last_reason: String,
    /// For how long an archiver has asked for short windows.
    pub(super) watch: Option<Duration>,
    pub(super) counts: Counts,
}

/// Uploads of symbols.
#[derive(Default)]
pub(super) struct Uploads {
    /// Builds that the archiver has, or does not accept.
    pub(super) done: BTreeSet<String>,
    pub(super) is_running: bool,
    pub(super) not_before: Duration,
}

impl Outbox {
    pub(crate) fn new(
        archivers: Vec<Archiver>,
        bytes_max: usize,
        clock: Clock,
        symbols: Arc<Symbols>,
    ) -> Self {
        let state = State {
            raw: VecDeque::new(),
            queue: Queue::new(bytes_max),
            archivers,
            archiver: 0,
            push_not_before: Duration::ZERO,
            backoff: BACKOFF_MIN,
            prefetch_at: Some(clock.monotonic() + PREFETCH_AFTER),
            awaited: None,
            uploads: Uploads::default(),
            stop_at: None,
            has_ended: false,
            alone: 0,
            last_reason: "no archiver is configured".to_owned(),
            watch: None,
            counts: Counts::default(),
        };
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
            clock,
            symbols,
            is_memory_low: AtomicBool::new(false),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds windows. Past the bound, the oldest ones that are not encoded are dropped.
    pub(crate) fn add(&self, windows: impl IntoIterator<Item = RawWindow>) {
        let mut state = self.lock();
        state.raw.extend(windows);
        while state.raw.len() > RAW_MAX {
            state.raw.pop_front();
            state.counts.overflowed += 1;
        }
        self.changed.notify_all();
    }

    pub(crate) fn add_archiver(&self, archiver: Archiver) {
        let mut state = self.lock();
        if !state.archivers.contains(&archiver) {
            state.archivers.push(archiver);
        }
        state.push_not_before = Duration::ZERO;
        self.changed.notify_all();
    }

    /// Why the last push failed; empty if it succeeded, or if there was none.
    pub(crate) fn last_failure(&self) -> String {
        let state = self.lock();
        match state.counts.failures + state.counts.refused {
            0 => String::new(),
            _ => state.last_reason.clone(),
        }
    }

    /// For how long an archiver asks for short windows from now on, if one has asked since the last call.
    pub(crate) fn take_watch(&self) -> Option<Duration> {
        self.lock().watch.take()
    }

    /// Removes the windows that are not encoded yet.
    #[cfg(test)]
    pub(crate) fn take_raw(&self) -> Vec<RawWindow> {
        self.lock().raw.drain(..).collect()
    }

    pub(crate) fn counts(&self) -> Counts {
        let state = self.lock();
        Counts {
            pending: state.raw.len() + state.queue.len(),
            bytes: state.queue.bytes(),
            overflowed: state.counts.overflowed + state.queue.overflowed(),
            ..state.counts
        }
    }

    /// Waits until everything is delivered or the deadline has passed. Returns what is left.
    pub(crate) fn stop(&self, deadline: Duration, settings: &Settings) -> Option<Undelivered> {
        let stop_at = self.clock.monotonic() + deadline;
        let mut state = self.lock();
        state.stop_at = Some(stop_at);
        state.push_not_before = Duration::ZERO;
        self.changed.notify_all();
        let awaited = state.awaited.take();
        drop(state);
        if let Some(archiver) = awaited {
            // The push before the last one need not wait for the archiver's flush interval either.
            Client::new(settings, true).hurry(&archiver, deadline);
        }
        let mut state = self.lock();
        // The pusher ends when the deadline passes. By then it has released its spool for the next process.
        while !state.has_ended {
            let left = (stop_at + GRACE).saturating_sub(self.clock.monotonic());
            if left.is_zero() {
                break;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        // Without an archiver, there is nothing to deliver.
        let windows = state.raw.len() + state.queue.len();
        (windows > 0 && !state.archivers.is_empty()).then(|| Undelivered {
            windows,
            bytes: state.queue.bytes(),
            reason: match state.last_reason.as_str() {
                "" => "the deadline has passed".to_owned(),
                reason => reason.to_owned(),
            },
        })
    }
}
