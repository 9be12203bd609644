//! The thread that encodes windows, keeps them on disk and pushes them.

use super::archiver::{Archiver, Outcome};
use super::http::Client;
use super::outbox::{BACKOFF_MIN, Outbox, RawWindow};
use super::pack::{is_zstd, pack};
use super::queue::Window;
use super::settings::Settings;
use super::spool::Spool;
use super::wire::window_id;
use crate::assemble::assemble;
use davy_base::Random;
use davy_tag::Tag;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// Maximum number of windows per request. An archiver responds when they are stored, which may take its
/// flush interval, so one window at a time would not keep up.
const BATCH_MAX: usize = 64;
/// Maximum size of a request with several windows, in bytes.
const BATCH_BYTES_MAX: usize = 4 << 20;
/// The same for a body that is compressed as a whole: smaller, because the receiver limits the
/// decompressed size.
const ZSTD_BATCH_BYTES_MAX: usize = 1 << 20;
/// Bytes of windows that are kept in memory even though they are on disk.
const MEMORY_MAX: usize = 4 << 20;
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// Maximum value of Retry-After that is honoured.
const RETRY_AFTER_MAX: Duration = Duration::from_mins(5);

enum Step {
    /// The names of the program will be needed when the first window ends.
    Prefetch,
    Encode(Box<RawWindow>),
    /// The windows of one request, and whether the archiver is asked not to wait for its flush interval.
    Send(Vec<Arc<Window>>, Archiver, bool),
    End,
}

impl Outbox {
    /// The main function of the pusher's thread.
    pub(crate) fn run(self: &Arc<Self>, settings: &Settings, mut random: Random) {
        let _guard = Tag::new("profiler", "push").enter();
        let client = Client::new(settings, false);
        let mut spool = settings
            .spool
            .as_ref()
            .and_then(|folder| self.open_spool(folder, &mut random));
        loop {
            match self.next_step() {
                Step::Prefetch => {
                    let modules = crate::loader::list();
                    let program = modules.iter().find(|module| module.is_executable);
                    let address = program.map(|module| module.range.start);
                    self.symbols.request(&modules, address.as_slice());
                }
                Step::Encode(raw) => {
                    let mut window = self.encode(raw, settings, &mut random);
                    self.write_to_spool(spool.as_mut(), &mut window);
                    self.lock().queue.add(window);
                }
                Step::Send(mut windows, archiver, is_urgent) => {
                    let body = self.body(&mut windows);
                    let outcome = client.push(&archiver, &body, is_urgent);
                    let is_stored = matches!(outcome, Outcome::Stored { .. });
                    self.settle(&windows, outcome, &mut random);
                    if is_stored && !is_urgent {
                        self.upload_symbols(settings);
                    }
                }
                Step::End => break,
            }
            self.lock().counts.cpu_nanos = crate::clock::thread_cpu_nanos();
        }
        drop(spool);
        self.finish_symbols(settings);
        self.lock().has_ended = true;
        self.changed.notify_all();
    }

