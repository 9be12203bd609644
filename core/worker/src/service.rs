//! The process of a worker: registration, the loop that claims builds, and the loop that reports and sweeps.

use crate::client::Client;
use crate::containers::Containers;
use crate::driver::Driver as _;
use crate::options::{self, WorkerOptions};
use crate::sweeper::Sweeper;
use crate::task::Runner;
use crate::{Error, Stop, terminal};
use davy_model::sync::generation;
use davy_model::wire::{
    Assignment, Claimed, Leave, Left, Registration, Status, Sync, Synced, TerminalRequest,
};
use davy_model::worker::SYNC_INTERVAL;
use davy_model::{Report, sync};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
/// How often unused images are looked for.
const COLLECT_IMAGES: Duration = Duration::from_hours(1);

/// A registered worker.
pub struct Worker {
    pub(crate) shared: Arc<Shared>,
    resumed: Vec<Assignment>,
    /// Held while the worker runs.
    _lock: File,
}

/// What the threads of a worker share.
pub(crate) struct Shared {
    pub(crate) runner: Runner,
    registration: i64,
    sync_interval: Duration,
    driver: String,
    builds: Mutex<Builds>,
    fatal: Mutex<Option<Error>>,
}

/// The builds that run, by number.
#[derive(Default)]
struct Builds {
    running: BTreeMap<i64, JoinHandle<()>>,
    /// Whether builds that arrive now are ignored, because the server was told that they have not arrived.
    is_closed: bool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Worker {
    /// Locks the folder, finds the tasks that an earlier process left running, and registers. Waits until the server
    /// responds, or the worker is stopped.
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
        let (containers, driver) = options::containers(&options)?;
        let found = containers.found().map_err(failed)?;
        let (resumed, lost): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|found| found.is_followed);
        for found in lost {
            let container = &found.assignment.container;
            if let Err(error) = containers.kill(container) {
                tracing::warn!(container, %error, "cannot kill what is left of a container");
            }
        }
        let resumed: Vec<Assignment> = resumed.into_iter().map(|found| found.assignment).collect();
        let builds: BTreeSet<i64> = resumed.iter().map(|assignment| assignment.id).collect();
        let client = Client::new(&options.server, &options.name, options.key);
        let registration = |challenge| Registration {
            challenge,
            platform: std::env::consts::OS.to_owned(),
            tags: options.tags.clone(),
            capacity: options.capacity,
            is_ephemeral: options.is_ephemeral,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            builds: builds.clone(),
        };
        let (client, registration) = client.persist_unless(stop, Stop::is_landing, |client| {
            client.register(registration)
        })?;
        tracing::info!(
            worker = options.name,
            registration,
            driver,
            resumed = resumed.len(),
            "registered"
        );
        let shared = Shared {
            runner: Runner {
                client,
                containers: Arc::new(containers),
                clock: options.clock,
                stop: stop.clone(),
            },
            registration,
            sync_interval: options.sync_interval.min(SYNC_MAX),
            driver,
            builds: Mutex::default(),
            fatal: Mutex::default(),
        };
        Ok(Self {
            shared: Arc::new(shared),
            resumed,
            _lock: lock,
        })
    }

    /// Runs builds until the worker is stopped, or may not act for its name any more.
    pub fn run(self) -> Result<(), Error> {
        let shared = &self.shared;
        for assignment in self.resumed {
            shared.start(assignment, Runner::resume);
        }
        let claiming = shared.clone();
        // Not waited for: the server answers its request when there is a build, or after some seconds.
        let claims = std::thread::Builder::new().name("claims".to_owned());
        if let Err(source) = claims.spawn(move || claiming.claims()) {
            return Err(Error::Thread { source });
        }
        let (containers, clock) = (&shared.runner.containers, &shared.runner.clock);
        let sweeper = Sweeper::new(containers.clone(), clock.clone());
        let wake = sweeper.waker();
        std::thread::scope(|scope| {
            scope.spawn(|| shared.reports(sweeper));
            shared.runner.stop.wait_for_landing();
            shared.end();
            wake();
        });
        let fatal = locked(&shared.fatal).take();
        fatal.map_or(Ok(()), Err)
    }
}

impl Shared {
    fn fail(&self, error: Error) {
        locked(&self.fatal).get_or_insert(error);
        self.runner.stop.kill();
    }

    /// Starts the thread of a build.
    fn start(self: &Arc<Self>, build: Assignment, run: fn(&Runner, &Assignment)) {
        let mut builds = locked(&self.builds);
        if builds.is_closed {
            tracing::info!(build = build.id, "build not started, the worker stops");
            return;
        }
        let (shared, id) = (self.clone(), build.id);
        let thread = std::thread::Builder::new().name("build".to_owned());
        let started = thread.spawn(move || {
            run(&shared.runner, &build);
            locked(&shared.builds).running.remove(&build.id);
        });
        match started {
            Ok(thread) => {
                builds.running.insert(id, thread);
            }
            // Its lease expires.
            Err(error) => tracing::warn!(%error, "cannot start a thread for a build"),
        }
    }

