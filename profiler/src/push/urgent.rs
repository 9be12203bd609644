//! Sends windows that cannot wait directly from the thread that makes them, past the queue.

use super::archiver::Outcome;
use super::http::Client;
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
use davy_base::Random;

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
    /// Sends a window immediately.
    pub(crate) fn send(&mut self, aggregate: &Aggregate, meta: ProfileMeta) {
        let modules = loader::list();
        let body = self.encode(aggregate, meta, &modules);
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

    fn encode(&mut self, aggregate: &Aggregate, meta: ProfileMeta, modules: &[Module]) -> Vec<u8> {
        // Names are read from mapped files. Those that are not open have no names yet; the archive gets them when an
        // index of this build is uploaded, at the latest by the next process.
        let names = self.outbox.symbols.names(modules).without_placeholders();
        let profile = assemble(aggregate, meta, modules, &names);
        let id = window_id(&mut self.random);
        let Settings {
            labels,
            compression,
            ..
        } = self.settings;
        pack(&profile, meta.kind, labels, &id, *compression)
    }
}
