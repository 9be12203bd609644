//! The profiler and the usage of a worker's process.

use crate::failure::Failure;
use crate::hostname::hostname;
use davy_base::{Clock, Random};
use davy_control::{Identity, WorkerMeter, WorkerReport};
use davy_profiler::Profiler;
use davy_worker::{DiskUsage, UsageSender, Worker};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;
use ulid::Ulid;

/// The members of a worker.
const MEMBERS: [&str; 3] = ["worker.protocol", "worker.sweeper", "worker.tasks"];
/// The length of a window of a task.
const TASK_WINDOW: &str = "15s";
/// From one usage to the next; processes that are silent for ten seconds count as ended.
const INTERVAL: Duration = Duration::from_secs(5);
/// How long the profiler may take to deliver its last windows, and the names of a build that the archiver does not have.
/// The next process of the worker delivers what is left, so a stop does not wait for the index of a new build.
const SHUTDOWN: Duration = Duration::from_millis(700);

/// The profiler and the identity of a worker's process.
pub(super) struct Telemetry {
    profiler: Option<Profiler>,
    id: Ulid,
    process: String,
}

/// Where windows are pushed; `None` without a profiler.
pub(super) struct ProfilerTarget<'a> {
    pub(super) archive: &'a str,
    pub(super) folder: &'a Path,
}

impl Telemetry {
    /// Starts the profiler. Threads are attributed to members by their names.
    pub(super) fn start(name: &str, target: Option<ProfilerTarget<'_>>) -> Result<Self, Failure> {
        davy_tag::start_accounting();
        let clock = Clock::system();
        let id = Ulid::from_parts(clock.now().millis() as u64, Random::system().next_u128());
        let process = format!("worker/{name}");
        let profiler = target.map(|target| {
            let started = davy_profiler::Builder::new("davy")
                .process(&process)
                .instance(format!("{}:{id}", hostname()))
                .label("version", env!("CARGO_PKG_VERSION"))
                .thread_tag("build", "worker.tasks", "run")
                .thread_tag("destroy", "worker.sweeper", "destroy")
                .spool(target.folder.join("spool"))
                .symbols(target.folder.join("symbols"))
                .start();
            let profiler = started.map_err(|error| {
                Failure::because("cannot start the profiler")(error)
                    .with_hint("pass --profiler=false to run without it")
            })?;
            let pushed = profiler.handle().push_to(target.archive);
            pushed.map_err(Failure::because(format!(
                "the profiler cannot push to {}",
                target.archive
            )))?;
            Ok::<_, Failure>(profiler)
        });
        Ok(Self {
            profiler: profiler.transpose()?,
            id,
            process,
        })
    }

    /// Starts the thread that sends the usage of this process.
    pub(super) fn send(&self, worker: &Worker, folder: PathBuf) -> Result<(), Failure> {
        let identity = Identity {
            id: self.id,
            process: self.process.clone(),
            host: hostname(),
            parent: None,
            version: env!("CARGO_PKG_VERSION"),
            debug: String::new(),
        };
        let handle = self.profiler.as_ref().map(Profiler::handle);
        let meter = WorkerMeter::new(identity, Clock::system(), handle);
        let sender = worker.usage_sender(folder);
        let thread = std::thread::Builder::new().name("usage".to_owned());
        let started = thread.spawn(move || send(sender, &meter));
        started
            .map(drop)
            .map_err(Failure::because("cannot start a thread"))
    }

    /// Delivers the last windows.
    pub(super) fn stop(self) {
        let Some(profiler) = self.profiler else {
            return;
        };
        if let Err(error) = profiler.shutdown(SHUTDOWN) {
            tracing::warn!(%error, "the last windows of the profiler are delivered at the next start");
        }
    }
}

/// The command that samples the container of a task and pushes its windows to an archive.
pub(super) fn sampler(archive: &str) -> Vec<OsString> {
    ["/proc/self/exe", "record", "--push", "--every", TASK_WINDOW]
        .into_iter()
        .chain(["--server", archive])
        .map(OsString::from)
        .collect()
}

fn send(sender: UsageSender, meter: &WorkerMeter) {
    sender.run(INTERVAL, |disk: Option<DiskUsage>| WorkerReport {
        disk_bytes: disk.map(|disk| disk.bytes),
        disk_free_bytes: disk.map(|disk| disk.free_bytes),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        report: meter.report(&MEMBERS),
    });
}
