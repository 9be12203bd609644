//! The symbolizing child and its parent's side.
//!
//! The child is the same executable. It must not become a second copy of the service, so it never reaches `main`: a
//! constructor (a function in `.init_array`) looks for an environment variable, builds an index and exits. A
//! constructor cannot be forgotten, unlike a call at the top of `main`. If the linker dropped it, it has not run in
//! the parent either, which then starts no child.
//!
//! The child writes the index to its standard output, which is a file, and one line to its standard error, which is a
//! pipe: `ok` and its CPU time in nanoseconds, or why it failed.

use super::index;
use davy_base::Clock;
use davy_tag::Tag;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// The path of the file to index; it marks a child.
const PATH: &str = "DAVY_PROFILER_SYMBOLIZE";
/// The path of the file with its debug information, if it is known.
const DEBUG: &str = "DAVY_PROFILER_SYMBOLIZE_DEBUG";
/// The name of the file.
const NAME: &str = "DAVY_PROFILER_SYMBOLIZE_NAME";

/// The kernel kills the child after this time, and after this CPU time.
const SECONDS_MAX: u32 = 120;
const CPU_SECONDS_MAX: u64 = 30;
/// Memory of the child in bytes, without mapped files.
const MEMORY_MAX: u64 = 2 << 30;
/// CPU time after which the child lowers its priority. Up to then it runs at normal priority, because an operator may
/// be waiting for the first profile.
const NORMAL_PRIORITY_NANOS: u64 = 150_000_000;
/// Maximum length of the child's message in bytes.
const MESSAGE_MAX: u64 = 4_096;

static CONSTRUCTED: AtomicBool = AtomicBool::new(false);
static CHILDREN: AtomicU64 = AtomicU64::new(0);
static CPU_NANOS: AtomicU64 = AtomicU64::new(0);

/// The number of symbolizing children that were started.
pub(crate) fn children() -> u64 {
    CHILDREN.load(Ordering::Relaxed)
}

/// The CPU time of the children that have ended, in nanoseconds.
pub(crate) fn cpu_nanos() -> u64 {
    CPU_NANOS.load(Ordering::Relaxed)
}

#[used]
// SAFETY: the section holds pointers to functions that the loader calls before `main`; this one uses
// nothing that is initialized later.
#[unsafe(link_section = ".init_array.65535")]
static CONSTRUCTOR: extern "C" fn() = construct;

extern "C" fn construct() {
    CONSTRUCTED.store(true, Ordering::Relaxed);
    serve_if_asked();
}

/// Serves as the symbolizing child and exits, if this process was started as one.
///
/// Runs automatically before `main`. Call it at the top of `main` only if the program is linked in a way
/// that drops constructors.
pub fn serve_if_asked() {
    CONSTRUCTED.store(true, Ordering::Relaxed);
    let Some(path) = std::env::var_os(PATH) else {
        return;
    };
    let name = std::env::var_os(NAME).unwrap_or_default();
    let debug = std::env::var_os(DEBUG);
    let debug = debug.as_ref().map(Path::new);
    limit();
    let served =
        std::panic::catch_unwind(|| serve((Path::new(&path), debug), &name.to_string_lossy()));
    let message = match served {
        Ok(Ok(())) => format!("ok {}", crate::clock::process_cpu_nanos()),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "panicked".to_owned(),
    };
    let _ = writeln!(io::stderr(), "{message}");
    // SAFETY: ends the process without running exit handlers of a service that never started.
    unsafe { libc::_exit(libc::c_int::from(!message.starts_with("ok "))) };
}

/// Makes sure that the child does not outlive its parent, runs for a bounded time, and is killed first if memory runs
/// out.
fn limit() {
    let limit = |most| libc::rlimit {
        rlim_cur: most,
        rlim_max: most,
    };
    let (cpu, memory) = (limit(CPU_SECONDS_MAX), limit(MEMORY_MAX));
    // SAFETY: changes this process alone. There is no handler; the default action of SIGALRM ends it.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        libc::setrlimit(libc::RLIMIT_CPU, &raw const cpu);
        libc::setrlimit(libc::RLIMIT_DATA, &raw const memory);
        libc::alarm(SECONDS_MAX);
    }
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
}

