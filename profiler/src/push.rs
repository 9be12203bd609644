//! Windows on their way to an archiver, on a thread of their own.

mod http;
mod pack;
mod queue;
mod resolver;
mod spool;
#[cfg(feature = "tls")]
mod tls;
mod urgent;
mod wire;

pub(crate) use http::Archiver;
pub use pack::Compression;
#[cfg(feature = "tls")]
pub(crate) use tls::Trust;

use crate::aggregate::Aggregate;
use crate::assemble::{Taken, assemble};
use crate::modules::Module;
use crate::symbol::Symbols;
use davy_base::{Clock, Random, Timestamp};
use davy_tag::Tag;
use http::{Client, Outcome};
use pack::{is_zstd, pack};
use queue::{Queue, Window};
use spool::Spool;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Windows that wait to be encoded; encoding is faster than windows come, so more than a few are
/// only seen while no archiver is known.
const RAW_MAX: usize = 24;
/// Windows of one request; an archiver answers when they are stored, which may take its flush
/// interval, so that one at a time would not keep up.
const BATCH_MAX: usize = 64;
const BATCH_BYTES_MAX: usize = 4 << 20;
/// The same of a body that is packed as a whole, which its receiver's bound sees unpacked.
const ZSTD_BATCH_BYTES_MAX: usize = 1 << 20;
/// Bytes of windows that are kept in memory beside the disk.
const MEMORY_MAX: usize = 4 << 20;
const BACKOFF_MIN: Duration = Duration::from_millis(250);
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// How long after its deadline a stop waits for a pusher that is not in the middle of a request.
const GRACE: Duration = Duration::from_millis(100);
/// Retry-After is honoured up to this.
const RETRY_AFTER_MAX: Duration = Duration::from_mins(5);
/// Children that may be started one after the other when the profiler is new.
const EAGER_ROUNDS: u64 = 4;
/// After that, a child may take this share of one CPU: one part in so many.
const CHILD_SHARE: u32 = 50;

/// Says why an archiver of this address could not be pushed to, if it could not; asks nobody.
pub fn check_archiver(url: &str) -> Result<(), crate::Error> {
    Archiver::parse(url).map(drop)
}

/// A window as it was cut.
pub(crate) struct Raw {
    pub(crate) taken: Taken,
    pub(crate) aggregate: Aggregate,
    pub(crate) modules: Arc<[Module]>,
}

/// How windows are sent and kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) token: Option<String>,
    pub(crate) labels: Vec<(String, String)>,
    /// The folder that windows outlive the process in.
    pub(crate) spool: Option<PathBuf>,
    #[cfg(feature = "tls")]
    pub(crate) trust: Trust,
    pub(crate) compression: Compression,
}

/// What is not delivered when the deadline passes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) windows: usize,
    pub(crate) bytes: usize,
    pub(crate) reason: String,
}

/// What the outbox counted.
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

/// Where windows are put in, and the pusher takes them out.
pub(crate) struct Outbox {
    state: Mutex<State>,
    changed: Condvar,
    clock: Clock,
    symbols: Arc<Mutex<Symbols>>,
}

struct State {
    raw: VecDeque<Raw>,
    queue: Queue,
    archivers: Vec<Archiver>,
    /// The archiver that is tried next.
    at: usize,
    /// No push before this, by the monotonic clock.
    not_before: Duration,
    backoff: Duration,
    child_not_before: Duration,
    /// Once set: deliver what is there until then, and end.
    stop_at: Option<Duration>,
    ended: bool,
    /// So many windows are sent alone, for one of them was refused.
    alone: usize,
    last_reason: String,
    /// Something whose names will soon be needed.
    to_name: Option<Box<Aggregate>>,
    /// For how long an archiver asks for short windows.
    watch: Option<Duration>,
    counts: Counts,
}

enum Step {
    Name(Box<Aggregate>),
    Encode(Box<Raw>),
    /// The windows of one request, and whether nobody is to wait for a segment to fill.
    Send(Vec<Arc<Window>>, Archiver, bool),
    End,
}

