//! The process of a worker: registration, the loop that claims builds, and the loop that reports and sweeps.

use crate::client::Client;
use crate::driver::{Driver as _, ProcessDriver};
use crate::sweeper::Sweeper;
use crate::task::Runner;
use crate::{Error, Stop, WorkerKey};
use davy_base::Clock;
use davy_model::sync::generation;
use davy_model::wire::{Claimed, Registration, Status, Sync, Synced};
use davy_model::worker::SYNC_INTERVAL;
use davy_model::{Report, sync};
use std::collections::BTreeSet;
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// The longest time between two reports.
const SYNC_MAX: Duration = Duration::from_millis(SYNC_INTERVAL as u64);
/// The pause after a failed claim.
const CLAIM_PAUSE: Duration = Duration::from_secs(1);
/// The report follows this soon after the end of a build or of a destroy, so that its container is collected soon.
const SYNC_SOON: Duration = Duration::from_secs(5);
/// How often the report loop looks for the end of the worker.
const LOOK: Duration = Duration::from_millis(500);

/// How to run a worker.
#[derive(Debug)]
pub struct WorkerOptions {
    /// The address of a frontend.
    pub server: String,
    /// The name of the worker.
    pub name: String,
    /// Its key.
    pub key: WorkerKey,
    /// The folder for its containers and volumes.
    pub folder: PathBuf,
    /// Tags that tasks can ask for. A worker with tags runs only tasks that ask for one.
    pub tags: BTreeSet<String>,
    /// Containers at the same time, at most.
    pub capacity: u32,
    /// Whether it is removed instead of stalled when it stops reporting.
    pub is_ephemeral: bool,
    /// From one report to the next, at most 30 s.
    pub sync_interval: Duration,
    /// The clock.
    pub clock: Clock,
}

/// A registered worker.
pub struct Worker {
    pub(crate) runner: Runner,
    registration: i64,
    sync_interval: Duration,
    builds: Arc<AtomicU64>,
    fatal: Arc<Mutex<Option<Error>>>,
    /// Held while the worker runs.
    _lock: File,
}