/// The child's side.
fn serve(files: (&Path, Option<&Path>), name: &str) -> io::Result<()> {
    let mut is_lowered = false;
    let after_unit = || {
        if !is_lowered && crate::clock::thread_cpu_nanos() > NORMAL_PRIORITY_NANOS {
            is_lowered = true;
            // SAFETY: changes the priority of this process alone.
            unsafe { libc::nice(5) };
        }
    };
    let output = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    index::build(files, name, output, after_unit)?;
    Ok(())
}

/// The parent's side: starts a child that writes the index of a file to `output`, and waits for it. `name` is the
/// file's name, because the path of the executable is a link in `/proc`.
pub(crate) fn build(path: &Path, name: &str, output: File) -> io::Result<()> {
    build_with((path, None), name, output)
}

/// Writes the symbol index of a file like [`super::build_symbol_index`], in a child process whose time and memory are
/// limited, so that no file can do harm. `debug` is the file with its debug information; without one it is looked for.
///
/// # Errors
///
/// Like [`super::build_symbol_index`], and if the child exceeds its limits or cannot be started.
pub fn build_symbol_index_in_child(
    path: &Path,
    debug: Option<&Path>,
    name: &str,
    output: File,
) -> io::Result<()> {
    build_with((path, debug), name, output)
}

fn build_with((path, debug): (&Path, Option<&Path>), name: &str, output: File) -> io::Result<()> {
    let _guard = Tag::new("profiler", "symbolize").enter();
    if !CONSTRUCTED.load(Ordering::Relaxed) {
        return Err(io::Error::other(
            "the program was linked without constructors; call davy_profiler::serve_if_asked() first in main",
        ));
    }
    let mut command = Command::new("/proc/self/exe");
    command
        .arg0("davy-symbolize")
        .env_clear()
        .env(PATH, path)
        .env(NAME, name)
        // A child this short-lived has no use for the allocator's background thread.
        .env("_RJEM_MALLOC_CONF", "background_thread:false")
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(Stdio::piped());
    if let Some(debug) = debug {
        command.env(DEBUG, debug);
    }
    for (name, value) in std::env::vars_os() {
        if name.as_bytes().starts_with(b"LD_") {
            command.env(name, value);
        }
    }
    let mut child = command.spawn()?;
    CHILDREN.fetch_add(1, Ordering::Relaxed);
    let message = match child.stderr.take() {
        Some(pipe) => read_message(OwnedFd::from(pipe)),
        None => Err(io::ErrorKind::BrokenPipe.into()),
    };
    if message.is_err() {
        let _ = child.kill();
    }
    // This fails if the application reaps all children. The message has all that is needed.
    let _ = child.wait();
    let message = message?;
    let nanos = message.trim().strip_prefix("ok ");
    let nanos = nanos.and_then(|nanos| nanos.parse().ok());
    let nanos: u64 = nanos.ok_or_else(|| {
        io::Error::other(match message.trim() {
            "" => "it was killed",
            message => message,
        })
    })?;
    CPU_NANOS.fetch_add(nanos, Ordering::Relaxed);
    Ok(())
}

/// Reads until the child has ended, or until it should have.
fn read_message(pipe: OwnedFd) -> io::Result<String> {
    let clock = Clock::system();
    let input = TimedPipe {
        pipe: File::from(pipe),
        until: clock.monotonic() + Duration::from_secs((SECONDS_MAX + 1).into()),
        clock,
    };
    let mut message = Vec::new();
    input.take(MESSAGE_MAX).read_to_end(&mut message)?;
    Ok(String::from_utf8_lossy(&message).into_owned())
}

/// A pipe from the child whose reads time out: the executable may be a program that never responds.
struct TimedPipe {
    pipe: File,
    clock: Clock,
    until: Duration,
}

impl Read for TimedPipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.until.saturating_sub(self.clock.monotonic());
        let mut poll = libc::pollfd {
            fd: self.pipe.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one description, which outlives the call.
        match unsafe { libc::poll(&raw mut poll, 1, left.as_millis() as libc::c_int) } {
            0 => Err(io::ErrorKind::TimedOut.into()),
            -1 => Err(io::Error::last_os_error()),
            _ => self.pipe.read(buffer),
        }
    }
}
