//! A running profiler and its end.

use crate::drain::Command;
use crate::handle::Handle;
use crate::push::Settings;
use crate::recorder::StopFlag;
use crate::{Error, heap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// The process whose profiler is running: a process has at most one.
static RUNNING: AtomicU32 = AtomicU32::new(NONE);
const NONE: u32 = 0;

/// How long a dropped profiler waits for its threads.
const DROP_DEADLINE: Duration = Duration::from_millis(200);

/// Marks this process as profiled until it is dropped.
#[derive(Debug)]
pub(crate) struct Running(u32);

impl Running {
    pub(crate) fn begin() -> Result<Self, Error> {
        let process = std::process::id();
        // In a forked child, the parent's id is here; its profiler does not run in the child.
        if RUNNING.swap(process, Ordering::AcqRel) == process {
            return Err(Error::AlreadyRunning);
        }
        Ok(Self(process))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.0 == std::process::id() {
            heap::stop();
            RUNNING.store(NONE, Ordering::Release);
        }
    }
}

/// A running profiler. Dropping it stops it without waiting for archivers.
#[derive(Debug)]
#[must_use = "dropping the profiler stops it"]
pub struct Profiler {
    pub(crate) handle: Handle,
    pub(crate) recorder: Arc<StopFlag>,
    pub(crate) drain: Option<JoinHandle<()>>,
    pub(crate) push: Option<JoinHandle<()>>,
    pub(crate) process: u32,
    pub(crate) settings: Settings,
    pub(crate) _running: Running,
}

impl Profiler {
    /// A handle to query and reconfigure the profiler from anywhere.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Stops sampling, ends the open window and delivers everything, within `deadline`.
    pub fn shutdown(mut self, deadline: Duration) -> Result<(), Error> {
        self.stop(deadline)
    }

    fn stop(&mut self, deadline: Duration) -> Result<(), Error> {
        let Some(drain) = self.drain.take() else {
            return Ok(());
        };
        // A forked child does not have the profiler's threads, and the windows belong to its parent.
        if std::process::id() != self.process {
            return Ok(());
        }
        self.recorder.stop();
        let _ = self.handle.mailbox.send(Command::Stop);
        let _ = drain.join();
        let undelivered = self.handle.outbox.stop(deadline, &self.settings);
        if undelivered.is_none()
            && let Some(push) = self.push.take()
        {
            let _ = push.join();
        }
        match undelivered {
            None => Ok(()),
            Some(left) => Err(Error::Undelivered {
                windows: left.windows,
                bytes: left.bytes,
                reason: left.reason,
            }),
        }
    }
}

impl Drop for Profiler {
    fn drop(&mut self) {
        // Windows that are not delivered by the deadline are lost, as documented.
        let _ = self.stop(DROP_DEADLINE);
    }
}
