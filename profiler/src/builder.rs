//! The settings of a profiler, and its start.

use crate::drain::{Drainer, Mailbox};
use crate::engine::Engine;
use crate::handle::{Handle, check_hz};
use crate::profiler::{Profiler, Running};
#[cfg(feature = "tls")]
use crate::push::Trust;
use crate::push::{Archiver, Compression, Outbox, Settings};
use crate::recorder::StopFlag;
use crate::symbols::Symbols;
use crate::{Error, heap, loader, recorder, task_stacks};
use davy_base::{Clock, Random};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

const WINDOW: Duration = Duration::from_secs(10);
const WINDOW_MIN: Duration = Duration::from_secs(1);
const WINDOW_MAX: Duration = Duration::from_hours(1);
const SPOOL_BYTES: usize = 64 << 20;
const SPOOL_BYTES_MIN: usize = 16 << 10;

/// Settings of a profiler. The defaults suit a service in production.
#[derive(Clone, Debug)]
#[must_use = "nothing is profiled until `start` is called"]
pub struct Builder {
    service: String,
    process: Option<String>,
    instance: Option<String>,
    labels: Vec<(String, String)>,
    #[cfg(feature = "threads")]
    thread_tags: Vec<(String, davy_tag::Tag)>,
    archivers: Vec<String>,
    token: Option<String>,
    #[cfg(feature = "tls")]
    ca_file: Option<PathBuf>,
    compression: Compression,
    engine: Engine,
    hz: u32,
    window: Duration,
    spool_bytes: usize,
    spool: Option<PathBuf>,
    is_scaled: bool,
    folds_generics: bool,
    has_kernel_stacks: bool,
    symbols: Option<PathBuf>,
    clock: Clock,
}

impl Builder {
    /// Settings for a service with this name, which is the label `service_name` of all its profiles.
    pub fn new(service: impl Into<String>) -> Self {
        Self {
            service: service.into(),
            process: None,
            instance: None,
            labels: Vec::new(),
            #[cfg(feature = "threads")]
            thread_tags: Vec::new(),
            archivers: Vec::new(),
            token: None,
            #[cfg(feature = "tls")]
            ca_file: None,
            compression: Compression::Gzip,
            engine: Engine::default(),
            hz: 100,
            window: WINDOW,
            spool_bytes: SPOOL_BYTES,
            spool: None,
            is_scaled: true,
            folds_generics: false,
            has_kernel_stacks: false,
            symbols: None,
            clock: Clock::system(),
        }
    }

    /// Sets the kind of process, the label `process`. Default: the name of the service.
    pub fn process(mut self, kind: impl Into<String>) -> Self {
        self.process = Some(kind.into());
        self
    }

    /// Sets the label `instance`, which distinguishes processes of the same kind. Default: host name and
    /// process id.
    pub fn instance(mut self, instance: impl Into<String>) -> Self {
        self.instance = Some(instance.into());
        self
    }

