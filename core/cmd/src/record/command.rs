//! The command to record, and the signals that end a recording.

use crate::failure::Failure;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// How the recorded command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CommandEnd {
    /// No command was started.
    NotStarted,
    /// It exited with this status.
    Exited(ExitStatus),
    /// It is still running with this pid.
    Running(u32),
}

impl CommandEnd {
    /// The exit code as a shell reports it.
    pub(super) fn exit_code(self) -> Option<i32> {
        match self {
            Self::Exited(status) => status.code().or_else(|| Some(128 + status.signal()?)),
            Self::NotStarted | Self::Running(_) => None,
        }
    }

    /// A message for the operator.
    pub(super) fn sentence(self) -> Option<String> {
        match self {
            Self::Exited(status) if !status.success() => Some(match status.signal() {
                Some(signal) => format!("the command was terminated by signal {signal}"),
                None => format!(
                    "the command exited with code {}",
                    status.code().unwrap_or_default()
                ),
            }),
            Self::Running(pid) => Some(format!("the command is still running with pid {pid}")),
            Self::NotStarted | Self::Exited(_) => None,
        }
    }
}

/// A command that was started.
pub(super) struct RunningCommand {
    child: Child,
    status: Option<ExitStatus>,
}

impl RunningCommand {
    /// Starts it with the input, output and environment of this process.
    pub(super) fn start(program: &str, arguments: &[String]) -> Result<Self, Failure> {
        let child = Command::new(program).args(arguments).spawn();
        let child = child.map_err(|source| Failure::Spawn {
            program: program.to_owned(),
            source,
        })?;
        Ok(Self {
            child,
            status: None,
        })
    }

    pub(super) fn is_running(&mut self) -> bool {
        if self.status.is_none() {
            self.status = self.child.try_wait().ok().flatten();
        }
        self.status.is_none()
    }

    /// Forwards a SIGTERM, which only this process has received. Ctrl-C reaches both processes.
    pub(super) fn forward(&mut self, interruption: &Interruption) {
        if interruption.is_termination() && self.is_running() {
            // SAFETY: kill takes two integers; the child has not been waited for, so its pid is its own.
            unsafe { libc::kill(self.child.id() as libc::pid_t, libc::SIGTERM) };
        }
    }

    pub(super) fn end(mut self) -> CommandEnd {
        let _ = self.is_running();
        self.status
            .map_or_else(|| CommandEnd::Running(self.child.id()), CommandEnd::Exited)
    }
}

/// Ctrl-C and SIGTERM: they end the recording, not this process.
pub(super) struct Interruption {
    _runtime: tokio::runtime::Runtime,
    seen: watch::Receiver<Seen>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    count: u32,
    terminate: bool,
}

impl Interruption {
    /// Starts handling the signals.
    pub(super) fn watch() -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::because("cannot handle signals")(error);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(failed)?;
        let (sender, seen) = watch::channel(Seen::default());
        let entered = runtime.enter();
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        drop(entered);
        runtime.spawn(async move {
            loop {
                let is_termination = tokio::select! {
                    _ = interrupt.recv() => false,
                    _ = terminate.recv() => true,
                };
                sender.send_modify(|seen| {
                    seen.count += 1;
                    seen.terminate |= is_termination;
                });
            }
        });
        Ok(Self {
            _runtime: runtime,
            seen,
        })
    }

    /// Number of signals received.
    pub(super) fn count(&self) -> u32 {
        self.seen.borrow().count
    }

    /// Whether one of them was a SIGTERM.
    pub(super) fn is_termination(&self) -> bool {
        self.seen.borrow().terminate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_code_follows_the_convention_of_shells() {
        let check = |raw: i32, code: i32, sentence: Option<&str>| {
            let ended = CommandEnd::Exited(ExitStatus::from_raw(raw));
            assert_eq!(ended.exit_code(), Some(code));
            assert_eq!(ended.sentence().as_deref(), sentence);
        };
        check(0, 0, None);
        check(3 << 8, 3, Some("the command exited with code 3"));
        check(9, 137, Some("the command was terminated by signal 9"));
        assert_eq!(CommandEnd::NotStarted.exit_code(), None);
        assert_eq!(
            CommandEnd::Running(7).sentence().as_deref(),
            Some("the command is still running with pid 7")
        );
    }
}
