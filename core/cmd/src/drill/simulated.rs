//! A worker that speaks the protocol and runs nothing: it has containers as names only.

use crate::failure::Failure;
use davy_model::HandleKind;
use davy_model::wire::{Status, Synced};
use davy_worker::{ProtocolConnections, ProtocolWorker};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The members that mark garbage. They must leave that of the baseline alone.
pub(super) const COLLECTORS: [&str; 4] = ["gc.builds", "gc.containers", "gc.volumes", "gc.workers"];

/// Settings of processes whose collectors run at this interval.
pub(super) fn collector_settings(interval: Duration) -> String {
    let interval = humantime::format_duration(interval);
    let members =
        COLLECTORS.map(|member| format!("[member.\"{member}\"]\ninterval = \"{interval}\"\n"));
    members.concat()
}

/// Containers that a worker destroys at the same time.
const IN_FLIGHT: u32 = 5;

/// Containers with numbers below a maximum, which are most of them, and others by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Containers {
    /// `WORKER-c000` and so on.
    pub(super) numbered: Vec<bool>,
    pub(super) others: BTreeSet<String>,
}

/// A simulated worker.
pub(super) struct SimulatedWorker {
    pub(super) name: String,
    pub(super) protocol: ProtocolWorker,
    pub(super) has: Containers,
    /// What it destroys, with the time at which it is gone.
    doomed: BTreeMap<String, Duration>,
    /// Containers of other workers that it reports as its own.
    pub(super) lies_about: BTreeSet<String>,
    /// Whether its destroys never end.
    pub(super) hangs: bool,
    /// How long one destroy takes.
    destroy: Duration,
    pub(super) destroyed: u64,
}

impl SimulatedWorker {
    pub(super) fn register(
        connections: &ProtocolConnections,
        name: &str,
        containers: u32,
        destroy: Duration,
    ) -> Result<Self, Failure> {
        let registered = connections.register(name);
        let failed = Failure::because(format!("simulated worker {name} cannot register"));
        Ok(Self {
            name: name.to_owned(),
            protocol: registered.map_err(failed)?,
            has: Containers {
                numbered: vec![true; containers as usize],
                others: BTreeSet::new(),
            },
            doomed: BTreeMap::new(),
            lies_about: BTreeSet::new(),
            hangs: false,
            destroy,
            destroyed: 0,
        })
    }

    /// What the next report names.
    pub(super) fn handles(&self) -> BTreeMap<String, HandleKind> {
        let numbered = self.has.numbered.iter().enumerate();
        let numbered = numbered
            .filter(|(_, is_there)| **is_there)
            .map(|(number, _)| format!("{}-c{number:03}", self.name));
        let others = self.has.others.union(&self.lies_about).cloned();
        let all = numbered.chain(others);
        all.map(|handle| (handle, HandleKind::Container)).collect()
    }

    /// Removes what has been destroyed by now; returns the names.
    fn finish(&mut self, now: Duration) -> Vec<String> {
        if self.hangs {
            return Vec::new();
        }
        let over: Vec<String> = self
            .doomed
            .iter()
            .filter(|(_, at)| **at <= now)
            .map(|(handle, _)| handle.clone())
            .collect();
        for handle in &over {
            self.doomed.remove(handle);
            self.remove(handle);
        }
        self.destroyed += over.len() as u64;
        over
    }

    /// Removes a container as if somebody had done it by hand.
    pub(super) fn remove(&mut self, handle: &str) {
        if self.has.others.remove(handle) {
            return;
        }
        let number = handle
            .strip_prefix(&self.name)
            .and_then(|rest| rest.strip_prefix("-c"))
            .and_then(|number| number.parse::<usize>().ok());
        if let Some(is_there) = number.and_then(|number| self.has.numbered.get_mut(number)) {
            *is_there = false;
        }
    }

    pub(super) fn status(&self) -> Status {
        let hung = if self.hangs {
            self.doomed.len() as u64
        } else {
            0
        };
        Status {
            destroying: (self.doomed.len() as u64 - hung).min(IN_FLIGHT.into()),
            hung,
            ..Status::default()
        }
    }

    /// Reports, and starts to destroy what it is told. Returns what was destroyed since the last report, and the
    /// response.
    pub(super) fn sync(
        &mut self,
        now: Duration,
    ) -> Result<(Vec<String>, Synced), davy_worker::Error> {
        let gone = self.finish(now);
        let (handles, status) = (self.handles(), self.status());
        let synced = self.protocol.sync(handles, status)?;
        let fresh: Vec<String> = synced
            .doomed
            .keys()
            .filter(|handle| !self.doomed.contains_key(*handle))
            .cloned()
            .collect();
        for (number, handle) in fresh.into_iter().enumerate() {
            let rounds = number as u32 / IN_FLIGHT + 1;
            self.doomed
                .insert(handle, now.saturating_add(self.destroy * rounds));
        }
        Ok((gone, synced))
    }
}
