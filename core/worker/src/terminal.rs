//! Terminals in containers. The worker asks for what the person types, and sends what the command prints; it opens every
//! connection itself.

use crate::client::Client;
use crate::containers::Containers;
use crate::{Error, Stop};
use davy_model::signature::{from_hex, to_hex};
use davy_model::wire::{
    TerminalInput, TerminalOutput, TerminalRequest, TerminalStored, TerminalWait,
};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The size of output in one request.
const OUTPUT_BYTES: usize = 16 << 10;
/// The pause while the person reads.
const FULL_PAUSE: Duration = Duration::from_millis(100);

/// Runs a terminal to its end.
pub(crate) fn run(
    request: &TerminalRequest,
    client: &Client,
    containers: &Containers,
    stop: &Stop,
) {
    let (terminal, build) = (&*request.id, request.build);
    tracing::info!(terminal, build, "terminal opened");
    let ended = session(request, client, containers, stop);
    let mut end = TerminalOutput {
        is_over: true,
        ..TerminalOutput::default()
    };
    match ended {
        Ok(code) => end.exit_code = code,
        Err(error) => end.error = Some(error.to_string()),
    }
    let path = format!("terminals/{terminal}/output");
    let told: Result<TerminalStored, Error> =
        client.persist(stop, |client| client.call("POST", &path, &end));
    let error = told.err().map(|error| error.to_string());
    tracing::info!(
        terminal,
        build,
        code = end.exit_code,
        error,
        "terminal closed"
    );
}

