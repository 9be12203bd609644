//! A child process as a member.

mod cgroup;
mod spawner;

pub use cgroup::ChildCgroup;

use crate::context::Context;
use crate::error::Error;
use crate::notify::Listener;
use crate::trace::Ending;
use davy_cgroup::Cgroup;
use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use tokio::process::Command;

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Status(i32),
    Signal(i32),
    /// The kernel killed it because memory ran out; the limit of its cgroup in bytes.
    OutOfMemory(Option<u64>),
}

impl Exit {
    fn of(status: ExitStatus, cgroup: Option<&Cgroup>) -> Self {
        // The cgroup is that of this run. The kernel counts the kill before it sends the signal.
        let figures = cgroup.map(Cgroup::figures).unwrap_or_default();
        let is_out_of_memory = figures.oom_kills.is_some_and(|kills| kills > 0);
        match status.signal() {
            Some(libc::SIGKILL) if is_out_of_memory => Self::OutOfMemory(figures.memory_max_bytes),
            Some(signal) => Self::Signal(signal),
            None => Self::Status(status.code().unwrap_or_default()),
        }
    }

    /// `asked` is whether the child was sent SIGTERM. If so, an end by that signal is a clean one, also
    /// if the child reports it as an exit status as shells do.
    pub(crate) fn ending(self, asked: bool) -> Ending {
        match self {
            Self::Status(0) | Self::Signal(libc::SIGTERM) if asked => Ending::Drained,
            Self::Status(status) if asked && status == 128 + libc::SIGTERM => Ending::Drained,
            Self::Status(status) => Ending::Exited(status),
            Self::Signal(signal) => Ending::Killed(signal),
            Self::OutOfMemory(limit) => Ending::OutOfMemory(limit),
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the child {}", self.ending(false))
    }
}

impl std::error::Error for Exit {}

#[derive(Debug, thiserror::Error)]
#[error("cannot start {}: {source}", .program.display())]
struct SpawnError {
    program: PathBuf,
    source: std::io::Error,
}

/// The process group of a child, by the pid of its leader. Dropping it kills the processes in it.
struct Group(Option<i32>);

impl Group {
    fn kill(&self) {
        if let Some(leader) = self.0 {
            signal(-leader, libc::SIGKILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs a child until it ends. The error is an [`Exit`] if the child was started.
pub(crate) async fn run(
    context: Context,
    mut command: Command,
    cgroup: Option<ChildCgroup>,
) -> Result<(), Error> {
    let program = command.as_std().get_program().to_owned();
    let listener = Listener::bind()?;
    command
        .env(crate::notify::SOCKET_VARIABLE, listener.address())
        // The child is not in the terminal's foreground group, so reading from there would stop it.
        .stdin(Stdio::null())
        .process_group(0)
        .kill_on_drop(true);
    let cgroup = match cgroup {
        Some(cgroup) => cgroup.enter(&context, &mut command).await,
        None => None,
    };
    let mut child = spawner::spawn(command).await.map_err(|source| SpawnError {
        program: program.into(),
        source,
    })?;
    let leader = child.id().and_then(|pid| i32::try_from(pid).ok());
    let mut group = Group(leader);
    context.set_pid(child.id());
    let (mut is_ready, mut is_asked, mut is_killed) = (false, false, false);
    loop {
        // The kernel does not reuse the pid before `wait` has returned, because only `wait` reaps.
        tokio::select! {
            biased;
            () = listener.ready(), if !is_ready => {
                is_ready = true;
                context.ready();
            }
            status = child.wait() => {
                // Processes that the child left in its group are killed, as leaked tasks are cancelled.
                group.kill();
                group.0 = None;
                if let Some(Err(error)) = cgroup.as_ref().map(Cgroup::kill) {
                    tracing::warn!(member = context.name(), %error, "cannot kill what a child left");
                }
                return Err(Exit::of(status?, cgroup.as_ref()).into());
            }
            () = context.killed(), if !is_killed => {
                is_killed = true;
                group.kill();
            }
            () = context.draining(), if !is_asked => {
                is_asked = true;
                if let Some(leader) = leader {
                    signal(leader, libc::SIGTERM);
                }
            }
        }
    }
}

fn signal(process: i32, signal: i32) {
    // SAFETY: `kill` takes two integers and accesses no memory of this process. It fails if the process
    // is already gone, which `wait` reports.
    unsafe {
        libc::kill(process, signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_by_sigterm_is_a_drain_only_if_the_child_was_asked_to_end() {
        let check = |exit: Exit, asked: bool, expected: Ending| {
            assert_eq!(exit.ending(asked), expected, "{exit:?}, asked: {asked}");
        };
        check(Exit::Status(0), true, Ending::Drained);
        check(Exit::Status(0), false, Ending::Exited(0));
        check(Exit::Signal(15), true, Ending::Drained);
        check(Exit::Signal(15), false, Ending::Killed(15));
        check(Exit::Status(143), true, Ending::Drained);
        check(Exit::Status(1), true, Ending::Exited(1));
        check(Exit::Signal(9), true, Ending::Killed(9));
    }
}
