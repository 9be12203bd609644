//! Destroys what is doomed, with bounded flight.

mod uses;

use crate::driver::Driver;
use davy_base::Clock;
use davy_model::HandleKind;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use uses::Uses;

/// Containers and volumes that are destroyed at the same time, at most.
const CONTAINERS_MAX: usize = 5;
const VOLUMES_MAX: usize = 3;
/// Attempts of a destroy between two reports.
const ATTEMPTS_MAX: u32 = 3;
/// After this time a destroy no longer counts as in flight.
const DEADLINE: Duration = Duration::from_mins(1);
/// Hung destroys, at most; each is a thread. With more, nothing else is started.
const HUNG_MAX: usize = 100;

/// Sums for the status of the worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SweepStatus {
    pub(crate) destroying: u64,
    pub(crate) hung: u64,
    pub(crate) failed: u64,
}

/// A destroy in progress.
#[derive(Debug)]
struct Flight {
    kind: HandleKind,
    /// When it was started, by the monotonic clock.
    started: Duration,
    is_hung: bool,
}

pub(crate) struct Sweeper<D> {
    driver: Arc<D>,
    clock: Clock,
    queue: BTreeMap<String, HandleKind>,
    /// What the queue and the flights use.
    uses: Uses,
    attempts: BTreeMap<String, u32>,
    flights: BTreeMap<String, Flight>,
    failed: u64,
    ended: Receiver<(String, bool)>,
    end: Sender<(String, bool)>,
}

impl<D: Driver> Sweeper<D> {
    pub(crate) fn new(driver: Arc<D>, clock: Clock) -> Self {
        let (end, ended) = channel();
        Self {
            driver,
            clock,
            queue: BTreeMap::new(),
            uses: Uses::default(),
            attempts: BTreeMap::new(),
            flights: BTreeMap::new(),
            failed: 0,
            ended,
            end,
        }
    }

    /// Takes what the response to a report dooms. What is being destroyed is not started again.
    pub(crate) fn doom(&mut self, doomed: BTreeMap<String, HandleKind>) {
        self.queue = doomed;
        self.queue
            .retain(|handle, _| !self.flights.contains_key(handle));
        self.attempts.clear();
        let Self { queue, flights, .. } = self;
        self.uses
            .retain(|handle| queue.contains_key(handle) || flights.contains_key(handle));
        for (handle, kind) in &self.queue {
            self.uses.add(handle, || match kind {
                HandleKind::Container => self.driver.volume_of(handle),
                HandleKind::Volume => self.driver.parent_of(handle),
            });
        }
        self.step();
    }

    pub(crate) fn status(&self) -> SweepStatus {
        let hung = self
            .flights
            .values()
            .filter(|flight| flight.is_hung)
            .count();
        SweepStatus {
            destroying: (self.flights.len() - hung) as u64,
            hung: hung as u64,
            failed: self.failed,
        }
    }

    /// Ends a wait of another thread.
    pub(crate) fn waker(&self) -> impl FnOnce() + Send + use<D> {
        let end = self.end.clone();
        // No destroy has this handle.
        move || drop(end.send((String::new(), true)))
    }

    /// Waits until a destroy ends or the waker is called, at most for `limit`, and starts the next ones.
    pub(crate) fn wait(&mut self, limit: Duration) {
        if let Ok((handle, is_destroyed)) = self.ended.recv_timeout(limit) {
            self.end(handle, is_destroyed);
        }
        while let Ok((handle, is_destroyed)) = self.ended.try_recv() {
            self.end(handle, is_destroyed);
        }
        self.step();
    }

    fn end(&mut self, handle: String, is_destroyed: bool) {
        let Some(flight) = self.flights.remove(&handle) else {
            return;
        };
        if is_destroyed {
            self.uses.remove(&handle);
            return;
        }
        self.failed += 1;
        let attempts = self.attempts.entry(handle.clone()).or_insert(0);
        *attempts += 1;
        if *attempts < ATTEMPTS_MAX {
            self.queue.insert(handle, flight.kind);
        } else {
            self.uses.remove(&handle);
        }
    }

    /// Frees the places of hung destroys, and starts what fits.
    fn step(&mut self) {
        let now = self.clock.monotonic();
        for (handle, flight) in &mut self.flights {
            if !flight.is_hung && now.saturating_sub(flight.started) >= DEADLINE {
                tracing::warn!(handle, kind = %flight.kind, "destroy exceeded its deadline");
                flight.is_hung = true;
            }
        }
        if self.status().hung as usize >= HUNG_MAX {
            return;
        }
        for (kind, limit) in [
            (HandleKind::Container, CONTAINERS_MAX),
            (HandleKind::Volume, VOLUMES_MAX),
        ] {
            let in_flight = |flight: &&Flight| flight.kind == kind && !flight.is_hung;
            let free = limit.saturating_sub(self.flights.values().filter(in_flight).count());
            if free == 0 {
                continue;
            }
            let queue = self.queue.iter();
            let ready: Vec<String> = queue
                .filter(|(handle, k)| **k == kind && !self.uses.is_used(handle))
                .map(|(handle, _)| handle.clone())
                .take(free)
                .collect();
            for handle in ready {
                self.queue.remove(&handle);
                self.start(handle, kind, now);
            }
        }
    }

    fn start(&mut self, handle: String, kind: HandleKind, now: Duration) {
        let (driver, end, name) = (self.driver.clone(), self.end.clone(), handle.clone());
        let flight = Flight {
            kind,
            started: now,
            is_hung: false,
        };
        self.flights.insert(handle.clone(), flight);
        let started = std::thread::Builder::new()
            .name("destroy".to_owned())
            .spawn(move || {
                let destroyed = driver.destroy(&name, kind);
                if let Err(error) = &destroyed {
                    tracing::warn!(handle = name, %kind, %error, "destroy failed");
                }
                // Only fails when the worker has stopped.
                let _ = end.send((name, destroyed.is_ok()));
            });
        if let Err(error) = started {
            tracing::warn!(%error, "cannot start a thread");
            self.end(handle, false);
        }
    }
}

#[cfg(test)]
mod tests;
