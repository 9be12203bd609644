//! What can go wrong, for whoever starts, asks or stops a profiler.

/// Why the profiler could not start, answer or finish.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The application handles SIGPROF itself; two owners can't share it.
    #[error("SIGPROF belongs to a handler of the application, so CPU time can't be sampled")]
    SignalTaken,
    /// This code was loaded into a running program. There a thread's first look at a thread-local may
    /// allocate, which a signal handler must not.
    #[error(
        "the profiler is part of a library that was loaded into this program, and works only in a program's own executable; \
         profile it from outside, by `davy record --pid`"
    )]
    InLibrary,
    /// The signal handler could not be installed.
    #[error("can't install the handler of SIGPROF: {0}")]
    Signal(std::io::Error),
    /// A thread of the profiler could not be started.
    #[error("can't start the thread {name}: {source}")]
    Thread {
        /// The thread's name.
        name: &'static str,
        /// Why not.
        source: std::io::Error,
    },
    /// A process has one set of threads, one SIGPROF and one allocator, so it has one profiler.
    #[error("a profiler is running in this process already")]
    AlreadyRunning,
    /// The profiler was stopped.
    #[error("the profiler was stopped")]
    Stopped,
    /// A setting is out of its range.
    #[error("{name} is {value}, and must be {allowed}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// What was given.
        value: String,
        /// What may be given.
        allowed: &'static str,
    },
    /// The address of an archiver can't be used.
    #[error("can't push to {url}: {reason}")]
    Archiver {
        /// What was given.
        url: String,
        /// Why not.
        reason: &'static str,
    },
    /// The file of trusted certificates can't be used.
    #[error("can't trust what {} holds: {reason}", .file.display())]
    CaFile {
        /// What was given.
        file: std::path::PathBuf,
        /// Why not.
        reason: String,
    },
    /// Heap profiles are not available in this program.
    #[error("heap profiling is off: {0}")]
    HeapOff(&'static str),
    /// Nothing is known of the heap from before.
    #[error("no heap was kept from {} s ago; the first is kept at the end of the first window", .0.as_secs())]
    NoHistory(std::time::Duration),
    /// Nothing has run under a name.
    #[error("nothing has run as {what} {asked:?} in this process; what has: {known}")]
    Unknown {
        /// A member or an operation.
        what: &'static str,
        /// What was asked for.
        asked: String,
        /// The names that there are.
        known: String,
    },
    /// Too many profiles are being taken at once.
    #[error("{0} profiles are being taken already")]
    TooManyProfiles(usize),
    /// The deadline passed before everything was stored.
    #[error("{windows} windows ({bytes} bytes) were not delivered: {reason}")]
    Undelivered {
        /// Windows that no archiver has acknowledged.
        windows: usize,
        /// Their size, as far as they were encoded.
        bytes: usize,
        /// What the last attempt met.
        reason: String,
    },
}
