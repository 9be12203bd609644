//! Sends windows that cannot wait directly from the thread that makes them, past the queue.

use super::http::{Client, Outcome};
use super::outbox::Outbox;
use super::pack::pack;
use super::queue::Window;
use super::settings::Settings;
use super::spool::Spool;
use super::wire::window_id;
use crate::aggregate::Aggregate;
use crate::assemble::assemble;
use crate::loader;
use crate::modules::Module;
use crate::sample_kind::ProfileMeta;
use crate::symbol::Symbols;
use davy_base::Random;
use std::sync::TryLockError;

/// Sends one window at a time, with as little memory as possible.
pub(crate) struct UrgentSender<'a> {
    outbox: &'a Outbox,
    settings: &'a Settings,
    client: Client,
    spool: Option<Spool>,
    random: Random,
}

impl Outbox {
    /// A sender whose windows enter the queue only if no archiver stores them.
    pub(crate) fn urgent_sender<'a>(&'a self, settings: &'a Settings) -> UrgentSender<'a> {
        let mut random = Random::system();
        let spool = settings.spool.as_ref();
        // Created, not opened with the windows of earlier processes: the pusher delivers those.
        let spool = spool.and_then(|folder| Spool::create(folder, &mut random).ok());
        UrgentSender {
            outbox: self,
            settings,
            client: Client::new(settings, true),
            spool,
            random,
        }
    }
}

impl UrgentSender<'_> {
    /// Discards the names that were looked up by symbol tables only, so that better ones are looked up
    /// when they are needed again.
    pub(crate) fn discard_names(&self) {
        if let Ok(mut symbols) = self.outbox.symbols.lock() {
            symbols.clear();
        }
    }

    /// Sends a window immediately. `available` is the number of bytes that the process may still allocate.
    pub(crate) fn send(&mut self, aggregate: &Aggregate, meta: ProfileMeta, available: u64) {
        let modules = loader::list();
        let body = self.encode(aggregate, meta, &modules, available);
        let file = self
            .spool
            .as_mut()
            .and_then(|spool| spool.write(&body).ok());
        let archivers = self.outbox.lock().archivers.clone();
        for archiver in archivers {
            if let Outcome::Stored { .. } = self.client.push(&archiver, &body, true) {
                if let Some(file) = file {
                    let _ = std::fs::remove_file(file);
                }
                self.outbox.lock().counts.pushed += 1;
                return;
            }
        }
        let mut window = Window::new(body, meta.start);
        if let Some(file) = file {
            window.spooled(file, false);
        }
        self.outbox.lock().queue.add(window);
        self.outbox.changed.notify_all();
    }

    fn encode(
        &mut self,
        aggregate: &Aggregate,
        meta: ProfileMeta,
        modules: &[Module],
        available: u64,
    ) -> Vec<u8> {
        let mut own = Symbols::default();
        let mut shared = match self.outbox.symbols.try_lock() {
            Ok(symbols) => Some(symbols),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            // The pusher holds the lock while it waits for a child, which may take seconds.
            Err(TryLockError::WouldBlock) => None,
        };
        let symbols = shared.as_deref_mut().unwrap_or(&mut own);
        symbols.resolve_by_tables(modules, &aggregate.addresses, available / 2);
        let profile = assemble(aggregate, meta, modules, symbols);
        drop(shared);
        let id = window_id(&mut self.random);
        let Settings {
            labels,
            compression,
            ..
        } = self.settings;
        pack(&profile, meta.kind, labels, &id, *compression)
    }
}
