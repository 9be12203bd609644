//! The command that is started to be sampled, and the signals that end a recording.

use crate::cli::Failure;
use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// How the sampled program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It was not started here.
    NotOurs,
    /// With this status.
    With(ExitStatus),
    /// It goes on.
    StillRuns(u32),
}

impl Ended {
    /// What to exit with, as a shell would tell it.
    pub(super) fn exit_code(self) -> Option<i32> {
        match self {
            Self::With(status) => status.code().or_else(|| Some(128 + status.signal()?)),
            Self::NotOurs | Self::StillRuns(_) => None,
        }
    }

    /// What to say of it.
    pub(super) fn sentence(self) -> Option<String> {
        match self {
            Self::With(status) if !status.success() => Some(match status.signal() {
                Some(signal) => format!("the command was ended by signal {signal}"),
                None => format!(
                    "the command ended with exit code {}",
                    status.code().unwrap_or_default()
                ),
            }),
            Self::StillRuns(pid) => Some(format!("the command still runs, as process {pid}")),
            Self::NotOurs | Self::With(_) => None,
        }
    }
}

/// A command under way.
pub(super) struct Running {
    child: Child,
    status: Option<ExitStatus>,
}

impl Running {
    /// Starts it, with this program's own input, output and surroundings.
    pub(super) fn start(program: &str, arguments: &[String]) -> Result<Self, Failure> {
        let child = Command::new(program).args(arguments).spawn();
        let child = child.map_err(|error| {
            let why = format!("{program} can't be started: {error}");
            match error.kind() {
                ErrorKind::NotFound => Failure::Command(127, why),
                _ => Failure::Command(126, why),
            }
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

    /// Hands on a request to end that has reached this program alone: a Ctrl-C reaches both.
    pub(super) fn pass_on(&mut self, interruption: &Interruption) {
        if interruption.is_termination() && self.is_running() {
            // SAFETY: the child is not waited for yet, so its number is still its own.
            unsafe { libc::kill(self.child.id() as libc::pid_t, libc::SIGTERM) };
        }
    }

    pub(super) fn ended(mut self) -> Ended {
        let _still = self.is_running();
        self.status
            .map_or_else(|| Ended::StillRuns(self.child.id()), Ended::With)
    }
}

/// Requests to end, by Ctrl-C or SIGTERM, which end the recording and not this program.
pub(super) struct Interruption {
    _runtime: tokio::runtime::Runtime,
    seen: watch::Receiver<Seen>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    times: u32,
    terminate: bool,
}

impl Interruption {
    /// Watches from now on.
    pub(super) fn watch() -> Result<Self, Failure> {
        let failed =
            |error: std::io::Error| Failure::Failed(format!("signals can't be watched: {error}"));
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
                    seen.times += 1;
                    seen.terminate |= is_termination;
                });
            }
        });
        Ok(Self {
            _runtime: runtime,
            seen,
        })
    }

    /// How many came.
    pub(super) fn times(&self) -> u32 {
        self.seen.borrow().times
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
    fn an_end_is_told_as_a_shell_tells_it() {
        let check = |raw: i32, code: i32, sentence: Option<&str>| {
            let ended = Ended::With(ExitStatus::from_raw(raw));
            assert_eq!(ended.exit_code(), Some(code));
            assert_eq!(ended.sentence().as_deref(), sentence);
        };
        check(0, 0, None);
        check(3 << 8, 3, Some("the command ended with exit code 3"));
        check(9, 137, Some("the command was ended by signal 9"));
        assert_eq!(Ended::NotOurs.exit_code(), None);
        assert_eq!(
            Ended::StillRuns(7).sentence().as_deref(),
            Some("the command still runs, as process 7")
        );
    }
}