    /// Adds a label to all profiles, such as `version` or `region`.
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.push((name.into(), value.into()));
        self
    }

    /// Gives threads with this name a member and an operation, for their work that has no other tag and that no
    /// tagged future waits for. A `*` at the end of the name matches any rest: `.thread_tag("sqlx-*",
    /// "database", "")`. It applies to threads that are started after the profiler; see
    /// [`davy_tag::add_thread_rule`].
    #[cfg(feature = "threads")]
    pub fn thread_tag(mut self, name: impl Into<String>, member: &str, op: &str) -> Self {
        let tag = davy_tag::Tag::new(member, op);
        self.thread_tags.push((name.into(), tag));
        self
    }

    /// Adds an archiver to push to, such as `http://127.0.0.1:4040` or, with the feature `tls`,
    /// `https://archive.corp`. If there are several, the next one is tried when a push fails. Archivers can
    /// also be added later, by [`Handle::push_to`].
    pub fn archiver(mut self, url: impl Into<String>) -> Self {
        self.archivers.push(url.into());
        self
    }

    /// Sets the bearer token that is sent to archivers.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Trusts only archivers whose certificate is signed by a CA in this PEM file. [`Builder::start`] reads the
    /// file once. Default: the CAs that the system trusts.
    #[cfg(feature = "tls")]
    pub fn ca_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(file.into());
        self
    }

    /// Sets how windows are compressed. Default: gzip.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Sets what takes CPU samples. Default: [`Engine::default`].
    pub fn engine(mut self, engine: Engine) -> Self {
        self.engine = engine;
        self
    }

    /// Sets the number of CPU samples per second of CPU time, from 1 to 1000. Default: 100.
    pub fn hz(mut self, hz: u32) -> Self {
        self.hz = hz;
        self
    }

    /// Sets the length of a window, from one second to one hour. Default: 10 s.
    pub fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// Keeps windows in this folder until an archiver has acknowledged them, so that they outlive the process:
    /// the next process with the same folder delivers them. Processes may share a folder. Default: windows are
    /// kept in memory.
    pub fn spool(mut self, folder: impl Into<PathBuf>) -> Self {
        self.spool = Some(folder.into());
        self
    }

    /// Sets the maximum number of bytes of windows that wait for an archiver. Past it, the oldest windows are
    /// dropped. Default: 64 MiB.
    pub fn spool_bytes(mut self, bytes: usize) -> Self {
        self.spool_bytes = bytes;
        self
    }

    /// Sets whether functions are shown without their generic arguments, which merges all instances of a
    /// generic function. Default: no.
    pub fn fold_generics(mut self, is_on: bool) -> Self {
        self.folds_generics = is_on;
        self
    }

    /// Sets whether CPU samples show the functions of the kernel, by a perf event for each thread, instead of only the
    /// system call. Needs `kernel.perf_event_paranoid` of at most 1 or CAP_PERFMON, and addresses in `/proc/kallsyms`; a
    /// thread without them is sampled as if it were off, and [`Stats::no_kernel_stacks_reason`] says why. Costs an open
    /// file and 8 KiB for each thread, and 5 MiB for the names of the kernel. Default: no.
    ///
    /// [`Stats::no_kernel_stacks_reason`]: crate::Stats::no_kernel_stacks_reason
    pub fn kernel_stacks(mut self, is_on: bool) -> Self {
        self.has_kernel_stacks = is_on;
        self
    }

    /// Keeps symbol indices in this folder, one file for each build of the program and of its libraries. Processes may
    /// share it. The index of the program is built by a child process, once; without a folder, once per process.
    /// Default: `symbols` in `$CACHE_DIRECTORY`, else `davy/symbols` in `$XDG_CACHE_HOME` or in `.cache` of the home.
    pub fn symbols(mut self, folder: impl Into<PathBuf>) -> Self {
        self.symbols = Some(folder.into());
        self
    }

    /// Sets whether CPU samples are scaled to exact accounting, so that work in step with the kernel's tick
    /// gets its true share. Default: yes. Disable it to see what sampling alone shows.
    pub fn scale_to_accounting(mut self, is_on: bool) -> Self {
        self.is_scaled = is_on;
        self
    }

    /// Sets the clock by which windows end. For tests.
    #[doc(hidden)]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Starts sampling every thread of the process, including future ones, and exact accounting by member and
    /// operation ([`davy_tag::start_accounting`]).
    ///
    /// If the allocator is not jemalloc (see [`use_jemalloc!`](crate::use_jemalloc)), there are no heap
    /// profiles. This is logged once, and [`Handle::stats`] has the reason.
    pub fn start(self) -> Result<Profiler, Error> {
        self.check()?;
        let archivers: Result<Vec<_>, _> = self
            .archivers
            .iter()
            .map(|url| Archiver::parse(url))
            .collect();
        let archivers = archivers?;
        let settings = Settings {
            labels: self.labels(),
            token: self.token.clone(),
            spool: self.spool.clone(),
            #[cfg(feature = "tls")]
            trust: self.trust()?,
            compression: self.compression,
        };
        // From here on, an early return must allow another profiler to start.
        let running = Running::begin()?;
        let mut random = Random::system();
        let seeded = Random::seeded(random.next_u64());
        let sampler = self.engine.start(self.hz, self.has_kernel_stacks, seeded)?;
        if let Err(reason) = heap::start() {
            tracing::info!(reason, "heap profiling disabled");
            #[cfg(native)]
            // SAFETY: the source returns null.
            unsafe {
                davy_tag::set_allocated_source(crate::thread::register_at_first_tag);
            }
        }
        davy_tag::start_accounting();
        #[cfg(feature = "threads")]
        for (name, tag) in &self.thread_tags {
            if !davy_tag::add_thread_rule(name, *tag) {
                tracing::warn!(name, "too many rules for threads; this one is ignored");
            }
        }
        task_stacks::start();
        let symbols = Arc::new(Symbols::new(
            self.folds_generics,
            self.symbols.clone(),
            self.clock.clone(),
        ));
        symbols.open_program(&loader::list());
        let outbox = Arc::new(Outbox::new(
            archivers,
            self.spool_bytes,
            self.clock.clone(),
            Arc::clone(&symbols),
        ));
        let mailbox = Arc::new(Mailbox::default());
        let drainer = Drainer::new(
            sampler,
            Arc::clone(&mailbox),
            Arc::clone(&outbox),
            self.clock.clone(),
            self.window,
            self.is_scaled,
        );
        let drain = spawn("davy-profiler", move || drainer.run())?;
        let handle = Handle {
            mailbox,
            outbox: Arc::clone(&outbox),
            symbols,
        };
        let recorder = Arc::new(StopFlag::default());
        let mut profiler = Profiler {
            handle,
            recorder: Arc::clone(&recorder),
            drain: Some(drain),
            push: None,
            process: std::process::id(),
            settings: settings.clone(),
            _running: running,
        };
        if heap::rate_bytes().is_ok() {
            let (outbox, settings) = (Arc::clone(&outbox), settings.clone());
            let clock = self.clock.clone();
            // Not joined: it may be in the middle of a request when the profiler stops, and ends after that.
            drop(spawn("davy-recorder", move || {
                recorder::run(&outbox, &settings, &clock, &recorder);
            })?);
        }
        let push = spawn("davy-push", move || outbox.run(&settings, random))?;
        profiler.push = Some(push);
        Ok(profiler)
    }

    fn check(&self) -> Result<(), Error> {
        if !loader::is_in_executable(check_hz as *const () as u64) {
            return Err(Error::InLibrary);
        }
        check_hz(self.hz, 1)?;
        let refuse = |name, value: String, allowed| {
            Err(Error::Setting {
                name,
                value,
                allowed,
            })
        };
        if !(WINDOW_MIN..=WINDOW_MAX).contains(&self.window) {
            let value = format!("{} s", self.window.as_secs_f64());
            return refuse("window", value, "1 s to 3600 s");
        }
        if self.spool_bytes < SPOOL_BYTES_MIN {
            let value = format!("{} B", self.spool_bytes);
            return refuse("spool_bytes", value, "at least 16384 B (16 KiB)");
        }
        if self.service.is_empty() {
            return refuse("service", "\"\"".to_owned(), "a nonempty name");
        }
        let is_token = |token: &String| token.bytes().all(|byte| byte.is_ascii_graphic());
        if !self.token.as_ref().is_none_or(is_token) {
            let value = "(not shown)".to_owned();
            return refuse("token", value, "visible ASCII characters");
        }
        let is_letter = |c: char| c.is_alphanumeric() || "_-.".contains(c);
        let is_name = |name: &str| {
            let is_plain = !name.is_empty() && name.chars().all(is_letter);
            is_plain && !name.starts_with("__") && !name.contains("..")
        };
        match self.labels.iter().find(|(name, _)| !is_name(name)) {
            Some((name, _)) => refuse(
                "label name",
                format!("{name:?}"),
                "letters, digits, `_`, `-` and single dots, not starting with `__`",
            ),
            None => Ok(()),
        }
    }

    #[cfg(feature = "tls")]
    fn trust(&self) -> Result<Trust, Error> {
        let file = self.ca_file.as_deref();
        file.map_or(Ok(Trust::System), Trust::read)
    }

    fn labels(&self) -> Vec<(String, String)> {
        let process = self.process.clone().unwrap_or_else(|| self.service.clone());
        let instance = self.instance.clone().unwrap_or_else(default_instance);
        let own = [
            ("service_name", self.service.clone()),
            ("process", process),
            ("instance", instance),
        ];
        let mut labels: Vec<(String, String)> = own
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        for (name, value) in &self.labels {
            match labels.iter_mut().find(|(known, _)| known == name) {
                Some(label) => label.1.clone_from(value),
                None => labels.push((name.clone(), value.clone())),
            }
        }
        labels
    }
}

fn default_instance() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}:{}", host.trim(), std::process::id())
}

fn spawn(name: &'static str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|source| Error::Thread { name, source })
}
