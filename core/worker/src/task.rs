//! The life of a task on a worker.

use crate::client::Client;
use crate::containers::Containers;
use crate::driver::Driver as _;
use crate::folder::read_json;
use crate::shim::spec::{EXIT, Exit, OUTPUT};
use crate::{Error, Stop, tree};
use davy_base::Clock;
use davy_model::HandleKind;
use davy_model::wire::{Assignment, Creation, End, EndReport, Ended, LogPart, LogStored};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// From one message about a task to the next, at most.
const RENEW: Duration = Duration::from_secs(2);
/// How often more output is looked for.
const LOOK: Duration = Duration::from_millis(100);
/// The size of part of a log, in bytes, at most.
const LOG_PART_BYTES: u64 = 192 << 10;
/// The size of part of an output, in bytes.
const PART_BYTES: usize = 512 << 10;

/// What a task needs of its worker.
#[derive(Clone)]
pub(crate) struct Runner {
    pub(crate) client: Client,
    pub(crate) containers: Arc<Containers>,
    pub(crate) clock: Clock,
    pub(crate) stop: Stop,
}

/// Why a task ended before its process did.
enum Interruption {
    /// The worker no longer holds the build; it has nothing to report.
    Lost,
    /// The worker ends without the task.
    Left,
    /// The build ends like this.
    End(End),
}

impl From<Error> for Interruption {
    fn from(error: Error) -> Self {
        match error {
            // The server does not know the registration or the build any more.
            Error::Refused {
                status: 401 | 409, ..
            }
            | Error::Replaced { .. } => Self::Lost,
            error => Self::End(End::Errored {
                error: error.to_string(),
            }),
        }
    }
}

fn errored(error: impl Into<String>) -> Interruption {
    Interruption::End(End::Errored {
        error: error.into(),
    })
}

impl Runner {
    /// Runs a build to its end, and reports it.
    pub(crate) fn run(&self, assignment: &Assignment) {
        tracing::info!(build = assignment.id, "build started");
        let exit = self
            .start(assignment)
            .and_then(|()| self.follow(assignment));
        self.finish(assignment, exit);
    }

    /// Goes on with a build that an earlier process of this worker has started.
    pub(crate) fn resume(&self, assignment: &Assignment) {
        tracing::info!(build = assignment.id, "build resumed");
        let exit = self.follow(assignment);
        self.finish(assignment, exit);
    }

    fn finish(&self, assignment: &Assignment, exit: Result<Exit, Interruption>) {
        let build = assignment.id;
        let report = match exit {
            Ok(Exit { end, usage }) => EndReport {
                end,
                usage: serde_json::to_value(usage).ok(),
            },
            Err(Interruption::End(end)) => EndReport { end, usage: None },
            Err(Interruption::Left) => {
                tracing::info!(build, "the task goes on without the worker");
                return;
            }
            Err(Interruption::Lost) => {
                tracing::warn!(build, "the build is no longer held by this worker");
                self.kill(&assignment.container);
                return;
            }
        };
        // Whatever the task has left running.
        self.kill(&assignment.container);
        let path = format!("builds/{build}/end");
        let ended = self.client.persist(&self.stop, |client| {
            client.call::<Ended>("POST", &path, &report)
        });
        let end = &report.end;
        match ended {
            Ok(Ended { is_held }) => tracing::info!(build, %end, is_held, "build ended"),
            Err(error) => tracing::warn!(build, %error, "cannot report the end of a build"),
        }
    }

    /// Creates the container and starts the task in it.
    fn start(&self, assignment: &Assignment) -> Result<(), Interruption> {
        let task = &assignment.task;
        // It comes from outside, and becomes parts of paths.
        task.check().map_err(|error| errored(error.to_string()))?;
        let folder = self.create(assignment)?;
        for input in &task.inputs {
            self.fetch(assignment.id, &input.name, &folder)?;
        }
        for output in &task.outputs {
            let path = folder.join(&output.name);
            std::fs::create_dir_all(&path).map_err(|error| {
                errored(format!("cannot create output {}: {error}", output.name))
            })?;
        }
        let started = self.containers.start(assignment, &folder);
        started.map_err(|error| errored(format!("cannot start the task: {error}")))
    }

    fn create(&self, assignment: &Assignment) -> Result<std::path::PathBuf, Interruption> {
        let (container, volume) = (&assignment.container, &assignment.volume);
        let created = self.containers.create(container, volume);
        for handle in [volume, container] {
            let path = format!("handles/{handle}");
            let body = Creation {
                succeeded: created.is_ok(),
            };
            self.client.persist(&self.stop, |client| {
                client.call::<Creation>("PUT", &path, &body)
            })?;
        }
        created.map_err(|error| {
            // What was created of both; the next report finds nothing of it.
            for (handle, kind) in [
                (container, HandleKind::Container),
                (volume, HandleKind::Volume),
            ] {
                if let Err(error) = self.containers.destroy(handle, kind) {
                    tracing::warn!(handle, %error, "destroy failed");
                }
            }
            errored(format!("cannot create the container: {error}"))
        })
    }