impl Outbox {
    pub(crate) fn new(
        archivers: Vec<Archiver>,
        bytes_max: usize,
        clock: Clock,
        symbols: Arc<Mutex<Symbols>>,
    ) -> Self {
        let state = State {
            raw: VecDeque::new(),
            queue: Queue::new(bytes_max),
            archivers,
            at: 0,
            not_before: Duration::ZERO,
            backoff: BACKOFF_MIN,
            child_not_before: Duration::ZERO,
            stop_at: None,
            ended: false,
            alone: 0,
            last_reason: "no archiver is known".to_owned(),
            to_name: None,
            watch: None,
            counts: Counts::default(),
        };
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
            clock,
            symbols,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a window in; past the bound the oldest that was not encoded yet goes first.
    pub(crate) fn add(&self, raw: Raw) {
        let mut state = self.lock();
        state.raw.push_back(raw);
        if state.raw.len() > RAW_MAX {
            state.raw.pop_front();
            state.counts.overflowed += 1;
        }
        self.changed.notify_all();
    }

    /// Has names looked up that will soon be needed.
    pub(crate) fn name_soon(&self, aggregate: Aggregate) {
        self.lock().to_name = Some(Box::new(aggregate));
        self.changed.notify_all();
    }

    pub(crate) fn add_archiver(&self, archiver: Archiver) {
        let mut state = self.lock();
        if !state.archivers.contains(&archiver) {
            state.archivers.push(archiver);
        }
        state.not_before = Duration::ZERO;
        self.changed.notify_all();
    }

    /// Why the last push failed; empty where it did not.
    pub(crate) fn last_failure(&self) -> String {
        let state = self.lock();
        match state.counts.failures + state.counts.refused {
            0 => String::new(),
            _ => state.last_reason.clone(),
        }
    }

    /// For how long somebody watches from now on, if an archiver said so since the last call.
    pub(crate) fn take_watch(&self) -> Option<Duration> {
        self.lock().watch.take()
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

    /// Delivers what is there until the deadline, and waits for that. Answers what is left.
    pub(crate) fn stop(&self, deadline: Duration) -> Option<Left> {
        let stop_at = self.clock.monotonic() + deadline;
        let mut state = self.lock();
        state.stop_at = Some(stop_at);
        state.not_before = Duration::ZERO;
        self.changed.notify_all();
        // The pusher ends when the deadline passes; whoever comes next finds the disk let go.
        while !state.ended {
            let left = (stop_at + GRACE).saturating_sub(self.clock.monotonic());
            if left.is_zero() {
                break;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        // Where nobody is to be pushed to, nothing is left undone.
        let windows = state.raw.len() + state.queue.len();
        (windows > 0 && !state.archivers.is_empty()).then(|| Left {
            windows,
            bytes: state.queue.bytes(),
            reason: match state.last_reason.as_str() {
                "" => "the time was up".to_owned(),
                reason => reason.to_owned(),
            },
        })
    }

    /// The pusher's thread.
    pub(crate) fn run(&self, settings: &Settings, mut random: Random) {
        let _guard = Tag::new("profiler", "push").enter();
        let client = Client::new(settings, false);
        let mut spool = settings
            .spool
            .as_ref()
            .and_then(|folder| self.open(folder, &mut random));
        loop {
            match self.next_step() {
                Step::Name(aggregate) => {
                    let mut symbols = self.symbols.lock().unwrap_or_else(PoisonError::into_inner);
                    symbols.resolve(&crate::modules::list(), &aggregate.addresses);
                }
                Step::Encode(raw) => {
                    let mut window = self.encode(raw, settings, &mut random);
                    self.spool(spool.as_mut(), &mut window);
                    self.lock().queue.add(window);
                }
                Step::Send(mut windows, archiver, hurry) => {
                    let body = self.read(&mut windows);
                    let outcome = client.push(&archiver, &body, hurry);
                    self.settle(&windows, outcome, &mut random);
                }
                Step::End => break,
            }
            self.lock().counts.cpu_nanos = crate::clock::thread_cpu_nanos();
        }
        drop(spool);
        self.lock().ended = true;
        self.changed.notify_all();
    }

    /// Takes over what is on disk from processes that ended.
    fn open(&self, folder: &Path, random: &mut Random) -> Option<Spool> {
        match Spool::open(folder, random) {
            Ok((spool, found)) => {
                let mut state = self.lock();
                for found in found {
                    let end = found.written;
                    let window = Window::found(found.path, found.bytes, end);
                    state.queue.add(window);
                }
                Some(spool)
            }
            Err(error) => {
                let folder = folder.display();
                tracing::warn!(%folder, %error, "windows are kept in memory, not on disk");
                None
            }
        }
    }

    /// Writes a window to the disk, if there is a place for it.
    fn spool(&self, spool: Option<&mut Spool>, window: &mut Window) {
        let Some((spool, Ok(body))) = spool.map(|spool| (spool, window.body())) else {
            return;
        };
        let written = spool.write(&body);
        drop(body);
        match written {
            Ok(file) => window.spooled(file, self.lock().queue.bytes() < MEMORY_MAX),
            Err(error) => tracing::warn!(%error, "a window is kept in memory, not on disk"),
        }
    }

    /// The body of a request of these windows. Requests of one series each, one after the other,
    /// are a request of them all; so are frames of zstd. The windows are cut where one is packed
    /// otherwise than those before it.
    fn read(&self, windows: &mut Vec<Arc<Window>>) -> Vec<u8> {
        let mut all = Vec::new();
        let mut fit = windows.len();
        for (at, window) in windows.iter().enumerate() {
            match window.body() {
                Ok(body) => {
                    let bytes = all.len() + body.len();
                    let is_alike = is_zstd(&all) == is_zstd(&body);
                    let is_large = is_zstd(&all) && bytes > ZSTD_BATCH_BYTES_MAX;
                    if !all.is_empty() && (is_large || !is_alike) {
                        fit = at;
                        break;
                    }
                    all.extend_from_slice(&body);
                }
                Err(error) => {
                    tracing::warn!(%error, "a window on disk can't be read, and is lost");
                    self.lock().queue.lost(window);
                }
            }
        }
        windows.truncate(fit);
        all
    }

    /// Waits until there is something to do.
    fn next_step(&self) -> Step {
        let mut state = self.lock();
        loop {
            let now = self.clock.monotonic();
            let is_stopping = state.stop_at.is_some();
            let is_done = state.raw.is_empty() && state.queue.len() == 0;
            if is_stopping && (is_done || state.archivers.is_empty())
                || state.stop_at.is_some_and(|stop_at| stop_at <= now)
            {
                return Step::End;
            }
            if let Some(aggregate) = state.to_name.take() {
                return Step::Name(aggregate);
            }
            let mut wait = Duration::from_hours(1);
            if !state.archivers.is_empty() {
                let may_encode =
                    is_stopping || now >= state.child_not_before || state.raw.len() * 2 > RAW_MAX;
                if may_encode && let Some(raw) = state.raw.pop_front() {
                    return Step::Encode(Box::new(raw));
                }
                if !state.raw.is_empty() {
                    wait = wait.min(state.child_not_before.saturating_sub(now));
                }
                let count = if state.alone > 0 { 1 } else { BATCH_MAX };
                let windows = state.queue.first(count, BATCH_BYTES_MAX);
                if !windows.is_empty() {
                    if now >= state.not_before {
                        let at = state.at % state.archivers.len();
                        return Step::Send(windows, state.archivers[at].clone(), is_stopping);
                    }
                    wait = wait.min(state.not_before.saturating_sub(now));
                }
            }
            if let Some(stop_at) = state.stop_at {
                wait = wait.min(stop_at.saturating_sub(now));
            }
            let waited = self.changed.wait_timeout(state, wait);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn encode(&self, raw: Box<Raw>, settings: &Settings, random: &mut Random) -> Window {
        let profile = {
            let mut symbols = self.symbols.lock().unwrap_or_else(PoisonError::into_inner);
            let before = symbols.rounds;
            symbols.resolve(&raw.modules, &raw.aggregate.addresses);
            if symbols.rounds > before && symbols.rounds > EAGER_ROUNDS {
                let pause = symbols.last_round.saturating_mul(CHILD_SHARE);
                self.lock().child_not_before = self.clock.monotonic() + pause;
            }
            assemble(&raw.aggregate, raw.taken, &raw.modules, &symbols)
        };
        let (labels, compression) = (&settings.labels, settings.compression);
        let body = pack(&profile, raw.taken.kind, labels, &uuid(random), compression);
        Window::new(body, raw.taken.start.plus(raw.taken.span))
    }

    fn settle(&self, windows: &[Arc<Window>], outcome: Outcome, random: &mut Random) {
        let now = self.clock.now();
        let mut state = self.lock();
        match outcome {
            Outcome::Stored { watch } => {
                state.watch = watch.or(state.watch);
                for window in windows {
                    state.counts.pushed += u64::from(state.queue.remove(window));
                    state.counts.ack_delay = Some(delay(window.end, now));
                }
                state.alone = state.alone.saturating_sub(windows.len());
                state.backoff = BACKOFF_MIN;
                state.last_reason.clear();
            }
            // One bad window must not take the good ones beside it along.
            Outcome::Refused { .. } if windows.len() > 1 => state.alone = windows.len(),
            Outcome::Refused { reason } => {
                tracing::warn!(%reason, "an archiver refused a window for good");
                for window in windows {
                    state.queue.remove(window);
                    state.counts.refused += 1;
                }
                state.alone = state.alone.saturating_sub(1);
                state.last_reason = reason;
            }
            Outcome::Later { reason, after } => {
                if state.last_reason != reason {
                    tracing::warn!(%reason, "a window waits for an archiver");
                }
                state.last_reason = reason;
                state.counts.failures += 1;
                state.at = state.at.wrapping_add(1);
                // Full jitter over the second half, so that a fleet does not come back at once.
                let backoff = state.backoff.mul_f64(0.5 + 0.5 * random.unit());
                let pause = match after {
                    Some(after) => after.min(RETRY_AFTER_MAX).max(backoff),
                    None => backoff,
                };
                // While it stops, the deadline bounds the attempts, and each one counts.
                let pause = match state.stop_at {
                    Some(_) => pause.min(BACKOFF_MIN),
                    None => pause,
                };
                state.not_before = self.clock.monotonic() + pause;
                state.backoff = (state.backoff * 2).min(BACKOFF_MAX);
            }
        }
    }
}

fn delay(end: Timestamp, now: Timestamp) -> Duration {
    now.since(end)
}

/// A random identifier, RFC 9562 version 4.
fn uuid(random: &mut Random) -> String {
    let (high, low) = (random.next_u64(), random.next_u64());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        0x8000 | (low >> 50),
        low & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod outage;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn window_ids_are_version_4_and_differ() {
        let mut random = Random::seeded(1);
        let (a, b) = (uuid(&mut random), uuid(&mut random));
        assert_ne!(a, b);
        for id in [a, b] {
            assert_eq!(id.len(), 36);
            assert_eq!(id.as_bytes()[14], b'4');
            assert!(
                matches!(id.as_bytes()[19], b'8' | b'9' | b'a' | b'b'),
                "{id}"
            );
        }
    }
}
