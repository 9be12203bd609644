//! The archivers: processes on hosts, which are started, killed, and started again in another version.

use crate::executor::{Executor, OUTSIDE, Process, TaskId};
use crate::scenario::{Disturbance, Scenario};
use crate::store::SimStore;
use crate::trace::Trace;
use davy_archive::{Archive, ArchiveOptions};
use davy_base::{Clock, Random, Timestamp};
use davy_bucket::{BucketUrl, OpenBucket, Scheme};
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// A running process.
#[derive(Clone)]
pub(crate) struct Running {
    process: Process,
    archive: Archive,
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "archiver {}", self.process.0)
    }
}

struct Host {
    /// By how much its clock differs from the true time, in seconds.
    skew: i64,
    running: Option<Running>,
}

struct State {
    hosts: Vec<Host>,
    random: Random,
    /// Number of processes that were started.
    started: u32,
    interval: Duration,
    are_kept: bool,
}

/// The archivers of a history.
pub(crate) struct Fleet {
    executor: Rc<Executor>,
    store: SimStore,
    clock: Clock,
    trace: Trace,
    scenario: Rc<Scenario>,
    state: RefCell<State>,
}

/// `time` shifted by `seconds`, which may be negative.
fn shifted(time: Timestamp, seconds: i64) -> Timestamp {
    let span = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 {
        time.minus(span)
    } else {
        time.plus(span)
    }
}

impl Fleet {
    /// Hosts without processes.
    pub(crate) fn new(
        executor: Rc<Executor>,
        store: SimStore,
        clock: Clock,
        trace: Trace,
        scenario: Rc<Scenario>,
        random: Random,
    ) -> Self {
        let host = |skew: &i64| Host {
            skew: *skew,
            running: None,
        };
        let state = State {
            hosts: scenario.skews.iter().map(host).collect(),
            random,
            started: 0,
            interval: scenario.interval,
            are_kept: false,
        };
        Self {
            executor,
            store,
            clock,
            trace,
            scenario,
            state: RefCell::new(state),
        }
    }

    /// Starts a process on every host that has none.
    pub(crate) fn start_all(&self) {
        let hosts = self.state.borrow().hosts.len();
        for host in 0..hosts {
            self.start(host);
        }
    }

    /// Kills all processes and starts others, which compact rarely and are neither killed nor paused.
    pub(crate) fn settle(&self) {
        let (hosts, started) = {
            let state = &mut *self.state.borrow_mut();
            state.interval = self.scenario.slow_interval;
            state.are_kept = true;
            let hosts = state.hosts.len();
            // In most histories one, because that makes compaction rounds shorter.
            let started = if state.random.below(4) == 0 { hosts } else { 1 };
            (hosts, started)
        };
        for host in 0..hosts {
            self.stop(host);
        }
        for host in 0..started {
            self.start(host);
        }
    }

    fn options(&self, process: Process, clock: Clock) -> ArchiveOptions {
        let mut state = self.state.borrow_mut();
        let store = self.store.for_process(&format!("archiver {}", process.0));
        let opened = OpenBucket {
            store: Arc::new(store),
            multipart: None,
            // A remote object store, so that requests are retried and hedged.
            url: BucketUrl {
                scheme: Scheme::S3,
                name: "simulated".to_owned(),
                prefix: String::new(),
            },
        };
        let mut options = ArchiveOptions {
            clock,
            random: Random::seeded(state.random.next_u64()),
            retention: self.scenario.accepted,
            levels: self.scenario.levels,
            compact_interval: state.interval,
            ..ArchiveOptions::of(opened)
        };
        let version = state.random.below(2) as usize;
        self.scenario.versions[version].apply(&mut options);
        options
    }

    fn start(&self, host: usize) {
        let (process, skew) = {
            let mut state = self.state.borrow_mut();
            if state.hosts[host].running.is_some() {
                return;
            }
            state.started += 1;
            (Process(state.started), state.hosts[host].skew)
        };
        let clock = Clock::manual(shifted(self.clock.now(), skew));
        self.executor.add_clock(process, clock.clone());
        let options = self.options(process, clock);
        self.trace.event(self.clock.now(), || {
            let writer = &options.writer;
            format!(
                "archiver {} started, version {writer}, clock {skew} s",
                process.0
            )
        });
        let metrics = prometheus::Registry::new();
        let archive = Archive::new(options, &metrics).expect("a fresh registry");
        let drain = CancellationToken::new();
        let ingest = archive.ingest().run(drain.clone());
        self.executor.spawn(process, ingest);
        self.executor.spawn(process, archive.compactor().run(drain));
        let running = Running { process, archive };
        self.state.borrow_mut().hosts[host].running = Some(running);
    }

    fn stop(&self, host: usize) {
        let running = self.state.borrow_mut().hosts[host].running.take();
        if let Some(running) = running {
            let number = running.process.0;
            let killed = || format!("archiver {number} killed");
            self.trace.event(self.clock.now(), killed);
            self.executor.kill(running.process);
        }
    }

    /// Decides whether a process is killed or paused after a step. If it is killed, another one starts on its host after
    /// some time.
    pub(crate) fn disturb(self: &Rc<Self>, process: Process) {
        let (host, disturbance) = {
            let state = &mut *self.state.borrow_mut();
            if state.are_kept {
                return;
            }
            let Some(disturbance) = self.scenario.disturbance(&mut state.random) else {
                return;
            };
            let is_of = |host: &Host| {
                host.running
                    .as_ref()
                    .is_some_and(|of| of.process == process)
            };
            let Some(host) = state.hosts.iter().position(is_of) else {
                return;
            };
            (host, disturbance)
        };
        let (fleet, clock) = (Rc::clone(self), self.clock.clone());
        match disturbance {
            Disturbance::Kill(pause) => {
                self.stop(host);
                self.executor.spawn(OUTSIDE, async move {
                    clock.sleep(pause).await;
                    fleet.start(host);
                });
            }
            Disturbance::Pause(pause) => {
                let paused = || format!("archiver {} paused for {} s", process.0, pause.as_secs());
                self.trace.event(self.clock.now(), paused);
                self.executor.pause(process);
                self.executor.spawn(OUTSIDE, async move {
                    clock.sleep(pause).await;
                    fleet.executor.resume(process);
                });
            }
        }
    }

    /// One of the running processes.
    pub(crate) fn any(&self) -> Option<Running> {
        let mut state = self.state.borrow_mut();
        let running: Vec<Running> = state
            .hosts
            .iter()
            .filter_map(|host| host.running.clone())
            .collect();
        let which = state.random.below(running.len() as u64);
        running.into_iter().nth(which as usize)
    }

    /// Runs a request in a process. There is no response if the process is killed.
    pub(crate) fn call<T: 'static, F>(
        &self,
        running: &Running,
        request: impl FnOnce(Archive) -> F,
    ) -> (TaskId, oneshot::Receiver<T>)
    where
        F: Future<Output = T> + 'static,
    {
        let (send, answer) = oneshot::channel();
        let work = request(running.archive.clone());
        let task = self.executor.spawn(running.process, async move {
            // The client may have disconnected.
            let _ = send.send(work.await);
        });
        (task, answer)
    }

    /// Drops a request whose client has disconnected.
    pub(crate) fn cancel(&self, task: TaskId) {
        self.executor.cancel(task);
    }
}