    /// Opens the spool, and queues the windows that earlier processes left in it.
    fn open_spool(&self, folder: &Path, random: &mut Random) -> Option<Spool> {
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
                tracing::warn!(%folder, %error, "cannot open spool, keeping windows in memory");
                None
            }
        }
    }

    fn write_to_spool(&self, spool: Option<&mut Spool>, window: &mut Window) {
        let Some((spool, Ok(body))) = spool.map(|spool| (spool, window.body())) else {
            return;
        };
        let written = spool.write(&body);
        drop(body);
        match written {
            Ok(file) => window.spooled(file, self.lock().queue.bytes() < MEMORY_MAX),
            Err(error) => {
                tracing::warn!(%error, "cannot write window to spool, keeping it in memory");
            }
        }
    }

    /// The body of a request with these windows: the concatenation of requests with one series each is a
    /// request with all of them, and the same holds for zstd frames. Windows from the first one on that is
    /// compressed differently, or does not fit, are removed from the list.
    fn body(&self, windows: &mut Vec<Arc<Window>>) -> Vec<u8> {
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
                    tracing::warn!(%error, "cannot read window from spool, dropping it");
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
            let mut wait = Duration::from_hours(1);
            if !state.archivers.is_empty() {
                match state.prefetch_at {
                    Some(at) if now >= at => {
                        state.prefetch_at = None;
                        return Step::Prefetch;
                    }
                    Some(at) => wait = wait.min(at.saturating_sub(now)),
                    None => {}
                }
                if let Some(raw) = state.raw.pop_front() {
                    return Step::Encode(Box::new(raw));
                }
                let count = if state.alone > 0 { 1 } else { BATCH_MAX };
                let windows = state.queue.first(count, BATCH_BYTES_MAX);
                if !windows.is_empty() {
                    if now >= state.push_not_before {
                        let at = state.archiver % state.archivers.len();
                        let archiver = state.archivers[at].clone();
                        state.awaited = (!is_stopping).then(|| archiver.clone());
                        return Step::Send(windows, archiver, is_stopping);
                    }
                    wait = wait.min(state.push_not_before.saturating_sub(now));
                }
            }
            if let Some(stop_at) = state.stop_at {
                wait = wait.min(stop_at.saturating_sub(now));
            }
            let waited = self.changed.wait_timeout(state, wait);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn encode(&self, raw: Box<RawWindow>, settings: &Settings, random: &mut Random) -> Window {
        let RawWindow {
            meta,
            aggregate,
            modules,
        } = *raw;
        // A window does not wait for names: the archive gets them as soon as they are there.
        self.symbols.request(&modules, &aggregate.addresses);
        let names = self.symbols.names(&modules).without_placeholders();
        let profile = assemble(&aggregate, meta, &modules, &names);
        let (labels, compression) = (&settings.labels, settings.compression);
        let id = window_id(random);
        let body = pack(&profile, meta.kind, labels, &id, compression);
        Window::new(body, meta.start.plus(meta.span))
    }

    fn settle(&self, windows: &[Arc<Window>], outcome: Outcome, random: &mut Random) {
        let now = self.clock.now();
        let mut state = self.lock();
        state.awaited = None;
        match outcome {
            Outcome::Stored { watch } => {
                state.watch = watch.or(state.watch);
                for window in windows {
                    state.counts.pushed += u64::from(state.queue.remove(window));
                    state.counts.ack_delay = Some(now.since(window.end));
                }
                state.alone = state.alone.saturating_sub(windows.len());
                state.backoff = BACKOFF_MIN;
                state.last_reason.clear();
            }
            // One refused window must not cause the loss of the others, so they are sent one by one.
            Outcome::Refused { .. } if windows.len() > 1 => state.alone = windows.len(),
            Outcome::Refused { reason } => {
                tracing::warn!(%reason, "archiver refused a window, dropping it");
                for window in windows {
                    state.queue.remove(window);
                    state.counts.refused += 1;
                }
                state.alone = state.alone.saturating_sub(1);
                state.last_reason = reason;
            }
            Outcome::Later { reason, after } => {
                if state.last_reason != reason {
                    tracing::warn!(%reason, "push failed, retrying");
                }
                state.last_reason = reason;
                state.counts.failures += 1;
                state.archiver = state.archiver.wrapping_add(1);
                // Jitter over the second half, so that the processes of a fleet do not retry together.
                let backoff = state.backoff.mul_f64(0.5 + 0.5 * random.unit());
                let pause = match after {
                    Some(after) => after.min(RETRY_AFTER_MAX).max(backoff),
                    None => backoff,
                };
                // While stopping, the deadline bounds the attempts, so pauses stay short.
                let pause = match state.stop_at {
                    Some(_) => pause.min(BACKOFF_MIN),
                    None => pause,
                };
                state.push_not_before = self.clock.monotonic() + pause;
                state.backoff = (state.backoff * 2).min(BACKOFF_MAX);
            }
        }
    }
}

#[cfg(test)]
mod outage;
#[cfg(all(test, feature = "push"))]
mod stop;
