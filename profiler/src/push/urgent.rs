//! Windows that can't wait: straight from the thread that made them, past the queue.

use super::http::{Client, Outcome};
use super::pack::pack;
use super::queue::Window;
use super::spool::Spool;
use super::{Outbox, Settings, uuid};
use crate::aggregate::Aggregate;
use crate::assemble::{Taken, assemble};
use crate::modules::{self, Module};
use crate::symbol::Symbols;
use davy_base::Random;
use std::sync::TryLockError;

/// Sends one window at a time, with as little memory as that takes.
pub(crate) struct Urgent<'a> {
    outbox: &'a Outbox,
    settings: &'a Settings,
    client: Client,
    spool: Option<Spool>,
    random: Random,
}

impl Outbox {
    /// What is sent by it is not in the queue unless no archiver takes it.
    pub(crate) fn urgent<'a>(&'a self, settings: &'a Settings) -> Urgent<'a> {
        let mut random = Random::system();
        let spool = settings.spool.as_ref();
        // What others left is the pusher's.
        let spool = spool.and_then(|folder| Spool::create(folder, &mut random).ok());
        Urgent {
            outbox: self,
            settings,
            client: Client::new(settings, true),
            spool,
            random,
        }
    }
}

impl Urgent<'_> {
    /// Names that were found in a hurry are looked up again when they are next needed.
    pub(crate) fn calm(&self) {
        if let Ok(mut symbols) = self.outbox.symbols.lock() {
            symbols.forget();
        }
    }

    /// Sends a window at once; `room` is how many bytes may still be taken.
    pub(crate) fn send(&mut self, aggregate: &Aggregate, taken: Taken, room: u64) {
        let modules = modules::list();
        let body = self.encode(aggregate, taken, &modules, room);
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
        let mut window = Window::new(body, taken.start);
        if let Some(file) = file {
            window.spooled(file, false);
        }
        self.outbox.lock().queue.add(window);
        self.outbox.changed.notify_all();
    }

    fn encode(
        &mut self,
        aggregate: &Aggregate,
        taken: Taken,
        modules: &[Module],
        room: u64,
    ) -> Vec<u8> {
        let mut own = Symbols::default();
        let mut shared = match self.outbox.symbols.try_lock() {
            Ok(symbols) => Some(symbols),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            // The pusher waits for a child, and may for long.
            Err(TryLockError::WouldBlock) => None,
        };
        let symbols = shared.as_deref_mut().unwrap_or(&mut own);
        symbols.resolve_by_tables(modules, &aggregate.addresses, room / 2);
        let profile = assemble(aggregate, taken, modules, symbols);
        drop(shared);
        let id = uuid(&mut self.random);
        let Settings {
            labels,
            compression,
            ..
        } = self.settings;
        pack(&profile, taken.kind, labels, &id, *compression)
    }
}
