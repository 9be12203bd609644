//! Uploads symbol indices, so that the archive can name the addresses of windows that left before their names were
//! known, and of processes that died before.
//!
//! Each build is uploaded once: a process first asks whether the archiver has it.

use super::http::Client;
use super::outbox::{Outbox, State};
use super::settings::Settings;
use crate::symbols::Index;
use davy_tag::Tag;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Pause after a failure.
const PAUSE: Duration = Duration::from_mins(1);

impl Outbox {
    /// Starts a thread that uploads the indices that the archiver does not have, if there may be any. Called when the
    /// archiver has accepted a window, by the thread that sends them: a window must not wait for an upload.
    pub(super) fn upload_symbols(self: &Arc<Self>, settings: &Settings) {
        let ready = self.symbols.ready();
        let mut state = self.lock();
        let uploads = &mut state.uploads;
        let is_due = !uploads.is_running && self.clock.monotonic() >= uploads.not_before;
        let is_needed = ready
            .iter()
            .any(|index| !uploads.done.contains(index.build_id()));
        // jemalloc 5.3.1 crashes in a new thread that gets no arena.
        let has_memory = !self.is_memory_low.load(Ordering::Relaxed);
        if !is_due || !is_needed || !has_memory {
            return;
        }
        let (outbox, settings) = (Arc::clone(self), settings.clone());
        let thread = std::thread::Builder::new().name("davy-symbols".to_owned());
        let started = thread.spawn(move || outbox.run_uploads(&settings, &ready));
        uploads.is_running = started.is_ok();
    }

    /// Uploads what the archiver does not have, for a process that is about to end: it may be the only one of its build,
    /// and end before its index is built. Waits until the deadline of the end at most.
    pub(super) fn finish_symbols(self: &Arc<Self>, settings: &Settings) {
        let until = {
            let mut state = self.lock();
            let until = state.stop_at.unwrap_or_default();
            if state.counts.pushed == 0 || self.clock.monotonic() >= until {
                return;
            }
            state.uploads.not_before = Duration::ZERO;
            until
        };
        self.symbols.wait_until(until);
        self.upload_symbols(settings);
        let left = until.saturating_sub(self.clock.monotonic());
        let is_running = |state: &mut State| state.uploads.is_running;
        drop(
            self.changed
                .wait_timeout_while(self.lock(), left, is_running),
        );
    }

    fn run_uploads(&self, settings: &Settings, indices: &[Arc<Index>]) {
        let _guard = Tag::new("profiler", "symbolize").enter();
        let client = Client::new(settings, false);
        for index in indices {
            let build_id = index.build_id();
            let archiver = {
                let state = self.lock();
                if state.uploads.done.contains(build_id) || state.archivers.is_empty() {
                    continue;
                }
                state.archivers[state.archiver % state.archivers.len()].clone()
            };
            let is_done = match client.has_symbols(&archiver, build_id, index.named()) {
                Some(true) => true,
                Some(false) => {
                    match client.put_symbols(&archiver, build_id, index.source().reader()) {
                        Ok(()) => true,
                        Err(reason) => {
                            tracing::debug!(%reason, build_id, "cannot upload symbols");
                            false
                        }
                    }
                }
                None => false,
            };
            let mut state = self.lock();
            if is_done {
                state.uploads.done.insert(build_id.to_owned());
            } else {
                state.uploads.not_before = self.clock.monotonic() + PAUSE;
            }
        }
        self.lock().uploads.is_running = false;
        self.changed.notify_all();
    }
}