    /// Starts the thread of a terminal.
    fn open(self: &Arc<Self>, request: TerminalRequest) {
        let runner = self.runner.clone();
        let thread = std::thread::Builder::new().name("terminal".to_owned());
        let started = thread.spawn(move || {
            terminal::run(&request, &runner.client, &runner.containers, &runner.stop);
        });
        if let Err(error) = started {
            // The person gives up.
            tracing::warn!(%error, "cannot start a thread for a terminal");
        }
    }

    /// Claims builds until the worker lands.
    fn claims(self: &Arc<Self>) {
        let stop = &self.runner.stop;
        while !stop.is_landing() {
            match self.runner.client.call("POST", "claim", &()) {
                Ok(Claimed { build, terminals }) => {
                    for terminal in terminals {
                        self.open(terminal);
                    }
                    if let Some(build) = build {
                        self.start(build, Runner::run);
                    }
                }
                Err(error) if error.is_fatal() => self.fail(error),
                Err(error) => {
                    tracing::warn!(%error, "cannot claim builds, retrying");
                    stop.wait(CLAIM_PAUSE);
                }
            }
        }
    }

    /// Gives back what has not arrived, and waits for the running builds.
    fn end(&self) {
        let running = {
            let mut builds = locked(&self.builds);
            builds.is_closed = true;
            builds.running.keys().copied().collect()
        };
        self.leave(running);
        loop {
            let next = locked(&self.builds).running.pop_first();
            let Some((_, thread)) = next else {
                break;
            };
            // A panic of a task is in the log; its lease expires.
            let _ = thread.join();
        }
        let stop = &self.runner.stop;
        if !stop.is_leaving() {
            self.leave(BTreeSet::new());
        }
        stop.kill();
    }

    /// Tells the server that this process gets no more builds.
    fn leave(&self, builds: BTreeSet<i64>) {
        if locked(&self.fatal).is_some() {
            return;
        }
        let left = self
            .runner
            .client
            .call::<Left>("POST", "leave", &Leave { builds });
        match left {
            Ok(Left { returned: 0 }) => {}
            Ok(Left { returned }) => tracing::info!(returned, "builds are pending again"),
            // What was assigned and has not arrived becomes errored when its lease expires.
            Err(error) => tracing::warn!(%error, "cannot tell the server that the worker stops"),
        }
    }

    /// Reports and sweeps until the worker is killed.
    fn reports(&self, mut sweeper: Sweeper<Containers>) {
        let Runner {
            containers,
            clock,
            stop,
            ..
        } = &self.runner;
        let mut sequence = 0;
        let mut after = String::new();
        let mut due = clock.monotonic();
        let mut images_due = due;
        let mut before = (0, 0);
        while !stop.is_killing() {
            let now = clock.monotonic();
            let status = sweeper.status();
            let builds = locked(&self.builds).running.len() as u64;
            // Something has ended: the rows of it can go.
            let busy = (builds, status.destroying);
            if busy.0 < before.0 || busy.1 < before.1 {
                due = due.min(now.saturating_add(SYNC_SOON));
            }
            before = busy;
            if now >= due {
                due = now.saturating_add(self.sync_interval);
                match self.report(&mut sweeper, (&mut sequence, &mut after), builds) {
                    Ok(()) => {}
                    Err(error) if error.is_fatal() => self.fail(error),
                    Err(error) => tracing::warn!(%error, "cannot report, retrying"),
                }
                // With very many handles a report takes long, and nothing is destroyed meanwhile.
                let pause = self.sync_interval / 2;
                due = due.max(clock.monotonic().saturating_add(pause));
            }
            if now >= images_due {
                images_due = now.saturating_add(COLLECT_IMAGES);
                if let Err(error) = containers.collect_images() {
                    tracing::warn!(%error, "cannot remove unused images");
                }
            }
            sweeper.wait(LOOK);
        }
    }

    /// Sends a report, after which `sequence` is its number, and `after` where the next one begins if one report cannot have
    /// all handles.
    fn report(
        &self,
        sweeper: &mut Sweeper<Containers>,
        (sequence, after): (&mut u32, &mut String),
        builds: u64,
    ) -> Result<(), Error> {
        // The number is chosen before the handles are listed, so that a later report never has an older list.
        *sequence += 1;
        let handles = match self.runner.containers.handles() {
            Ok(handles) => handles,
            Err(error) => {
                // A report without them would say that they are gone.
                tracing::warn!(%error, "cannot list containers and volumes");
                return Ok(());
            }
        };
        let swept = sweeper.status();
        let figures = self.runner.containers.figures().into_iter();
        let figures = figures.filter_map(|(container, figures)| {
            Some((container, serde_json::to_value(figures).ok()?))
        });
        let report = Report::of(generation(self.registration, *sequence), handles, after);
        if report.part.is_some() {
            let [containers, volumes] = report.totals();
            tracing::warn!(
                containers,
                volumes,
                reported = report.handles.len(),
                "too many containers and volumes for one report; the next ones have the others"
            );
        }
        let next = report.next().to_owned();
        let body = Sync {
            report,
            status: Status {
                destroying: swept.destroying,
                hung: swept.hung,
                failed_destroys: swept.failed,
                builds,
                driver: self.driver.clone(),
                containers: figures.collect(),
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
            *after = next;
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
