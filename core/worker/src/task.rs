//! The life of a task on a worker.

mod output;

use crate::client::Client;
use crate::driver::{Driver as _, ProcessDriver};
use crate::{Error, Stop, tree};
use davy_base::Clock;
use davy_model::HandleKind;
use davy_model::wire::{Assignment, Creation, End, Ended, LogPart, LogStored};
use output::Output;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::time::Duration;

/// From one message about a task to the next, at most.
const RENEW: Duration = Duration::from_secs(2);
/// How long output is collected before it is sent.
const COLLECT: Duration = Duration::from_millis(100);
/// The size of part of an output, in bytes.
const PART_BYTES: usize = 512 << 10;

/// What a task needs of its worker.
#[derive(Clone)]
pub(crate) struct Runner {
    pub(crate) client: Client,
    pub(crate) driver: Arc<ProcessDriver>,
    pub(crate) clock: Clock,
    pub(crate) stop: Stop,
}

/// Why a task ended before its process did.
enum Interruption {
    /// The worker no longer holds the build; it has nothing to report.
    Lost,
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
        let build = assignment.id;
        tracing::info!(build, "build started");
        let end = match self.attempt(assignment) {
            Ok(status) => End::Exited {
                code: exit_code(status),
            },
            Err(Interruption::End(end)) => end,
            Err(Interruption::Lost) => {
                tracing::warn!(build, "the build is no longer held by this worker");
                kill(&assignment.container);
                return;
            }
        };
        // Whatever the task has left running.
        kill(&assignment.container);
        let path = format!("builds/{build}/end");
        let ended = self.client.persist(&self.stop, |client| {
            client.call::<Ended>("POST", &path, &end)
        });
        match ended {
            Ok(Ended { is_held }) => tracing::info!(build, %end, is_held, "build ended"),
            Err(error) => tracing::warn!(build, %error, "cannot report the end of a build"),
        }
    }

    fn attempt(&self, assignment: &Assignment) -> Result<ExitStatus, Interruption> {
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
        let child = ProcessDriver::start(&assignment.container, &folder, task);
        let child =
            child.map_err(|error| errored(format!("cannot start {:?}: {error}", task.run.path)))?;
        let status = self.follow(assignment, child)?;
        for output in &task.outputs {
            self.deliver(assignment.id, &output.name, &folder)?;
        }
        Ok(status)
    }

    fn create(&self, assignment: &Assignment) -> Result<std::path::PathBuf, Interruption> {
        let (container, volume) = (&assignment.container, &assignment.volume);
        let created = self.driver.create(container, volume);
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
                if let Err(error) = self.driver.destroy(handle, kind) {
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

    /// Sends the output of the process until it exits.
    fn follow(
        &self,
        assignment: &Assignment,
        mut child: Child,
    ) -> Result<ExitStatus, Interruption> {
        let followed = self.pump(assignment, &mut child);
        if followed.is_err() {
            kill(&assignment.container);
            // Reaps it; it is dead or about to be.
            let _ = child.kill().and_then(|()| child.wait());
        }
        followed
    }

    fn pump(&self, assignment: &Assignment, child: &mut Child) -> Result<ExitStatus, Interruption> {
        let failed = |error: io::Error| errored(format!("cannot follow the task: {error}"));
        let mut output = Output::of(child).map_err(failed)?;
        let seconds = assignment.task.timeout_seconds;
        let started = self.clock.monotonic();
        let limit = started.saturating_add(Duration::from_secs(seconds));
        let (mut number, mut sent_at) = (0, started);
        let mut exited = None;
        loop {
            let text = output.collect(COLLECT);
            let now = self.clock.monotonic();
            if !text.is_empty() || now.saturating_sub(sent_at) >= RENEW {
                number += i64::from(!text.is_empty());
                self.send(assignment.id, &LogPart { number, text })?;
                sent_at = now;
            }
            if let Some(status) = exited
                && output.is_over()
            {
                return Ok(status);
            }
            if exited.is_none() {
                exited = child.try_wait().map_err(failed)?;
                if exited.is_some() {
                    // Processes that it left behind would keep its output open.
                    kill(&assignment.container);
                }
            }
            if now >= limit {
                return Err(errored(format!(
                    "the task exceeded its time limit of {seconds} s"
                )));
            }
            if self.stop.is_killing() {
                return Err(errored("the worker was stopped"));
            }
        }
    }

    fn send(&self, build: i64, part: &LogPart) -> Result<(), Interruption> {
        let path = format!("builds/{build}/log");
        let stored = self
            .client
            .persist(&self.stop, |client| client.call("POST", &path, part))?;
        match stored {
            LogStored { is_held: false, .. } => Err(Interruption::Lost),
            LogStored { is_full: true, .. } => Err(errored(
                "the task printed more than 16 MiB; write large output to a file",
            )),
            LogStored {
                is_abort_requested: true,
                ..
            } => Err(Interruption::End(End::Aborted)),
            LogStored { .. } => Ok(()),
        }
    }
}

fn kill(container: &str) {
    if let Err(error) = ProcessDriver::kill(container) {
        tracing::warn!(container, %error, "cannot kill the processes of a container");
    }
}

/// The exit code as shells count it: 128 and the number of the signal that killed the process.
fn exit_code(status: ExitStatus) -> i32 {
    let signal = status.signal().map(|signal| 128 + signal);
    status.code().or(signal).unwrap_or(1)
}