/// Both ends of a pseudo terminal: that of the worker, and that of the command.
fn open_pty(width: u16, height: u16) -> io::Result<(File, OwnedFd)> {
    let size = window(width, height);
    let (mut outer, mut inner) = (-1, -1);
    // SAFETY: the pointers are to integers and a struct that outlive the call; null stands for defaults.
    let result = unsafe {
        libc::openpty(
            &raw mut outer,
            &raw mut inner,
            std::ptr::null_mut(),
            std::ptr::null(),
            &raw const size,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    for end in [outer, inner] {
        // SAFETY: the descriptor was returned just now. Other programs that the worker starts must not have it.
        unsafe { libc::fcntl(end, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    // SAFETY: the descriptors were returned just now, and nobody else has them.
    Ok(unsafe { (File::from_raw_fd(outer), OwnedFd::from_raw_fd(inner)) })
}

const fn window(width: u16, height: u16) -> libc::winsize {
    libc::winsize {
        ws_row: height,
        ws_col: width,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

/// Starts a command whose controlling terminal is `inner`.
fn spawn(mut command: Command, inner: &OwnedFd) -> io::Result<Child> {
    command
        .stdin(inner.try_clone()?)
        .stdout(inner.try_clone()?)
        .stderr(inner.try_clone()?);
    let control = || {
        // SAFETY: both calls have no memory effects, and may be made between fork and exec. The standard input is the
        // terminal.
        let failed = unsafe { libc::setsid() < 0 || libc::ioctl(0, libc::TIOCSCTTY, 0) < 0 };
        if failed {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    };
    // SAFETY: the closure only makes system calls.
    unsafe { command.pre_exec(control) };
    command.spawn()
}

fn session(
    request: &TerminalRequest,
    client: &Client,
    containers: &Containers,
    stop: &Stop,
) -> io::Result<Option<i32>> {
    let command = containers.exec(&request.container, &request.command)?;
    let (outer, inner) = open_pty(request.width, request.height)?;
    let mut child = spawn(command, &inner)?;
    drop(inner);
    let is_over = Arc::new(AtomicBool::new(false));
    let typing = {
        let (client, is_over) = (client.clone(), is_over.clone());
        let (outer, stop) = (outer.try_clone()?, stop.clone());
        let (request, pid) = (request.clone(), child.id());
        let thread = std::thread::Builder::new().name("terminal".to_owned());
        thread.spawn(move || {
            let typed = type_in(&request, &client, outer, pid, &is_over, &stop);
            if !is_over.load(Ordering::Relaxed) {
                tracing::debug!(?typed, "terminal closed by the person");
                // SAFETY: kill has no memory effects; the child is not reaped before `is_over` is set.
                unsafe { libc::kill(-(pid as libc::pid_t), libc::SIGKILL) };
            }
        })
    };
    let shown = show(request, client, outer, stop);
    // The command has closed its terminal, or nobody looks at it any more.
    if shown.is_err() {
        child.kill()?;
    }
    let status = child.wait()?;
    is_over.store(true, Ordering::Relaxed);
    // It ends with its next request, which is not waited for.
    drop(typing);
    shown?;
    Ok(status.code())
}

/// Sends what the command prints until it closes its terminal.
fn show(
    request: &TerminalRequest,
    client: &Client,
    mut outer: File,
    stop: &Stop,
) -> io::Result<()> {
    let path = format!("terminals/{}/output", request.id);
    let mut buffer = vec![0; OUTPUT_BYTES];
    let mut position = 0;
    loop {
        let count = match outer.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // The other end is closed.
            Err(error) if error.raw_os_error() == Some(libc::EIO) => return Ok(()),
            Err(error) => return Err(error),
        };
        let output = TerminalOutput {
            position,
            bytes: to_hex(&buffer[..count]),
            ..TerminalOutput::default()
        };
        loop {
            let stored: TerminalStored = client
                .persist(stop, |client| client.call("POST", &path, &output))
                .map_err(io::Error::other)?;
            if stored.is_closed || stop.is_leaving() {
                return Err(io::Error::other("closed"));
            }
            if !stored.is_full {
                position = stored.position;
                break;
            }
            stop.wait(FULL_PAUSE);
        }
    }
}

/// Sends a signal to the processes in the foreground of a terminal. `runc` is the only one of the terminal of a container,
/// and passes signals on to the command.
fn signal(outer: &File, command: u32, name: &str) {
    let number = match name {
        "HUP" => libc::SIGHUP,
        "INT" => libc::SIGINT,
        "QUIT" => libc::SIGQUIT,
        "TERM" => libc::SIGTERM,
        "USR1" => libc::SIGUSR1,
        "USR2" => libc::SIGUSR2,
        _ => return,
    };
    // SAFETY: the call has no memory effects.
    let group = unsafe { libc::tcgetpgrp(outer.as_raw_fd()) };
    // A command leads a group of its own, which is not reaped before its thread ends this terminal.
    let group = if group > 0 {
        group
    } else {
        command as libc::pid_t
    };
    // SAFETY: kill has no memory effects.
    unsafe { libc::kill(-group, number) };
}

/// Passes on what the person types, signals, and the size of the window.
fn type_in(
    request: &TerminalRequest,
    client: &Client,
    mut outer: File,
    command: u32,
    is_over: &AtomicBool,
    stop: &Stop,
) -> io::Result<()> {
    let path = format!("terminals/{}/input", request.id);
    let mut wait = TerminalWait {
        after: 0,
        width: request.width,
        height: request.height,
    };
    while !is_over.load(Ordering::Relaxed) {
        let input: TerminalInput = client
            .persist_unless(stop, Stop::is_leaving, |client| {
                client.call("POST", &path, &wait)
            })
            .map_err(io::Error::other)?;
        if input.is_closed || is_over.load(Ordering::Relaxed) {
            return Ok(());
        }
        if (input.width, input.height) != (wait.width, wait.height) {
            let size = window(input.width, input.height);
            // SAFETY: the pointer is to a struct that outlives the call. The kernel sends SIGWINCH to the command.
            unsafe { libc::ioctl(outer.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
        }
        outer.write_all(&from_hex(&input.bytes).unwrap_or_default())?;
        for name in &input.signals {
            signal(&outer, command, name);
        }
        wait = TerminalWait {
            after: input.number,
            width: input.width,
            height: input.height,
        };
    }
    Ok(())
}
