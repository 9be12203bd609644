//! A unix process, kept as a member.

mod spawner;

use crate::context::Context;
use crate::member::Error;
use crate::notify::Listener;
use crate::trace::Ending;
use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use tokio::process::Command;

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Status(i32),
    Signal(i32),
}

impl Exit {
    fn of(status: ExitStatus) -> Self {
        match status.signal() {
            Some(signal) => Self::Signal(signal),
            None => Self::Status(status.code().unwrap_or_default()),
        }
    }

    /// `told` is whether it had been sent SIGTERM: then that signal's effect is what was wished, also
    /// where the child reports it by a status as shells do.
    pub(crate) fn ending(self, told: bool) -> Ending {
        match self {
            Self::Status(0) | Self::Signal(libc::SIGTERM) if told => Ending::Drained,
            Self::Status(status) if told && status == 128 + libc::SIGTERM => Ending::Drained,
            Self::Status(status) => Ending::Exited(status),
            Self::Signal(signal) => Ending::Killed(signal),
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the child {}", self.ending(false))
    }
}

impl std::error::Error for Exit {}

/// Kills a child's process group, at the latest when nobody keeps the child any more.
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

/// Runs a child until it ends. Always gives an [`Exit`] where the child could be started at all.
pub(crate) async fn keep(context: Context, mut command: Command) -> Result<(), Error> {
    let program = command.as_std().get_program().to_owned();
    let listener = Listener::bind()?;
    command
        .env(crate::notify::SOCKET_VARIABLE, listener.address())
        // Out of the terminal's foreground: it would be stopped if it read from there.
        .stdin(Stdio::null())
        .process_group(0)
        .kill_on_drop(true);
    let mut child = spawner::spawn(command)
        .await
        .map_err(|error| format!("{} can't be started: {error}", program.display()))?;
    let leader = child.id().and_then(|pid| i32::try_from(pid).ok());
    let mut group = Group(leader);
    context.set_pid(child.id());
    let (mut is_ready, mut is_told, mut is_killed) = (false, false, false);
    loop {
        // The pid is the child's own as long as `wait` has not returned: only that reaps it.
        tokio::select! {
            biased;
            () = listener.ready(), if !is_ready => {
                is_ready = true;
                context.ready();
            }
            status = child.wait() => {
                // What it has left behind in its group goes with it, as a task's tasks do.
                group.kill();
                group.0 = None;
                return Err(Exit::of(status?).into());
            }
            () = context.killed(), if !is_killed => {
                is_killed = true;
                group.kill();
            }
            () = context.draining(), if !is_told => {
                is_told = true;
                if let Some(leader) = leader {
                    signal(leader, libc::SIGTERM);
                }
            }
        }
    }
}

fn signal(process: i32, signal: i32) {
    // SAFETY: `kill` takes two numbers and touches no memory of ours. That the process is already
    // gone is no error here: its end is on the way to us.
    unsafe {
        libc::kill(process, signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_by_sigterm_is_a_drain_only_if_it_was_told() {
        let check = |exit: Exit, told: bool, expected: Ending| {
            assert_eq!(exit.ending(told), expected, "{exit:?}, told: {told}");
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
