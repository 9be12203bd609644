//! The process of a task, on the machine or in a container.

use super::spec::{Program, Spec};
use crate::runtime::{process, runc};
use davy_base::Clock;
use davy_cgroup::Cgroup;
use std::io::{self, PipeReader, pipe};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

/// A task that was started.
pub(super) struct Running {
    pid: libc::pid_t,
    streams: Option<[PipeReader; 2]>,
    exited: Option<i32>,
}

/// Makes this process the parent of processes whose parent ends: of the container, which `runc` leaves behind.
pub(super) fn adopt_orphans() {
    // SAFETY: the call has no memory effects.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) };
}

impl Running {
    pub(super) fn start(spec: &Spec, folder: &Path, clock: &Clock) -> io::Result<Self> {
        let (stdout, to_stdout) = pipe()?;
        let (stderr, to_stderr) = pipe()?;
        let pid = match &spec.program {
            Program::Process {
                path,
                args,
                dir,
                environment,
            } => {
                let mut command = Command::new(path);
                command
                    .args(args)
                    .current_dir(dir)
                    .env_clear()
                    .envs(environment)
                    .stdin(Stdio::null())
                    .stdout(to_stdout)
                    .stderr(to_stderr)
                    .process_group(0);
                if let Some(cgroup) = &spec.cgroup {
                    cgroup.enter(&mut command).map_err(io::Error::other)?;
                }
                let child = command.spawn();
                let failed = |error| io::Error::other(format!("cannot start {path:?}: {error}"));
                // Reaped by `try_wait`.
                child.map_err(failed)?.id() as libc::pid_t
            }
            Program::Runc {
                program,
                state,
                bundle,
            } => runc::start(
                &runc::Call { program, state },
                &spec.container,
                bundle,
                folder,
                [to_stdout.into(), to_stderr.into()],
                clock,
            )
            .inspect_err(|_| kill_all(spec))?,
        };
        Ok(Self {
            pid,
            streams: Some([stdout, stderr]),
            exited: None,
        })
    }

    /// What the task prints; once.
    pub(super) fn streams(&mut self) -> [PipeReader; 2] {
        self.streams.take().expect("the streams are taken once")
    }

    /// The exit code, if the task has exited.
    pub(super) fn try_wait(&mut self) -> Option<i32> {
        let mut status = 0;
        // Orphans of the container are reaped too.
        loop {
            // SAFETY: the pointer is to an integer that outlives the call.
            let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
            if pid == self.pid {
                self.exited = Some(exit_code(ExitStatus::from_raw(status)));
            }
            if pid < 0 && io::Error::last_os_error().raw_os_error() == Some(libc::EINTR) {
                continue;
            }
            if pid <= 0 {
                break;
            }
        }
        self.exited
    }

    /// Kills the task and everything that it has started.
    pub(super) fn kill(&self, spec: &Spec) {
        if self.exited.is_none() {
            // SAFETY: kill has no memory effects. The process was not reaped, so the number is still its own.
            unsafe { libc::kill(self.pid, libc::SIGKILL) };
        }
        kill_all(spec);
    }
}

fn kill_all(spec: &Spec) {
    let killed = match &spec.program {
        // The processes of a container end with its first one; those of its cgroup are all that there are.
        Program::Runc { .. } => Ok(()),
        Program::Process { .. } => process::kill(&spec.container),
    };
    let cgroup = spec.cgroup.as_ref().map_or(Ok(()), Cgroup::kill);
    for error in [
        killed.err().map(|e| e.to_string()),
        cgroup.err().map(|e| e.to_string()),
    ]
    .into_iter()
    .flatten()
    {
        tracing::warn!(error, "cannot kill the processes of the task");
    }
}

/// The exit code as shells count it: 128 and the number of the signal that killed the process.
fn exit_code(status: ExitStatus) -> i32 {
    let signal = status.signal().map(|signal| 128 + signal);
    status.code().or(signal).unwrap_or(1)
}
