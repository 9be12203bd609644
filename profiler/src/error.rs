//! Errors of starting, querying and stopping a profiler.

use davy_profile::units;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why the profiler could not start, answer or finish.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The application handles SIGPROF itself, and a signal has one handler. Returned by the start, and by
    /// requests for a CPU profile if the application has installed its handler later.
    SignalTaken,
    /// This code was loaded into a running program as a library. There, a thread's first access to a
    /// thread-local variable may allocate, which a signal handler must not do.
    InLibrary,
    /// The signal handler could not be installed.
    Signal(io::Error),
    /// A thread of the profiler could not be started.
    Thread {
        /// The thread's name.
        name: &'static str,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A process has one SIGPROF and one allocator, and therefore one profiler at a time.
    AlreadyRunning,
    /// The profiler was stopped.
    Stopped,
    /// A setting is out of its range.
    Setting {
        /// The setting.
        name: &'static str,
        /// The rejected value.
        value: String,
        /// The accepted values.
        allowed: &'static str,
    },
    /// A query parameter does not apply to a request.
    Parameter {
        /// The parameter.
        name: &'static str,
        /// Why it is rejected.
        reason: &'static str,
    },
    /// The address of an archiver is invalid.
    Archiver {
        /// The rejected address.
        url: String,
        /// Why it is rejected.
        reason: &'static str,
    },
    /// The file of trusted certificates cannot be used.
    CaFile {
        /// The file.
        file: PathBuf,
        /// Why it cannot be used.
        reason: String,
    },
    /// Heap profiles are not available in this program.
    HeapOff(&'static str),
    /// There is no earlier reading of the heap.
    NoHistory(Duration),
    /// No member or operation of this name has run.
    Unknown {
        /// "member" or "operation".
        what: &'static str,
        /// The requested name.
        requested: String,
        /// The known names.
        known: String,
    },
    /// Too many profiles are being taken concurrently.
    TooManyProfiles(usize),
    /// The deadline passed before everything was stored.
    Undelivered {
        /// Number of windows that no archiver has acknowledged.
        windows: usize,
        /// Bytes of those that were encoded.
        bytes: usize,
        /// Why the last attempt failed.
        reason: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SignalTaken => f.write_str(
                "cannot sample CPU time: the application has a SIGPROF handler; remove it",
            ),
            Self::InLibrary => f.write_str(
                "the profiler is part of a loaded library and works only in a program's own executable; \
                 profile the program from outside by `davy record --pid`",
            ),
            Self::Signal(error) => {
                let advice = advice(error, "rt_sigaction");
                write!(f, "cannot install the SIGPROF handler: {error}{advice}")
            }
            Self::Thread { name, source } => {
                let advice = advice(source, "clone3");
                write!(f, "cannot start the thread {name}: {source}{advice}")
            }
            Self::AlreadyRunning => {
                f.write_str("a profiler is already running in this process")
            }
            Self::Stopped => f.write_str("the profiler has been stopped"),
            Self::Setting {
                name,
                value,
                allowed,
            } => write!(f, "invalid {name} {value}: expected {allowed}"),
            Self::Parameter { name, reason } => write!(f, "parameter `{name}` {reason}"),
            Self::Archiver { url, reason } => {
                write!(f, "invalid archiver address {url:?}: {reason}")
            }
            Self::CaFile { file, reason } => {
                write!(f, "cannot use the CA file {}: {reason}", file.display())
            }
            Self::HeapOff(reason) => write!(f, "heap profiles are not available: {reason}"),
            Self::NoHistory(ago) => write!(
                f,
                "no heap reading from {} s ago: the first one is taken at the end of the first window",
                ago.as_secs()
            ),
            Self::Unknown {
                what,
                requested,
                known,
            } => write!(f, "unknown {what} {requested:?}; known in this process: {known}"),
            Self::TooManyProfiles(count) => {
                write!(f, "{count} profiles are already being taken; try again later")
            }
            Self::Undelivered {
                windows,
                bytes,
                reason,
            } => write!(f, "{} not delivered: {reason}", describe(*windows, *bytes)),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Signal(source) | Self::Thread { source, .. } => Some(source),
            _ => None,
        }
    }
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