    fn fetch(&self, build: i64, name: &str, folder: &Path) -> Result<(), Interruption> {
        let mut packed = Vec::new();
        for part in 1.. {
            let path = format!("builds/{build}/inputs/{name}/{part}");
            let bytes = self
                .client
                .persist(&self.stop, |client| client.signed("GET", &path, &[]))?;
            if bytes.is_empty() {
                break;
            }
            packed.extend(bytes);
            if packed.len() > tree::PACKED_BYTES_MAX {
                return Err(errored(format!("input {name} is too large")));
            }
        }
        let folder = folder.join(name);
        let created = std::fs::create_dir_all(&folder);
        created.map_err(|error| errored(format!("cannot create input {name}: {error}")))?;
        if packed.is_empty() {
            return Ok(());
        }
        tree::unpack(&packed, &folder)
            .map_err(|error| errored(format!("cannot unpack input {name}: {error}")))
    }

    fn deliver(&self, build: i64, name: &str, folder: &Path) -> Result<(), Interruption> {
        let packed = tree::pack(&folder.join(name))
            .map_err(|error| errored(format!("cannot pack output {name}: {error}")))?;
        for (part, bytes) in (1..).zip(packed.chunks(PART_BYTES)) {
            let path = format!("builds/{build}/outputs/{name}/{part}");
            let delivered = self
                .client
                .persist(&self.stop, |client| client.signed("PUT", &path, bytes));
            delivered.map_err(|error| match error {
                Error::Refused {
                    status: 413,
                    reason,
                    ..
                } => errored(format!("cannot store output {name}: {reason}")),
                error => error.into(),
            })?;
        }
        Ok(())
    }

    /// Sends the output of a task until it ends, then its outputs. Begins after what the server has, so it can be
    /// started again at any time.
    fn follow(&self, assignment: &Assignment) -> Result<Exit, Interruption> {
        let failed = |error: io::Error| errored(format!("cannot follow the task: {error}"));
        let container = &assignment.container;
        let own = self.containers.path(container);
        let mut position = self.send(assignment.id, 0, String::new())?;
        let mut sent_at = self.clock.monotonic();
        let exit = loop {
            // Looked at before the output: what is there when the task has ended is complete. The shim writes the end
            // before it releases its lock.
            let is_running = self.containers.is_shim_running(container).map_err(failed)?;
            let exit = read_json::<Exit>(&own.join(EXIT)).ok();
            let text = output_after(&own.join(OUTPUT), position).map_err(failed)?;
            let now = self.clock.monotonic();
            if !text.is_empty() || now.saturating_sub(sent_at) >= RENEW {
                position = self.send(assignment.id, position, text)?;
                sent_at = now;
                continue;
            }
            if let Some(exit) = exit {
                break exit;
            }
            if !is_running {
                return Err(errored(
                    "the process that held the task was killed, so its exit status is unknown",
                ));
            }
            if self.stop.is_killing() {
                return Err(errored("the worker was stopped"));
            }
            if self.stop.is_leaving() {
                return Err(Interruption::Left);
            }
            self.stop.wait(LOOK);
        };
        if matches!(exit.end, End::Exited { .. }) {
            let volume = self.containers.volumes.data(&assignment.volume);
            for output in &assignment.task.outputs {
                self.deliver(assignment.id, &output.name, &volume)?;
            }
        }
        Ok(exit)
    }

    /// Sends part of the log; returns where the next one begins. Without text it only renews the lease.
    fn send(&self, build: i64, position: u64, text: String) -> Result<u64, Interruption> {
        let path = format!("builds/{build}/log");
        let part = LogPart { position, text };
        let stored = self.client.persist(&self.stop, |client| {
            if self.stop.is_leaving() && !self.stop.is_killing() {
                // Not waited for: it is sent again by the next process.
                return Ok(None);
            }
            client.call("POST", &path, &part).map(Some)
        })?;
        match stored {
            None => Err(Interruption::Left),
            Some(LogStored { is_held: false, .. }) => Err(Interruption::Lost),
            Some(LogStored { is_full: true, .. }) => Err(errored(
                "the output of the task exceeds the limit; write large output to a file",
            )),
            Some(LogStored {
                is_abort_requested: true,
                ..
            }) => Err(Interruption::End(End::Aborted)),
            Some(LogStored { position, .. }) => Ok(position),
        }
    }

    fn kill(&self, container: &str) {
        if let Err(error) = self.containers.kill(container) {
            tracing::warn!(container, %error, "cannot kill the processes of a container");
        }
    }
}

/// What a task has printed after a position: whole characters.
fn output_after(path: &Path, position: u64) -> io::Result<String> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        file => file?,
    };
    file.seek(SeekFrom::Start(position))?;
    let mut bytes = Vec::new();
    file.take(LOG_PART_BYTES).read_to_end(&mut bytes)?;
    let whole = match std::str::from_utf8(&bytes) {
        Ok(_) => bytes.len(),
        Err(error) => error.valid_up_to(),
    };
    bytes.truncate(whole);
    String::from_utf8(bytes).map_err(io::Error::other)
}
