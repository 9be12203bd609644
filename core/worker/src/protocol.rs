//! The protocol of a worker without a worker: what the drills and the simulated fleet send.

use crate::client::Client;
use crate::{Error, WorkerKey};
use davy_model::wire::{Registration, Status, Sync, Synced};
use davy_model::{HandleKind, Report, sync::generation};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Connections to a server that simulated workers share.
#[derive(Clone)]
pub struct ProtocolConnections {
    client: Client,
    key: Arc<WorkerKey>,
}

impl ProtocolConnections {
    /// Connections to a server; requests are signed with this key.
    pub fn new(server: &str, key: Arc<WorkerKey>) -> Self {
        Self {
            client: Client::with_key(server, "", key.clone()),
            key,
        }
    }

    /// Registers a worker.
    pub fn register(&self, name: &str) -> Result<ProtocolWorker, Error> {
        let client = self.client.named(name, self.key.clone());
        let (client, registration) = client.register(|challenge| Registration {
            challenge,
            platform: "simulated".to_owned(),
            tags: BTreeSet::new(),
            capacity: 250,
            is_ephemeral: false,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            builds: BTreeSet::new(),
        })?;
        Ok(ProtocolWorker {
            client,
            registration,
            sequence: 0,
        })
    }
}

/// A registered worker that runs nothing.
#[derive(Clone)]
pub struct ProtocolWorker {
    client: Client,
    registration: i64,
    sequence: u32,
}

impl ProtocolWorker {
    /// Reports handles with the next generation.
    pub fn sync(
        &mut self,
        handles: BTreeMap<String, HandleKind>,
        status: Status,
    ) -> Result<Synced, Error> {
        self.sequence += 1;
        self.sync_as(self.sequence, handles, status)
    }

    /// Reports handles with the generation of another report, as one that was delayed.
    pub fn sync_as(
        &self,
        sequence: u32,
        handles: BTreeMap<String, HandleKind>,
        status: Status,
    ) -> Result<Synced, Error> {
        let report = Report {
            generation: generation(self.registration, sequence),
            handles,
            part: None,
        };
        self.client.call("POST", "sync", &Sync { report, status })
    }
}
