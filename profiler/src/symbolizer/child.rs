//! The symbolizing child and its parent's side.
//!
//! The child is the same executable. It must not become a second copy of the service, so it never reaches
//! `main`: a constructor (a function in `.init_array`) looks for an environment variable, serves and exits.
//! A constructor cannot be forgotten, unlike a call at the top of `main`. If the linker dropped it, it has
//! not run in the parent either, which then starts no child.
//!
//! Both directions are lines of text:
//!
//! ```text
//! to the child      M <path>              a file, numbered from 0
//!                   A <hex>               an address of it
//! from the child    S <text>              a text, numbered from 0
//!                   R <file> <hex> <len>  a range of addresses
//!                   F <function> <file> <line>   a frame of it, innermost first
//! ```

use super::resolve::file as resolve_file;
use crate::lookup::{Lookup, NamedFrame, ResolvedRange};
use davy_base::Clock;
use davy_tag::Tag;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

const VARIABLE: &str = "DAVY_PROFILER_SYMBOLIZE";

/// The kernel kills the child after this time, and the parent stops waiting for it.
const SECONDS_MAX: libc::c_uint = 20;

/// Maximum number of bytes that are read from the child.
const RESPONSE_MAX: u64 = 256 << 20;

static CONSTRUCTED: AtomicBool = AtomicBool::new(false);
static CHILDREN: AtomicU64 = AtomicU64::new(0);

/// The number of symbolizing children that were started.
pub(crate) fn children() -> u64 {
    CHILDREN.load(Ordering::Relaxed)
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
    if std::env::var_os(VARIABLE).is_none() {
        return;
    }
    // SAFETY: there is no handler; the default action of SIGALRM ends this child.
    unsafe { libc::alarm(SECONDS_MAX) };
    let served = std::panic::catch_unwind(|| {
        let output = BufWriter::with_capacity(1 << 16, io::stdout().lock());
        serve(io::stdin().lock(), output)
    });
    let code = libc::c_int::from(!matches!(served, Ok(Ok(()))));
    // SAFETY: ends the process without running exit handlers of a service that never started.
    unsafe { libc::_exit(code) };
}

/// CPU time after which the child lowers its priority. Up to then it runs at normal priority, because
/// an operator may be waiting for the first profile.
const NORMAL_PRIORITY_NANOS: u64 = 150_000_000;
/// Ranges between two checks of the CPU time.
const CHECK_EVERY: u32 = 256;

/// Lowers the child's priority once it has used some CPU time.
#[derive(Default)]
struct Priority {
    ranges: u32,
    is_lowered: bool,
}

impl Priority {
    fn count_range(&mut self) {
        self.ranges += 1;
        if !self.is_lowered
            && self.ranges.is_multiple_of(CHECK_EVERY)
            && crate::clock::thread_cpu_nanos() > NORMAL_PRIORITY_NANOS
        {
            self.is_lowered = true;
            // SAFETY: changes the priority of this process alone.
            unsafe { libc::nice(5) };
        }
    }
}