impl Worker {
    /// Locks the folder and registers. Waits until the server responds, or the worker is stopped.
    pub fn register(options: WorkerOptions, stop: &Stop) -> Result<Self, Error> {
        let folder = &options.folder;
        let failed = |source| Error::Folder {
            path: folder.clone(),
            source,
        };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let lock = File::create(folder.join("lock")).map_err(failed)?;
        lock.try_lock().map_err(|error| match error {
            std::fs::TryLockError::WouldBlock => Error::FolderInUse {
                path: folder.clone(),
            },
            std::fs::TryLockError::Error(source) => failed(source),
        })?;
        let driver = ProcessDriver::new(folder).map_err(failed)?;
        let client = Client::new(&options.server, &options.name, options.key);
        let registration = |challenge| Registration {
            challenge,
            platform: std::env::consts::OS.to_owned(),
            tags: options.tags.clone(),
            capacity: options.capacity,
            is_ephemeral: options.is_ephemeral,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let (client, registration) =
            client.persist(stop, |client| client.register(registration))?;
        tracing::info!(worker = options.name, registration, "registered");
        Ok(Self {
            runner: Runner {
                client,
                driver: Arc::new(driver),
                clock: options.clock,
                stop: stop.clone(),
            },
            registration,
            sync_interval: options.sync_interval.min(SYNC_MAX),
            builds: Arc::default(),
            fatal: Arc::default(),
            _lock: lock,
        })
    }

    /// Runs builds until the worker is stopped, or may not act for its name any more.
    pub fn run(self) -> Result<(), Error> {
        std::thread::scope(|scope| {
            scope.spawn(|| self.reports());
            self.claims();
        });
        let fatal = self.fatal.lock().unwrap_or_else(PoisonError::into_inner);
        let fatal = { fatal }.take();
        fatal.map_or(Ok(()), Err)
    }

    fn fail(&self, error: Error) {
        let mut fatal = self.fatal.lock().unwrap_or_else(PoisonError::into_inner);
        fatal.get_or_insert(error);
        self.runner.stop.kill();
    }

    /// Claims builds, and waits for the running ones at the end.
    fn claims(&self) {
        let stop = &self.runner.stop;
        let mut running: Vec<JoinHandle<()>> = Vec::new();
        while !stop.is_landing() {
            running.retain(|thread| !thread.is_finished());
            let claimed = self.runner.client.call("POST", "claim", &());
            match claimed {
                Ok(Claimed { build: Some(build) }) => {
                    let (runner, builds) = (self.runner.clone(), self.builds.clone());
                    builds.fetch_add(1, Ordering::Relaxed);
                    let thread = std::thread::Builder::new().name("build".to_owned());
                    let started = thread.spawn(move || {
                        runner.run(&build);
                        builds.fetch_sub(1, Ordering::Relaxed);
                    });
                    match started {
                        Ok(thread) => running.push(thread),
                        Err(error) => {
                            // Its lease expires.
                            self.builds.fetch_sub(1, Ordering::Relaxed);
                            tracing::warn!(%error, "cannot start a thread for a build");
                        }
                    }
                }
                Ok(Claimed { build: None }) => {}
                Err(error) if error.is_fatal() => self.fail(error),
                Err(error) => {
                    tracing::warn!(%error, "cannot claim builds, retrying");
                    stop.wait(CLAIM_PAUSE);
                }
            }
        }
        for thread in running {
            // A panic of a task is in the log; its lease expires.
            let _ = thread.join();
        }
        stop.kill();
    }

    /// Reports and sweeps until the worker is killed.
    fn reports(&self) {
        let Runner {
            driver,
            clock,
            stop,
            ..
        } = &self.runner;
        let mut sweeper = Sweeper::new(driver.clone(), clock.clone());
        let mut sequence = 0;
        let mut due = clock.monotonic();
        let mut before = (0, 0);
        while !stop.is_killing() {
            let now = clock.monotonic();
            let status = sweeper.status();
            let builds = self.builds.load(Ordering::Relaxed);
            // Something has ended: the rows of it can go.
            let busy = (builds, status.destroying);
            if busy.0 < before.0 || busy.1 < before.1 {
                due = due.min(now.saturating_add(SYNC_SOON));
            }
            before = busy;
            if now >= due {
                due = now.saturating_add(self.sync_interval);
                match self.report(&mut sweeper, &mut sequence, builds) {
                    Ok(()) => {}
                    Err(error) if error.is_fatal() => self.fail(error),
                    Err(error) => tracing::warn!(%error, "cannot report, retrying"),
                }
            }
            sweeper.wait(LOOK);
        }
    }

    fn report(
        &self,
        sweeper: &mut Sweeper<ProcessDriver>,
        sequence: &mut u32,
        builds: u64,
    ) -> Result<(), Error> {
        // The number is chosen before the handles are listed, so that a later report never has an older list.
        *sequence += 1;
        let handles = match self.runner.driver.handles() {
            Ok(handles) => handles,
            Err(error) => {
                // A report without them would say that they are gone.
                tracing::warn!(%error, "cannot list containers and volumes");
                return Ok(());
            }
        };
        let swept = sweeper.status();
        let body = Sync {
            report: Report {
                generation: generation(self.registration, *sequence),
                handles,
            },
            status: Status {
                destroying: swept.destroying,
                hung: swept.hung,
                failed_destroys: swept.failed,
                builds,
            },
        };
        let synced: Synced = self.runner.client.call("POST", "sync", &body)?;
        if !synced.foreign.is_empty() {
            let foreign = &synced.foreign;
            tracing::error!(
                ?foreign,
                "handles of other workers in the folder; remove them"
            );
        }
        if synced.accepted {
            sweeper.doom(synced.doomed);
        } else if sync::registration(synced.generation) == self.registration {
            // The response to a later report was lost.
            *sequence = (*sequence).max(synced.generation as u32);
        } else {
            return Err(self.runner.client.replaced());
        }
        Ok(())
    }
}
