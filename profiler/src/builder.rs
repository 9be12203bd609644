//! From settings to a running profiler, and its end.

use crate::cpu;
use crate::drain::{Command, Desk, Drainer};
use crate::handle::{Handle, check_hz};
#[cfg(native)]
use crate::modules;
#[cfg(feature = "tls")]
use crate::push::Trust;
use crate::push::{Archiver, Compression, Outbox, Settings};
use crate::recorder::Switch;
use crate::symbol::Symbols;
use crate::{Error, heap, recorder, tasks};
use davy_base::{Clock, Random};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// The process that has a profiler: one at a time.
static RUNNING: AtomicU32 = AtomicU32::new(NONE);
const NONE: u32 = 0;

const WINDOW: Duration = Duration::from_secs(10);
const WINDOW_MIN: Duration = Duration::from_secs(1);
const WINDOW_MAX: Duration = Duration::from_hours(1);
const SPOOL_BYTES: usize = 64 << 20;
const SPOOL_BYTES_MIN: usize = 16 << 10;
/// How long a dropped profiler waits for its own threads.
const DROP_DEADLINE: Duration = Duration::from_millis(200);

/// What takes CPU samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Engine {
    /// A timer a thread, each sample with its member and operation. The default where it is there:
    /// on Linux on x86_64 and aarch64.
    #[cfg(native)]
    #[cfg_attr(native, default)]
    Native,
    /// The crate pprof: one timer for the process, which is less at high rates or with many threads.
    /// Its samples have no tag, so all are untagged, and none is scaled; what each member used is
    /// known from [`davy_tag::usages`] alone. For other systems, and
    /// for comparison.
    #[cfg(feature = "pprof-engine")]
    #[cfg_attr(not(native), default)]
    Pprof,
}

impl Engine {
    fn has_tags(self) -> bool {
        match self {
            #[cfg(native)]
            Self::Native => true,
            #[cfg(feature = "pprof-engine")]
            Self::Pprof => false,
        }
    }
}

/// Settings of a profiler; the defaults fit a service in production.
#[derive(Clone, Debug)]
#[must_use = "nothing is profiled before `start`"]
pub struct Builder {
    service: String,
    process: Option<String>,
    instance: Option<String>,
    labels: Vec<(String, String)>,
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
    is_controlled: bool,
    folds_generics: bool,
    clock: Clock,
}

impl Builder {
    /// For the service of this name: the label `service_name` of all its profiles.
    pub fn new(service: impl Into<String>) -> Self {
        Self {
            service: service.into(),
            process: None,
            instance: None,
            labels: Vec::new(),
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
            is_controlled: true,
            folds_generics: false,
            clock: Clock::system(),
        }
    }

    /// The kind of process: the label `process`. Default: the service's name.
    pub fn process(mut self, kind: impl Into<String>) -> Self {
        self.process = Some(kind.into());
        self
    }

    /// Which of many like it: the label `instance`. Default: host name and process id.
    pub fn instance(mut self, instance: impl Into<String>) -> Self {
        self.instance = Some(instance.into());
        self
    }