/// The child's side.
fn serve(input: impl BufRead, mut output: impl Write) -> io::Result<()> {
    let mut files: Vec<(Vec<u8>, Vec<u64>)> = Vec::new();
    for line in input.split(b'\n') {
        let line = line?;
        match (line.first_chunk::<2>(), files.last_mut()) {
            (Some(b"M "), _) => files.push((line[2..].to_vec(), Vec::new())),
            (Some(b"A "), Some((_, addresses))) => {
                addresses.extend(hex(&String::from_utf8_lossy(&line[2..])));
            }
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
    let mut texts = rustc_hash::FxHashMap::<String, usize>::default();
    let mut priority = Priority::default();
    for (index, (path, addresses)) in files.iter().enumerate() {
        let path = std::path::Path::new(std::ffi::OsStr::from_bytes(path));
        let mut failed = Ok(());
        resolve_file(path, addresses, |start, length, frames| {
            priority.count_range();
            if failed.is_ok() {
                failed = write_range(&mut output, &mut texts, (index, start, length), frames);
            }
        });
        failed?;
    }
    output.flush()
}

fn write_range(
    output: &mut impl Write,
    texts: &mut rustc_hash::FxHashMap<String, usize>,
    (file, start, length): (usize, u64, u64),
    frames: &[NamedFrame],
) -> io::Result<()> {
    let mut numbers = Vec::with_capacity(frames.len());
    for frame in frames {
        let mut number = |text: &str| -> io::Result<usize> {
            if let Some(number) = texts.get(text) {
                return Ok(*number);
            }
            let number = texts.len();
            texts.insert(text.to_owned(), number);
            writeln!(output, "S {}", text.replace(['\n', '\r'], " "))?;
            Ok(number)
        };
        numbers.push((number(&frame.function)?, number(&frame.file)?, frame.line));
    }
    writeln!(output, "R {file} {start:x} {length}")?;
    for (function, file, line) in numbers {
        writeln!(output, "F {function} {file} {line}")?;
    }
    Ok(())
}

/// The parent's side: starts a child, sends the lookups, and reads the response.
pub(crate) fn resolve(lookups: &[Lookup<'_>]) -> io::Result<Vec<ResolvedRange>> {
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
        .env(VARIABLE, "1")
        // A child this short-lived has no use for the allocator's background thread.
        .env("_RJEM_MALLOC_CONF", "background_thread:false")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    for (name, value) in std::env::vars_os() {
        if name.as_bytes().starts_with(b"LD_") {
            command.env(name, value);
        }
    }
    let mut child = command.spawn()?;
    CHILDREN.fetch_add(1, Ordering::Relaxed);
    let clock = Clock::system();
    let until = clock.monotonic() + Duration::from_secs(SECONDS_MAX.into());
    let timed = |pipe, events| TimedPipe {
        pipe: File::from(pipe),
        events,
        clock: clock.clone(),
        until,
    };
    // The child reads everything before it writes, so this cannot deadlock.
    let sent = match child.stdin.take() {
        Some(stdin) => {
            let output = timed(OwnedFd::from(stdin), libc::POLLOUT);
            write_lookups(BufWriter::with_capacity(libc::PIPE_BUF, output), lookups)
        }
        None => Err(io::ErrorKind::BrokenPipe.into()),
    };
    let response = match child.stdout.take() {
        Some(stdout) => {
            let input = timed(OwnedFd::from(stdout), libc::POLLIN).take(RESPONSE_MAX);
            read_response(BufReader::with_capacity(1 << 16, input))
        }
        None => Err(io::ErrorKind::BrokenPipe.into()),
    };
    if sent.is_err() || response.is_err() {
        let _ = child.kill();
    }
    // This fails if the application reaps all children. The response is complete all the same, or
    // `read_response` has failed.
    let _ = child.wait();
    sent.and(response)
}

/// A pipe to or from the child whose reads and writes time out: the executable may be a program that never
/// responds.
struct TimedPipe {
    pipe: File,
    events: libc::c_short,
    clock: Clock,
    until: Duration,
}

impl TimedPipe {
    fn wait(&self) -> io::Result<()> {
        let left = self.until.saturating_sub(self.clock.monotonic());
        let mut poll = libc::pollfd {
            fd: self.pipe.as_raw_fd(),
            events: self.events,
            revents: 0,
        };
        // SAFETY: one description, which outlives the call.
        match unsafe { libc::poll(&raw mut poll, 1, left.as_millis() as libc::c_int) } {
            0 => Err(io::ErrorKind::TimedOut.into()),
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }
}

impl Read for TimedPipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wait()?;
        self.pipe.read(buffer)
    }
}

impl Write for TimedPipe {
    /// Writes at most what is sure to fit when the pipe is writable.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.wait()?;
        self.pipe.write(&bytes[..bytes.len().min(libc::PIPE_BUF)])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_lookups(mut output: impl Write, lookups: &[Lookup<'_>]) -> io::Result<()> {
    for lookup in lookups {
        output.write_all(b"M ")?;
        output.write_all(lookup.module.path.as_os_str().as_bytes())?;
        output.write_all(b"\n")?;
        for address in &lookup.addresses {
            writeln!(output, "A {address:x}")?;
        }
    }
    output.flush()
}

fn read_response(input: impl BufRead) -> io::Result<Vec<ResolvedRange>> {
    let bad = || io::Error::from(io::ErrorKind::InvalidData);
    let mut texts: Vec<Rc<str>> = Vec::new();
    let mut resolved: Vec<ResolvedRange> = Vec::new();
    for line in input.lines() {
        let line = line?;
        let (kind, rest) = line.split_at_checked(2).ok_or_else(bad)?;
        if kind == "S " {
            texts.push(rest.into());
            continue;
        }
        let mut words = rest.split(' ');
        let mut word = || words.next().ok_or_else(bad);
        if kind == "R " {
            resolved.push(ResolvedRange {
                lookup: word()?.parse().map_err(|_| bad())?,
                start: hex(word()?).ok_or_else(bad)?,
                length: word()?.parse().map_err(|_| bad())?,
                frames: Vec::new(),
            });
            continue;
        }
        let mut number = || word()?.parse::<usize>().map_err(|_| bad());
        let text = |index: usize| texts.get(index).cloned().ok_or_else(bad);
        let frame = NamedFrame {
            function: text(number()?)?,
            file: text(number()?)?,
            line: number()? as u32,
        };
        resolved.last_mut().ok_or_else(bad)?.frames.push(frame);
    }
    if resolved.is_empty() {
        return Err(io::Error::other("the symbolizing child returned nothing"));
    }
    Ok(resolved)
}

fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}
