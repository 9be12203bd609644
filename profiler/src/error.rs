//! Errors of starting, querying and stopping a profiler.

use davy_profile::units;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why the profiler could not start, answer or finish.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The application handles SIGPROF itself, and a signal has one handler. Returned by the start, and by
    /// requests for a CPU profile if the application has installed its handler later.
    #[error("cannot sample CPU time: the application has a SIGPROF handler; remove it")]
    SignalTaken,
    /// This code was loaded into a running program as a library. There, a thread's first access to a
    /// thread-local variable may allocate, which a signal handler must not do.
    #[error(
        "the profiler is part of a loaded library and works only in a program's own executable; \
         profile the program from outside by `davy record --pid`"
    )]
    InLibrary,
    /// The signal handler could not be installed.
    #[error("cannot install the SIGPROF handler: {0}{advice}", advice = advice(.0, "rt_sigaction"))]
    Signal(#[source] io::Error),
    /// A thread of the profiler could not be started.
    #[error("cannot start the thread {name}: {source}{advice}", advice = advice(source, "clone3"))]
    Thread {
        /// The thread's name.
        name: &'static str,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A process has one SIGPROF and one allocator, and therefore one profiler at a time.
    #[error("a profiler is already running in this process")]
    AlreadyRunning,
    /// The profiler was stopped.
    #[error("the profiler has been stopped")]
    Stopped,
    /// A setting is out of its range.
    #[error("invalid {name} {value}: expected {allowed}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// The rejected value.
        value: String,
        /// The accepted values.
        allowed: &'static str,
    },
    /// A query parameter does not apply to a request.
    #[error("parameter `{name}` {reason}")]
    Parameter {
        /// The parameter.
        name: &'static str,
        /// Why it is rejected.
        reason: &'static str,
    },
    /// The address of an archiver is invalid.
    #[error("invalid archiver address {url:?}: {reason}")]
    Archiver {
        /// The rejected address.
        url: String,
        /// Why it is rejected.
        reason: &'static str,
    },
    /// The file of trusted certificates cannot be used.
    #[error("cannot use the CA file {}: {reason}", .file.display())]
    CaFile {
        /// The file.
        file: PathBuf,
        /// Why it cannot be used.
        reason: String,
    },
    /// Heap profiles are not available in this program.
    #[error("heap profiles are not available: {0}")]
    HeapOff(&'static str),
    /// There is no earlier reading of the heap.
    #[error(
        "no heap reading from {} s ago: the first one is taken at the end of the first window",
        .0.as_secs()
    )]
    NoHistory(Duration),
    /// No member or operation of this name has run.
    #[error("unknown {what} {requested:?}; known in this process: {known}")]
    Unknown {
        /// "member" or "operation".
        what: &'static str,
        /// The requested name.
        requested: String,
        /// The known names.
        known: String,
    },
    /// Too many profiles are being taken concurrently.
    #[error("{0} profiles are already being taken; try again later")]
    TooManyProfiles(usize),
    /// The deadline passed before everything was stored.
    #[error("{} not delivered: {reason}", describe(*.windows, *.bytes))]
    Undelivered {
        /// Number of windows that no archiver has acknowledged.
        windows: usize,
        /// Bytes of those that were encoded.
        bytes: usize,
        /// Why the last attempt failed.
        reason: String,
    },
}

/// What to change if the system refuses a system call.
fn advice(error: &io::Error, system_call: &str) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported => {
            format!("; allow `{system_call}` in the container's seccomp profile")
        }
        io::ErrorKind::WouldBlock => {
            "; raise the limit of processes (`ulimit -u`, `pids.max`)".to_owned()
        }
        _ => String::new(),
    }
}

fn describe(windows: usize, bytes: usize) -> String {
    let bytes = units::bytes(bytes as f64);
    match windows {
        1 => format!("1 window ({bytes}) was"),
        windows => format!("{windows} windows ({bytes}) were"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undelivered_windows_are_counted_with_the_right_plural_and_unit() {
        let check = |windows, bytes, expected: &str| {
            let reason = "connection refused".to_owned();
            let error = Error::Undelivered {
                windows,
                bytes,
                reason,
            };
            assert_eq!(error.to_string(), expected);
        };
        check(
            1,
            512,
            "1 window (512 B) was not delivered: connection refused",
        );
        check(
            3,
            2_048,
            "3 windows (2.00 KiB) were not delivered: connection refused",
        );
    }
}