    /// One more label of all profiles, such as `version` or `region`.
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.push((name.into(), value.into()));
        self
    }

    /// Pushes to this archiver, such as `http://127.0.0.1:4040` or, with the feature `tls`,
    /// `https://archive.corp`; several are tried in turn. May also be told later, by
    /// [`Handle::push_to`].
    pub fn archiver(mut self, url: impl Into<String>) -> Self {
        self.archivers.push(url.into());
        self
    }

    /// Sent to archivers as a bearer token.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Trusts archivers whose certificate was signed by one of this PEM file, and no others. It is
    /// read once, by [`Builder::start`]. Default: what the system trusts.
    #[cfg(feature = "tls")]
    pub fn ca_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(file.into());
        self
    }

    /// How windows are packed. Default: gzip.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// What takes CPU samples. Default: [`Engine::default`].
    pub fn engine(mut self, engine: Engine) -> Self {
        self.engine = engine;
        self
    }

    /// CPU samples a second of CPU time, 1 to 1000. Default: 100.
    pub fn hz(mut self, hz: u32) -> Self {
        self.hz = hz;
        self
    }

    /// The span of samples that is pushed at once, a second to an hour. Default: 10 s.
    pub fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// Keeps windows in this folder until an archiver has acknowledged them, so that they outlive
    /// the process: the next one that is given the same folder delivers them. Many processes may
    /// share it. Default: they are kept in memory.
    pub fn spool(mut self, folder: impl Into<PathBuf>) -> Self {
        self.spool = Some(folder.into());
        self
    }

    /// Bytes of windows that wait for an archiver; past it the oldest goes first. Default: 64 MiB.
    pub fn spool_bytes(mut self, bytes: usize) -> Self {
        self.spool_bytes = bytes;
        self
    }

    /// Shows functions without their generic arguments, so that all that were made of one are one.
    /// Default: no.
    pub fn fold_generics(mut self, is_on: bool) -> Self {
        self.folds_generics = is_on;
        self
    }

    /// Whether CPU samples are scaled to exact accounting, so that work in step with the kernel's
    /// tick gets its true share. Default: yes; no is for looking at what sampling alone says.
    pub fn control_totals(mut self, is_on: bool) -> Self {
        self.is_controlled = is_on;
        self
    }

    /// Starts sampling every thread of the process, those to come included, and exact accounting
    /// by member and operation ([`davy_tag::start_accounting`]).
    ///
    /// Where the allocator is not jemalloc (see [`use_jemalloc!`](crate::use_jemalloc)) there are
    /// no heap profiles, which is logged once and told by [`Handle::stats`].
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
        // From here on, leaving early must let the next one start.
        let running = Running::begin()?;
        let mut random = Random::system();
        let seeded = Random::seeded(random.next_u64());
        let engine = match self.engine {
            #[cfg(native)]
            Engine::Native => cpu::Engine::start(self.hz, seeded)?,
            #[cfg(feature = "pprof-engine")]
            Engine::Pprof => cpu::Engine::start_pprof(self.hz, seeded)?,
        };
        if let Err(reason) = heap::start() {
            tracing::info!(reason, "heap profiling is off");
        }
        davy_tag::start_accounting();
        tasks::start();
        let symbols = Arc::new(Mutex::new(Symbols::new(self.folds_generics)));
        let outbox = Arc::new(Outbox::new(
            archivers,
            self.spool_bytes,
            self.clock.clone(),
            Arc::clone(&symbols),
        ));
        let desk = Arc::new(Desk::default());
        let drainer = Drainer::new(
            engine,
            Arc::clone(&desk),
            Arc::clone(&outbox),
            self.clock.clone(),
            self.window,
            // Without tags on samples there is nothing to scale by.
            self.is_controlled && self.engine.has_tags(),
        );
        let drain = spawn("davy-profiler", move || drainer.run())?;
        let handle = Handle {
            desk,
            outbox: Arc::clone(&outbox),
            symbols,
        };
        let recorder = Arc::new(Switch::default());
        let mut profiler = Profiler {
            handle,
            recorder: Arc::clone(&recorder),
            drain: Some(drain),
            push: None,
            process: std::process::id(),
            _running: running,
        };
        if heap::state().is_ok() {
            let (outbox, settings) = (Arc::clone(&outbox), settings.clone());
            let clock = self.clock.clone();
            // It may be in the middle of a request when the profiler stops; it ends after that.
            drop(spawn("davy-recorder", move || {
                recorder::run(&outbox, &settings, &clock, &recorder);
            })?);
        }
        let push = spawn("davy-push", move || outbox.run(&settings, random))?;
        profiler.push = Some(push);
        Ok(profiler)
    }

    fn check(&self) -> Result<(), Error> {
        #[cfg(native)]
        if !modules::is_in_executable(check_hz as *const () as u64) {
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
            return refuse("window", value, "at least 1 s and at most 3600 s");
        }
        if self.spool_bytes < SPOOL_BYTES_MIN {
            let value = self.spool_bytes.to_string();
            return refuse("spool_bytes", value, "at least 16384");
        }
        if self.service.is_empty() {
            return refuse("service", "empty".to_owned(), "the name of the service");
        }
        let is_token = |token: &String| token.bytes().all(|byte| byte.is_ascii_graphic());
        if !self.token.as_ref().is_none_or(is_token) {
            let value = "of other characters".to_owned();
            return refuse("token", value, "visible ASCII characters");
        }
        let is_letter = |c: char| c.is_alphanumeric() || "_-.".contains(c);
        let is_name = |name: &str| {
            let is_plain = !name.is_empty() && name.chars().all(is_letter);
            is_plain && !name.starts_with("__") && !name.contains("..")
        };
        match self.labels.iter().find(|(name, _)| !is_name(name)) {
            Some((name, _)) => refuse(
                "the name of a label",
                format!("{name:?}"),
                "of letters, digits, `_`, `-` and single dots, and not begin with `__`",
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

/// The process whose profiler runs; dropping it lets the next one start.
#[derive(Debug)]
struct Running(u32);

impl Running {
    fn begin() -> Result<Self, Error> {
        let own = std::process::id();
        // The profiler of the process that this one was forked from is not here.
        if RUNNING.swap(own, Ordering::AcqRel) == own {
            return Err(Error::AlreadyRunning);
        }
        Ok(Self(own))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.0 == std::process::id() {
            heap::stop();
            RUNNING.store(NONE, Ordering::Release);
        }
    }
}

/// A running profiler; dropping it stops it without waiting for archivers.
#[derive(Debug)]
#[must_use = "dropping the profiler stops it"]
pub struct Profiler {
    handle: Handle,
    recorder: Arc<Switch>,
    drain: Option<JoinHandle<()>>,
    push: Option<JoinHandle<()>>,
    process: u32,
    _running: Running,
}

impl Profiler {
    /// For asking and changing the profiler from anywhere.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Stops sampling, cuts the last window short and delivers everything, in at most `deadline`.
    pub fn shutdown(mut self, deadline: Duration) -> Result<(), Error> {
        self.stop(deadline)
    }

    fn stop(&mut self, deadline: Duration) -> Result<(), Error> {
        let Some(drain) = self.drain.take() else {
            return Ok(());
        };
        // In a forked child the threads are not there, and what they hold is the parent's.
        if std::process::id() != self.process {
            return Ok(());
        }
        self.recorder.stop();
        let _ = self.handle.desk.ask(Command::Stop);
        let _ = drain.join();
        let left = self.handle.outbox.stop(deadline);
        if left.is_none()
            && let Some(push) = self.push.take()
        {
            let _ = push.join();
        }
        match left {
            None => Ok(()),
            Some(left) => Err(Error::Undelivered {
                windows: left.windows,
                bytes: left.bytes,
                reason: left.reason,
            }),
        }
    }
}

impl Drop for Profiler {
    fn drop(&mut self) {
        // What is not delivered by now is given up, as the documentation of the type says.
        let _ = self.stop(DROP_DEADLINE);
    }
}
